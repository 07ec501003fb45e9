"""Chooses the font families for matplotlib by character, and spells characters that no font can draw."""

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
"""Part of matplotlib. Has Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew, Arabic, Lao, and some symbols."""

PACKAGE = "weblate_fonts"
"""A Python package with fonts for most scripts, installed by the extra `fonts` of pyproject.toml."""

WITHOUT_GLYPH = {"Cc", "Cs", "Co", "Cn"}  # control, surrogate, private use, unassigned: always spelled
VARIATION = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]")  # invisible, like category Cf
CHARACTER_NAME = re.compile(r".* (?:LETTER|SYLLABLE|CHARACTER|SIGN|DIGIT) (.+?)(?: WITH .*)?")
REGIONS = {"HIRAGANA": "JP", "KATAKANA": "JP", "HANGUL": "KR"}
MAX_LISTED = 8
"""A warning lists at most this many characters."""

log = logging.getLogger(__name__)
_has_warned = False  # whether this process has


class FontChoice(NamedTuple):
    """The font families for a text, in matplotlib's order of preference, and the characters that none of them has."""

    families: list[str]
    unknown: frozenset[str]

    def drawable(self, text: str) -> str:
        """The text, with each character that no font can draw replaced by its short Unicode name or code point.

        `한` becomes han, `क` ka, `🦜` parrot, `中` U+4E2D. Dots separate adjacent names.
        """
        return " ".join(map(self._spell, text.split(" ")))

    def _spell(self, word: str) -> str:
        if not any(map(self._is_spelled, word)):
            return word
        parts: list[str] = []
        visible = (character for character in word if not _is_invisible(character))
        for is_spelled, group in groupby(visible, self._is_spelled):
            characters = list(group)
            parts += map(_name, characters) if is_spelled else ["".join(characters)]
        return "·".join(parts)

    def _is_spelled(self, character: str) -> bool:
        return character in self.unknown or (_is_without_glyph(character) and not character.isspace())


def choose(text: str) -> FontChoice:
    """The fonts for a text, out of all installed fonts. There is no search if `BASE` can draw the text.

    The first call in a process that finds characters without a font logs a warning.
    """
    missing = frozenset(
        character
        for character in text
        if ord(character) not in _base_characters()
        and not (_is_without_glyph(character) or _is_invisible(character) or character.isspace())
    )
    if not missing:
        return FontChoice([BASE], missing)
    before, after, unknown = _search(missing)
    if unknown:
        _warn(sorted(unknown, key=lambda character: (not character.isalpha(), character)))
    return FontChoice([*before, BASE, *after], unknown)


@lru_cache(maxsize=256)
def _search(characters: frozenset[str]) -> tuple[list[str], list[str], frozenset[str]]:
    """Families to use before `BASE`, families to use after it, and the characters that no font can draw.

    A font that adds letters comes before `BASE`, so that one font shapes a whole word with its marks and joiners.
    A font that adds only symbols comes after it, because emoji fonts have their own digits.
    """
    before: list[str] = []
    after: list[str] = []
    missing, region = characters, _region(characters)
    candidates = {entry.name: glyphs for entry in _regular_fonts() if (glyphs := _drawable(entry, characters))}
    while candidates:
        best = min(candidates, key=lambda family: _preference(family, len(candidates[family]), region))
        gain = candidates.pop(best)
        is_script = any(unicodedata.category(character)[0] in "LM" for character in gain)
        (before if is_script else after).append(best)
        missing -= gain
        candidates = {family: rest for family, glyphs in candidates.items() if (rest := glyphs & missing)}
    return before, after, missing


def _preference(family: str, count: int, region: str) -> tuple[int, int, bool, int, str]:
    """A sort key, best font first: Noto Sans, then sans, then serif and monospaced; then by number of characters."""
    rank = 2 if "Mono" in family or "Serif" in family else 0 if family.startswith("Noto Sans") else 1
    return rank, -count, family.split()[-1] != region, len(family), family


def _region(characters: Iterable[str]) -> str:
    """The regional shape of Han characters: Japanese next to kana, Korean next to Hangul, otherwise Chinese."""
    scripts = (unicodedata.name(character, "").partition(" ")[0] for character in sorted(characters))
    return next((REGIONS[script] for script in scripts if script in REGIONS), "SC")


@cache
def _base_characters() -> frozenset[int]:
    return frozenset(font_manager.get_font(font_manager.findfont(BASE)).get_charmap())


@cache
def _regular_fonts() -> list[FontEntry]:
    """One upright font of normal weight for each family.

    Adds the fonts that matplotlib's cached list lacks: those of `PACKAGE`, and those installed later than the cache.
    """
    manager = font_manager.fontManager
    listed = {entry.fname for entry in manager.ttflist}
    for path in sorted({*font_manager.findSystemFonts(), *_packaged()} - listed):
        with suppress(Exception):  # like matplotlib, since a broken font can raise anything
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


def _drawable(entry: FontEntry, characters: Iterable[str]) -> frozenset[str]:
    """The characters for which the font has an outline. Bitmaps and layers of colour fonts do not count."""
    try:
        font = FT2Font(entry.fname, face_index=entry.index)
    except (OSError, RuntimeError):  # removed since it was listed, or not a font
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
    kind = CHARACTER_NAME.fullmatch(name)
    return (kind[1] if kind else name).lower()


def _warn(characters: Sequence[str]) -> None:
    global _has_warned
    if _has_warned:
        return
    _has_warned = True
    letters = [unicodedata.name(character, "") for character in characters if character.isalpha()]
    scripts = sorted({name.partition(" ")[0].capitalize().replace("Cjk", "Chinese characters") for name in letters})
    listed = "".join(characters[:MAX_LISTED]) + "…" * (len(characters) > MAX_LISTED)
    log.warning(
        "no installed font has %s (%s), so pictures spell such characters out; to draw them, pip install "
        "weblate-fonts, or install your system's Noto fonts (Debian: fonts-noto-core, fonts-noto-cjk, fonts-symbola)",
        listed,
        ", ".join(scripts) or "symbols",
    )
