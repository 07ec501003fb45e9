"""A bad cell is refused with file, line, column and what is expected."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from seq2seq.runtime.errors import InputError
from seq2seq.text.grammar import Grammar, generate
from seq2seq.text.grammar.corpus import LEXICON
from seq2seq.text.grammar.lexicon import read_lexicon
from tests.text.grammar.conftest import run_apart


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(LEXICON, tmp_path / "lexicon")
    return tmp_path / "lexicon"


def spoil(table: Path, start: str, old: str, new: str) -> int:
    """Change the first line that begins with `start`, and return its number."""
    lines = table.read_text(encoding="utf-8").split("\n")
    number = next(i for i, line in enumerate(lines) if line.startswith(start))
    assert old in lines[number]
    lines[number] = lines[number].replace(old, new, 1)
    table.write_text("\n".join(lines), encoding="utf-8")
    return number + 1


@pytest.mark.parametrize(
    ("table", "start", "old", "new", "column", "expectation"),
    [
        ("nouns.tsv", "Hund", "\tm\t", "\tx\t", "gender", "m, f, n"),
        ("nouns.tsv", "Hund", "animal,pet", "animal, pet", "classes", "single commas"),
        ("nouns.tsv", "Hund", "animal,pet,own", "-", "classes", "at least one class"),
        ("nouns.tsv", "Hund", "Hund", "hund", "german", "capital"),
        ("nouns.tsv", "Park", "in+dative=in", "in+genitive=in", "place", "auf+accusative=for"),
        ("nouns.tsv", "Suppe", "vegetable", "vegetables", "modifiers", "vegetable"),
        ("nouns.tsv", "Hund", "\tdog\t", "\t\t", "english", "'-'"),
        ("nouns.tsv", "Hund", "\tdog\t", "\t-\t", "english", "expected a word"),
        ("verbs.tsv", "lesen", "transitive", "transitiv", "pattern", "intransitive"),
        ("verbs.tsv", "lesen", "\treading\t", "\tbooks\t", "object", "reading"),
        ("verbs.tsv", "lesen", "\treading\t", "\t-\t", "object", "classes of the object"),
        ("verbs.tsv", "lesen", "lesen", "lese", "german", "infinitive"),
        ("verbs.tsv", "lesen", "haben", "hat", "auxiliary", "haben, sein"),
        ("verbs.tsv", "denken", "an+accusative=of", "-", "preposition", "auf+accusative=for"),
        ("adjectives.tsv", "alt", "adult", "adults", "classes", "adult"),
        ("adverbs.tsv", "jeden Tag", "0-0 1-1", "0-0 1-2", "links", "0-0 1-1"),
        ("names.tsv", "Anna", "\tf", "\tn", "gender", "m, f"),
    ],
)  # fmt: skip
def test_a_bad_cell(folder: Path, table: str, start: str, old: str, new: str, column: str, expectation: str) -> None:
    line = spoil(folder / table, start, old, new)
    with pytest.raises(InputError) as error:
        generate("tiny", seed=1, lexicon=folder)
    message = str(error.value)
    assert f"{folder / table}, line {line}, column '{column}'" in message
    assert expectation in message.split("found", 1)[1]


def test_a_cell_too_few(folder: Path) -> None:
    line = spoil(folder / "names.tsv", "Anna", "\tf", "")
    with pytest.raises(InputError, match=f"names.tsv, line {line}: found 1 .*expected 2"):
        read_lexicon(folder)


def test_wrong_columns_no_entries_no_file_no_utf8(folder: Path) -> None:
    names = folder / "names.tsv"
    names.write_text("name\tsex\nAnna\tf\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 1: .*name gender"):
        read_lexicon(folder)
    names.write_text("name\tgender\n", encoding="utf-8")
    with pytest.raises(InputError, match="at least one line"):
        read_lexicon(folder)
    names.write_bytes(b"name\tgender\nR\xe9mi\tm\n")
    with pytest.raises(InputError, match="byte 13 is not UTF-8"):
        read_lexicon(folder)
    names.unlink()
    with pytest.raises(InputError, match="no such file"):
        read_lexicon(folder)


def test_a_table_without_a_needed_kind(folder: Path) -> None:
    verbs = folder / "verbs.tsv"
    lines = verbs.read_text(encoding="utf-8").split("\n")
    verbs.write_text("\n".join(line for line in lines if "\tswapped\t" not in line), encoding="utf-8")
    with pytest.raises(InputError, match=r"verbs.tsv: found no entry of pattern swapped"):
        read_lexicon(folder)


_WITH_LEXICON = """
import pickle, sys
from pathlib import Path
from seq2seq.text.grammar import Grammar, generate
corpus = generate("tiny", seed=1, lexicon=Path(sys.argv[2]))
pickle.dump((corpus.key, [example[:2] for example in corpus.train]), open(sys.argv[1], "wb"))
"""


def test_a_new_entry_is_used(folder: Path, generated: Callable[..., Grammar]) -> None:
    table = folder / "names.tsv"
    table.write_text(table.read_text(encoding="utf-8").replace("gender\n", "gender\nZenzi\tf\n"), encoding="utf-8")
    key, pairs = run_apart(_WITH_LEXICON, folder.parent, str(folder))
    assert key != generated("tiny").key
    assert any("Zenzi" in source and "Zenzi" in target for source, target in pairs)


def test_an_unknown_preset() -> None:
    with pytest.raises(InputError, match=r"'huge'.*tiny, small, full"):
        generate("huge", seed=1)
