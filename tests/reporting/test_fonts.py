"""Every character is drawn by a font that has it, or spelled so that it can be read; never a box."""

import logging
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib
import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.ttGlyphPen import TTGlyphPen
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib import font_manager
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from seq2seq.reporting import fonts
from seq2seq.reporting.fonts import BASE, choose
from tests.support.warm import Warm


def write_font(path: Path, family: str, characters: str, *, advance: int, has_outlines: bool = True) -> None:
    """A font that draws each of the characters as a square, or as nothing; `advance` is in thousandths of its size."""
    pen = TTGlyphPen(None)
    if has_outlines:
        pen.moveTo((0, 0))
        for corner in ((0, 800), (800, 800), (800, 0)):
            pen.lineTo(corner)
        pen.closePath()
    font = FontBuilder(1000, isTTF=True)
    font.setupGlyphOrder([".notdef", "square"])
    font.setupCharacterMap({ord(character): "square" for character in characters})
    font.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "square": pen.glyph()})
    font.setupHorizontalMetrics({".notdef": (1000, 0), "square": (advance, 0)})
    font.setupHorizontalHeader(ascent=800, descent=-200)
    font.setupNameTable({"familyName": family, "styleName": "Regular"})
    font.setupOS2(usWeightClass=400)
    font.setupPost()
    font.save(path)


class Machine:
    """A computer with matplotlib's own fonts, and with those that are installed after matplotlib made its list."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.installed = folder, list[str]()

    def install(self, family: str, characters: str, *, advance: int = 1000, has_outlines: bool = True) -> None:
        path = self.folder / f"{len(self.installed)}.ttf"
        write_font(path, family, characters, advance=advance, has_outlines=has_outlines)
        self.installed.append(str(path))


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    own = [entry for entry in font_manager.fontManager.ttflist if entry.fname.startswith(matplotlib.get_data_path())]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    monkeypatch.setattr(font_manager, "findSystemFonts", lambda: machine.installed)
    monkeypatch.setattr(fonts, "PACKAGE", "absent_package")
    monkeypatch.setattr(fonts, "_has_warned", False)
    caches = (fonts._regular_fonts, fonts._search)
    for cache in caches:
        cache.cache_clear()
    yield machine
    for cache in caches:
        cache.cache_clear()


def width(text: str, families: Sequence[str]) -> float:
    """In points, at a size of 10 points; a missing glyph is a warning, and so an error."""
    found, _, _ = text_to_path.get_text_width_height_descent(text, FontProperties(family=families, size=10), False)
    return float(found)


# --- no font ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("한국", "han·gug"),
        ("हिन्दी", "ha·i·na·virama·da·ii"),
        ("ไทย", "sara ai maimalai·tho thahan·yo yak"),
        ("学校へ", "U+5B66·U+6821·he"),
        ("a中b 5月", "a·U+4E2D·b 5·U+6708"),
        ("🦜", "parrot"),
        ("👩‍🚀", "woman·rocket"),
        ("x\0\ud800\U000f0000", "x·U+0000·U+D800·U+F0000"),
        ("Größe, שלום السلام Ελλάδα ❤️", "Größe, שלום السلام Ελλάδα ❤️"),
        ("", ""),
    ],
)
@pytest.mark.usefixtures("machine")
def test_what_has_no_font_is_spelled(text: str, spelled: str) -> None:
    choice = choose(text)
    assert choice.families == [BASE]
    assert choice.drawable(text) == spelled


@settings(max_examples=50)
@given(st.text(max_size=9))
def test_whatever_the_text_is_each_of_its_characters_is_drawn(text: str) -> None:
    """With the fonts of this machine; a glyph that is missing all the same would be a warning, and so an error."""
    choice = choose(text)
    label = choice.drawable(" ".join(text.split()))
    assert width(label, choice.families) >= 0
    assert not [character for character in label if unicodedata.category(character) in ("Cc", "Cs", "Co", "Cn")]


@pytest.mark.usefixtures("machine")
def test_one_warning_says_what_is_missing_and_what_to_install(caplog: pytest.LogCaptureFixture) -> None:
    choose("Nothing is missing in Ελλάδα, \0 or \U000f0000.")
    assert caplog.records == []
    choose("ein 学校 ไทย 🦜。")
    choose("한국")
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert "ทยไ学校。🦜 (Chinese characters, Thai)" in message
    assert "pip install weblate-fonts" in message
    assert "fonts-noto-cjk" in message
    assert "\n" not in message


@pytest.mark.usefixtures("machine")
def test_a_warning_names_no_more_than_a_few_characters(caplog: pytest.LogCaptureFixture) -> None:
    choose("".join(map(chr, range(0x4E00, 0x5000))))
    assert "has 一丁丂七丄丅丆万… (Chinese" in caplog.text


# --- fonts that are installed -----------------------------------------------------------------------------------------


def test_the_font_that_has_the_characters_draws_them(machine: Machine, caplog: pytest.LogCaptureFixture) -> None:
    machine.install("Made Thai", "ไทย", advance=700)
    machine.install("Made Han", "学校", advance=1100)
    choice = choose("ไทย 学校")
    assert sorted(choice.families[:2]) == ["Made Han", "Made Thai"]
    assert choice.families[2] == BASE
    assert choice.drawable("ไทย 学校") == "ไทย 学校"
    assert width("ไทย", choice.families) == pytest.approx(3 * 7)
    assert width("学校", choice.families) == pytest.approx(2 * 11)
    assert caplog.records == []


@pytest.mark.usefixtures("machine")
def test_what_matplotlib_draws_alone_costs_no_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(font_manager, "findSystemFonts")
    assert choose("Plain, Größe, 3 € → Ελλάδα,\tдом,\n\u200b\0").families == [BASE]
    with pytest.raises(AttributeError):
        choose("中")


def test_one_font_that_has_all_is_better_than_several(machine: Machine) -> None:
    machine.install("Made A", "中学")
    machine.install("Made B", "中学校")
    machine.install("Made C", "学校")
    assert choose("中学校").families == ["Made B", BASE]


@pytest.mark.parametrize("reverse", [False, True])
def test_the_order_of_installation_does_not_matter(machine: Machine, reverse: bool) -> None:
    """Noto Sans is best, although it has less; serif and monospaced fonts are last, although they have most."""
    families = {
        "Made Serif": "中学校月",
        "Made Mono": "中学校月",
        "Made Long": "中月",
        "Made": "中月",
        "Noto Sans Made": "中学",
    }
    for family, characters in sorted(families.items(), reverse=reverse):
        machine.install(family, characters)
    assert choose("中学校月").families == ["Noto Sans Made", "Made", "Made Mono", BASE]


@pytest.mark.parametrize(("text", "region"), [("学校", "SC"), ("学校へ行ク", "JP"), ("学校에", "KR")])
def test_han_characters_look_as_in_the_language_of_the_others(machine: Machine, text: str, region: str) -> None:
    for each in ("JP", "KR", "SC", "TC"):
        machine.install(f"Made Pan {each}", "学校へ行ク에")
    assert choose(text).families == [f"Made Pan {region}", BASE]


def test_a_font_of_symbols_leaves_the_digits_alone(machine: Machine) -> None:
    machine.install("Made Emoji", "🦜3", advance=3000)
    choice = choose("🦜 3")
    assert choice.families == [BASE, "Made Emoji"]
    assert width("3", choice.families) == width("3", [BASE])


def test_letters_marks_and_joiners_come_from_one_font(machine: Machine) -> None:
    """U+200D is in DejaVu Sans too, and a word that changes its font there is not shaped as one."""
    machine.install("Made Hindi", "कष\u094d\u200d", advance=400)
    choice = choose("क्\u200dष")
    assert choice.families == ["Made Hindi", BASE]
    assert choice.drawable("क्\u200dष") == "क्\u200dष"


@pytest.mark.parametrize("family", ["Made Blank", "Last Resort", ".LastResort"])
def test_blank_glyphs_and_fonts_of_last_resort_draw_nothing(machine: Machine, family: str) -> None:
    machine.install(family, "中", has_outlines=family != "Made Blank")
    assert choose("中").families == [BASE]
    assert choose("中").drawable("中") == "U+4E2D"


def test_a_broken_font_is_passed_over(machine: Machine) -> None:
    for name, content in {"broken.ttf": b"\0\1\0\0" + bytes(99), "empty.otf": b""}.items():
        (machine.folder / name).write_bytes(content)
        machine.installed.append(str(machine.folder / name))
    machine.installed.append(str(machine.folder / "absent.ttf"))
    machine.install("Made Sound", "中")
    assert choose("中").families == ["Made Sound", BASE]


def test_a_font_that_is_gone_is_passed_over(machine: Machine) -> None:
    machine.install("Made Gone", "中")
    assert choose("中").families == ["Made Gone", BASE]
    (machine.folder / "0.ttf").unlink()
    assert choose("中学").unknown == set("中学")


def test_fonts_of_the_package_need_no_installation(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = machine.folder / "made_package" / "static"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").write_text("raise SystemExit('nothing of the package is run')")
    write_font(folder / "made.ttf", "Made Packaged", "中", advance=1000)
    monkeypatch.syspath_prepend(machine.folder)
    monkeypatch.setattr(fonts, "PACKAGE", "made_package")
    assert choose("中").families == ["Made Packaged", BASE]


# --- the program ------------------------------------------------------------------------------------------------------


def test_the_program_draws_or_spells_each_word_and_warns_once(sweep: Path, tmp_path: Path, warm: Warm) -> None:
    """Whether this machine has fonts or not: matplotlib writes what it draws into the SVG file, as comments."""
    words = ["Der", "学", "한국", "ค", "हिन्दी", "العربية"]  # units: where there are no spaces, pieces
    arguments = [f"checkpoint={sweep}/runs/general/checkpoints/best", "plot=picture.svg", "device=cpu"]
    ended = warm("translate", *arguments, folder=tmp_path, given=f"{' '.join(words)}\n".encode() * 2)
    assert ended.status == 0, ended.told
    choice = choose("".join(words))
    assert ended.told.count("no installed font") == ended.told.count("\n") == bool(choice.unknown)
    picture = (tmp_path / "picture.svg").read_text(encoding="utf-8")
    for word in words[1:-1]:
        assert f"<!-- {choice.drawable(word)[:20]}" in picture
    assert "□" not in picture
