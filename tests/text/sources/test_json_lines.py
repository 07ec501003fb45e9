"""JSON Lines: fields by name, damage by line."""

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.runtime.errors import InputError
from seq2seq.text.sources.json_lines import JsonLines

SIDES = ("de", "en")


def read(folder: Path, content: str, fields: tuple[str, str] = SIDES) -> list[tuple[str, str]]:
    path = folder / "a.jsonl"
    path.write_text(content, encoding="utf-8")
    return list(JsonLines(path, "train", fields))


@given(
    pairs=st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), min_size=1, max_size=5), ascii=st.booleans()
)
def test_what_json_writes_is_read(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], ascii: bool
) -> None:
    lines = [json.dumps({"de": source, "n": 1, "en": target}, ensure_ascii=ascii) for source, target in pairs]
    found = read(tmp_path_factory.mktemp("json"), "\n".join(lines))
    for pair, (source, target) in zip(found, pairs, strict=True):
        for side, text in zip(pair, (source, target), strict=True):
            assert len(side) == len(text.replace("\r\n", "\n"))
            assert not {*side} & {*"\n\r\t"}
            assert side.split() == text.split()


def test_fields_within_an_object_are_named_with_a_dot(tmp_path: Path) -> None:
    line = '{"translation": {"de": "Ja", "en": "Yes"}, "translation.de": "genau"}\n\n'
    assert read(tmp_path, line, ("translation.en", "translation.en")) == [("Yes", "Yes")]
    assert read(tmp_path, line, ("translation.de", "translation.en")) == [("genau", "Yes")]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("Ja\tYes", "no JSON: .*; expected an object with a field for each side"),
        ('{"de": "Ja", "en": ', "no JSON"),
        ("[1]", "expected an object with the field 'de', found a list"),
        ('"text"', "expected an object with the field 'de', found text"),
        (
            '{"src": "Ja", "trg": "Yes"}',
            r"no field 'de'; its fields are 'src', 'trg'; dataset.fields=\[SOURCE,TARGET\] names",
        ),
        ("{}", "no field 'de'; its fields are none"),
        ('{"de": "Ja", "en": null}', "the field 'en' must be text, found null"),
        ('{"de": "Ja", "en": 3}', "the field 'en' must be text, found a number"),
        ('{"de": "Ja", "en": ["Yes"]}', "the field 'en' must be text, found a list"),
        ('{"de": "Ja", "en": "\\ud800"}', "the field 'en' has half of a character, a lone surrogate"),
        ("[" * 100_000, "JSON that is nested too deeply"),
    ],
)
def test_damage_is_named_by_its_line(tmp_path: Path, line: str, words: str) -> None:
    with pytest.raises(InputError, match=rf"a\.jsonl, line 3: {words}"):
        read(tmp_path, f'{{"de": "Ja", "en": "Yes"}}\n\n{line}\n')


def test_equal_pairs_have_equal_fingerprints(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.jsonl", "b.jsonl.gz", "c.jsonl")]
    paths[0].write_text('{"de": "Ja", "en": "Yes"}\n')
    paths[1].write_bytes(gzip.compress(b'{"en": "Yes",   "de": "\\u004aa"}'))
    paths[2].write_text('{"de": "Ja", "en": "No"}\n')
    one, other, third = (JsonLines(path, "train", SIDES).fingerprint() for path in paths)
    assert one == other != third
