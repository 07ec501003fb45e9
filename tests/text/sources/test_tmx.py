"""TMX: languages, codes within segments, encodings, damage, memory."""

import gzip
import tracemalloc
from pathlib import Path

import pytest

from seq2seq.runtime.errors import InputError
from seq2seq.text.sources.tmx import Tmx

SIDES = ("de", "en")


def unit(**texts: str) -> str:
    variants = "".join(
        f'<tuv xml:lang="{name.replace("_", "-")}"><seg>{text}</seg></tuv>' for name, text in texts.items()
    )
    return f"<tu>{variants}</tu>"


def memory(*units: str, version: str = '<?xml version="1.0"?>') -> str:
    return f'{version}<tmx version="1.4"><header srclang="de"/><body>{"".join(units)}</body></tmx>'


def read(folder: Path, content: str | bytes, languages: tuple[str, str] = SIDES) -> list[tuple[str, str]]:
    path = folder / "a.tmx"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(Tmx(path, "train", languages))


def test_languages_are_found_by_name_then_by_their_first_part(tmp_path: Path) -> None:
    units = [
        unit(de="Ja", en="Yes", fr="Oui"),
        unit(en_GB="lift", de_AT="Lift", en="elevator"),
        unit(EN="No", DE="Nein"),
    ]
    assert read(tmp_path, memory(*units)) == [("Ja", "Yes"), ("Lift", "elevator"), ("Nein", "No")]
    assert read(tmp_path, memory(*units), ("en-gb", "de")) == [("Yes", "Ja"), ("lift", "Lift"), ("No", "Nein")]
    assert read(tmp_path, memory(*units), ("en-US", "de-DE")) == [("Yes", "Ja"), ("elevator", ""), ("No", "Nein")]


def test_a_unit_without_a_language_is_a_pair_with_an_empty_side(tmp_path: Path) -> None:
    units = [unit(de="Ja", en="Yes"), unit(de="Nein"), "<tu/>", '<tu><tuv xml:lang="de"/></tu>']
    assert read(tmp_path, memory(*units)) == [("Ja", "Yes"), ("Nein", ""), ("", ""), ("", "")]


def test_codes_are_left_out_and_marked_text_is_not(tmp_path: Path) -> None:
    text = 'Die <bpt i="1">{\\b <sub>x</sub></bpt>rote<ept i="1">}</ept> <hi type="x">kleine</hi>\n  '
    text += 'Tür<ph/> &amp; <it pos="end">c</it>so'
    assert read(tmp_path, memory(unit(de=text, en="x")))[0][0] == "Die rote kleine Tür & so"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
@pytest.mark.parametrize("packed", [False, True])
def test_the_declared_encoding_is_read(tmp_path: Path, encoding: str, packed: bool) -> None:
    content = memory(unit(de="Tür", en="door"), version=f'<?xml version="1.0" encoding="{encoding}"?>').encode(encoding)
    assert read(tmp_path, gzip.compress(content) if packed else content) == [("Tür", "door")]


def test_older_files_name_the_language_without_a_prefix(tmp_path: Path) -> None:
    content = (
        '<!DOCTYPE tmx SYSTEM "tmx11.dtd"><tmx version="1.1"><header/><body><tu><tuv lang="DE"><seg>Ja</seg></tuv>'
    )
    assert read(tmp_path, content + '<tuv lang="EN-US"><seg>Yes</seg></tuv></tu></body></tmx>') == [("Ja", "Yes")]


BOMB = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "ha" * 1000}">' for i in range(10))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", r"line 1, column 0: the XML is damaged: no element found"),
        (memory(unit(de="Ja", en="Yes"))[:-20], r"line 1, column \d+: the XML is damaged"),
        (memory(unit(de="a < b", en="x")), r"line 1, column \d+: the XML is damaged"),
        ("<html><body/></html>", "is no TMX: expected the element tmx, found html"),
        (memory(), "has no translation units"),
        (memory(unit(fr="Oui", en="Yes")), "has no text whose xml:lang is de: see dataset.source"),
        (f"<!DOCTYPE tmx [{BOMB}]>{memory(unit(de='&e9;', en='x'), version='')}", "the XML is damaged: limit on input"),
        ('<?xml version="1.0" encoding="nonsense"?><tmx/>', "unknown encoding: nonsense"),
        (memory(unit(de="<hi>" * 9000 + "</hi>" * 9000, en="x")), "elements that are nested too deeply"),
        (b"PK\x03\x04" + bytes(50), "is a zip archive"),
        (
            gzip.compress(memory(unit(de="Ja", en="Yes")).encode())[:-9],
            "is cut short: the compressed file lacks its end",
        ),
    ],
)
def test_damage_is_named(tmp_path: Path, content: str | bytes, words: str) -> None:
    with pytest.raises(InputError, match=rf"a\.tmx.*{words}"):
        read(tmp_path, content)


def test_a_unit_is_in_memory_and_not_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.tmx"
    path.write_text(memory(*[unit(de="Ja " * 20, en="Yes " * 20)] * 3_000))
    tracemalloc.start()
    assert sum(1 for _ in Tmx(path, "train", SIDES)) == 3_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
