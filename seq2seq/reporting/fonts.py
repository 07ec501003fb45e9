"""Fonts by character: the families with which matplotlib draws a text, and the spelling of what no font has."""

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from matplotlib import font_manager
from matplotlib.font_manager import FontEntry
from matplotlib.ft2font import FT2Font, LoadFlags

BASE = "DejaVu Sans"
"""Comes with matplotlib: Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic, Lao, and some symbols."""

PACKAGE = "weblate_fonts"
"""Ships fonts for most scripts. The extra `fonts` of pyproject.toml installs it."""

WITHOUT_GLYPH = {"Cc", "Cs", "Co", "Cn"}  # control, surrogate, private use, unassigned: no font is asked for them
VARIATION = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # invisible, as is category Cf
KIND = re.compile(r".* (?:LETTER|SYLLABLE|CHARACTER|SIGN|DIGIT) (.+?)(?: WITH .*)?")
REGIONS = {"HIRAGANA": "JP", "KATAKANA": "JP", "HANGUL": "KR"}
SHOWN = 8
"""So many characters a warning shows."""

log = logging.getLogger(__name__)
_has_warned = False  # of this process


class FontChoice(NamedTuple):
    """What draws a text: families in the order in which matplotlib asks them, and the characters that none has."""

    families: list[str]
    unknown: frozenset[str]

    def drawable(self, text: str) -> str:
        """The text, with each character that no font draws replaced by its Unicode name, in short, or its code point.

        `한` is han, `क` is ka, `🦜` is parrot, `中` is U+4E2D. Dots stand between them.
        """
        return " ".join(map(self._spell, text.split(" ")))

    def _spell(self, word: str) -> str:
        if not any(map(self._is_spelled, word)):
            return word
        parts: list[str] = []
        for is_spelled, run in groupby((letter for letter in word if not _is_invisible(letter)), self._is_spelled):
            letters = list(run)
            parts += map(_name, letters) if is_spelled else ["".join(letters)]
        return "·".join(parts)

    def _is_spelled(self, character: str) -> bool:
        return character in self.unknown or (_is_without_glyph(character) and not character.isspace())


def choose(text: str) -> FontChoice:
    """The fonts for a text, of all that are installed. A text that `BASE` can draw costs no search.

    Warns where characters have no font, once in a process.
    """
    beyond = frozenset(
        character
        for character in text
        if ord(character) not in _base_characters()
        and not (_is_without_glyph(character) or _is_invisible(character) or character.isspace())
    )
    if not beyond:
        return FontChoice([BASE], beyond)
    before, after, unknown = _search(beyond)
    if unknown:
        _warn(sorted(unknown, key=lambda character: (not character.isalpha(), character)))
    return FontChoice([*before, BASE, *after], unknown)


@lru_cache(maxsize=256)
def _search(characters: frozenset[str]) -> tuple[list[str], list[str], frozenset[str]]:
    """Families to ask before `BASE`, families to ask after it, and the characters that no font draws.

    A font with letters comes before, so that one font shapes a word with its marks and joiners. A font with symbols
    alone comes after, since emoji fonts have digits of their own.
    """
    before: list[str] = []
    after: list[str] = []
    missing, region = characters, _region(characters)
    candidates = {entry.name: drawn for entry in _regular_fonts() if (drawn := _drawn(entry, characters))}
    while candidates:
        best = min(candidates, key=lambda family: _preference(family, len(candidates[family]), region))
        gain = candidates.pop(best)
        is_script = any(unicodedata.category(character)[0] in "LM" for character in gain)
        (before if is_script else after).append(best)
        missing -= gain
        candidates = {family: left for family, drawn in candidates.items() if (left := drawn & missing)}
    return before, after, missing


def _preference(family: str, count: int, region: str) -> tuple[int, int, bool, int, str]:
    """Least is best: Noto Sans, then sans fonts, then serif and monospaced ones; then by how much each draws."""
    is_odd = "Mono" in family or "Serif" in family
    rank = 2 if is_odd else 0 if family.startswith("Noto Sans") else 1
    return rank, -count, family.split()[-1] != region, len(family), family


def _region(characters: Iterable[str]) -> str:
    """Han characters look as in Japan beside kana, as in Korea beside Hangul, else as in China."""
    scripts = (unicodedata.name(character, "").partition(" ")[0] for character in sorted(characters))
    return next((REGIONS[script] for script in scripts if script in REGIONS), "SC")


@cache
def _base_characters() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont(BASE)).get_charmap())


@cache
def _regular_fonts() -> list[FontEntry]:
    """One upright font of normal weight for each family.

    Fonts that matplotlib's list lacks are added to it: those of `PACKAGE`, and those installed since the list was made.
    """
    manager = font_manager.fontManager
    listed = {entry.fname for entry in manager.ttflist}
    for path in sorted({*font_manager.findSystemFonts(), *_packaged()} - listed):
        with suppress(Exception):  # as matplotlib does: a broken font raises anything
            manager.addfont(path)
    fonts: dict[str, FontEntry] = {}
    for entry in manager.ttflist:
        # A last-resort font draws the same box for every character of a script.
        if entry.style == "normal" and "lastresort" not in entry.name.replace(" ", "").lower():
            fonts[entry.name] = min(fonts.get(entry.name, entry), entry, key=_distance)
    return list(fonts.values())


def _distance(entry: FontEntry) -> tuple[bool, int]:
    return entry.stretch != "normal", abs(int(entry.weight) - 400)


def _packaged() -> Iterator[str]:
    spec = find_spec(PACKAGE)
    for folder in (spec and spec.submodule_search_locations) or ():
        yield from map(str, Path(folder).rglob("*.ttf"))


def _drawn(entry: FontEntry, characters: Iterable[str]) -> frozenset[str]:
    """The characters for which the font has an outline; the bitmaps and layers of colour fonts are none."""
    try:
        font = FT2Font(entry.fname, face_index=entry.index)
    except (OSError, RuntimeError):  # removed since it was listed, or no font
        return frozenset()
    return frozenset(character for character in characters if _has_outline(font, character))


def _has_outline(font: FT2Font, character: str) -> bool:
    index = font.get_char_index(ord(character))
    if not (index and font.scalable):
        return False
    font.load_glyph(index, flags=LoadFlags.NO_HINTING)
    return len(font.get_path()[0]) > 0


def _is_without_glyph(character: str) -> bool:
    return unicodedata.category(character) in WITHOUT_GLYPH


def _is_invisible(character: str) -> bool:
    return unicodedata.category(character) == "Cf" or VARIATION.match(character) is not None


def _name(character: str) -> str:
    name = unicodedata.name(character, "")
    if not name or name.endswith(f"-{ord(character):X}"):
        return f"U+{ord(character):04X}"
    kind = KIND.fullmatch(name)
    return (kind[1] if kind else name).lower()


def _warn(characters: Sequence[str]) -> None:
    global _has_warned
    if _has_warned:
        return
    _has_warned = True
    letters = [unicodedata.name(character, "") for character in characters if character.isalpha()]
    scripts = sorted({name.partition(" ")[0].capitalize().replace("Cjk", "Chinese characters") for name in letters})
    shown = "".join(characters[:SHOWN]) + "…" * (len(characters) > SHOWN)
    log.warning(
        "no installed font has %s (%s), so pictures spell such characters out; for fonts, pip install weblate-fonts, "
        "or install your system's Noto fonts (Debian: fonts-noto-core, fonts-noto-cjk, fonts-symbola)",
        shown,
        ", ".join(scripts) or "symbols",
    )
