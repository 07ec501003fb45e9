"""Rows of a table: plain ones are unchanged, quoted ones are unquoted; errors name their lines."""

import csv
import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Pair
from seq2seq.text.sources.tsv import TabSeparated, looks_quoted, parse_rows

FIELD = st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=12)


@given(rows=st.lists(st.lists(FIELD, min_size=2, max_size=3), min_size=1, max_size=5))
def test_what_a_spreadsheet_writes_is_read(rows: list[list[str]]) -> None:
    table = io.StringIO(newline="")
    csv.writer(table, dialect="excel-tab", lineterminator="\n").writerows(rows)
    lines = table.getvalue().removesuffix("\n").split("\n")
    fields = [row for _, row in parse_rows(lines, quoting="csv", file=Path("t"))]
    assert fields == [[field.replace("\n", " ").replace("\t", " ") for field in row] for row in rows]


def test_quotation_marks_are_text_without_csv() -> None:
    lines = ['"a\tb', 'x "y"\tz', '"""q"""\t']
    assert list(parse_rows(lines, quoting="none", file=Path("t"))) == [
        (number, line.split("\t")) for number, line in enumerate(lines, start=1)
    ]


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (['a\t"b"', 'c\t"d" e'], "t, line 2: '\t' expected after '\"'"),
        (["a\tb", '"c\td', "e\tf"], "t, lines 2 to 3: unexpected end of data"),
        (['a\t"b', 'c\t"d'], "t, lines 1 to 2: '\t' expected after '\"'"),
        (["a\tb", '"' + "x" * 200_000 + '"\tc'], "t, line 2: field larger than field limit"),
        (["a\tb\rc"], "t, line 1: new-line character seen in unquoted field"),
    ],
)
def test_quotes_that_csv_does_not_know_are_refused(lines: list[str], words: str) -> None:
    with pytest.raises(InputError) as raised:
        list(parse_rows(lines, quoting="csv", file=Path("t")))
    assert str(raised.value).startswith(words)
    assert "dataset.quoting=none" in str(raised.value)


@pytest.mark.parametrize(
    ("field", "quoted"),
    [
        ('"He said ""hello""."', True),
        ('"""Hello."""', True),
        ('"He said hello."', False),  # speech, as it may stand in a book
        ('He said ""hello"".', False),
        ('"Yes," she said, ""no"', False),
        ('""', False),
        ('"', False),
        ("", False),
        ("plain", False),
    ],
)
def test_what_looks_quoted(field: str, quoted: bool) -> None:
    assert looks_quoted(field) is quoted


def test_a_field_of_several_lines_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "t.tsv"
    path.write_bytes(b'1\t"a\r\nb"\tc\r\n2\td\t"e\tf"\r\n\r\n')
    split = TabSeparated(path, "train", columns=(2, 3), quoting="csv")
    assert list(split) == [Pair("a b", "c"), Pair("d", "e f"), Pair("", "")]
    assert split.fingerprint() == TabSeparated(path, "other", columns=(2, 3), quoting="csv").fingerprint()
    assert split.fingerprint() != TabSeparated(path, "train", columns=(3, 2), quoting="csv").fingerprint()
