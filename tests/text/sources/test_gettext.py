"""Gettext catalogues: messages, plural forms, fuzzy and obsolete messages, damage."""

import sys
from pathlib import Path

import pytest

from seq2seq.runtime.errors import InputError
from seq2seq.text.sources.gettext import Gettext

HEADER = (
    'msgid ""\nmsgstr ""\n"Content-Type: text/plain; charset=UTF-8\\n"\n"Plural-Forms: nplurals=3; plural=0;\\n"\n\n'
)
MESSAGES = """#: a.c:3
#, c-format
msgid "Open \\"%s\\""
msgstr "„%s“ öffnen"

msgctxt "menu"
msgid ""
"Two\\n"
"lines"
msgstr "Zwei\\tZeilen"

msgid "a file"
msgid_plural "%d files"
msgstr[0] "plik"
msgstr[1] "%d pliki"
msgstr[2] "%d plików"

#, fuzzy
msgid "Quit"
msgstr "Datei"

msgid "Save"
msgstr ""

#~ msgid "old"
#~ msgstr "alt"
"""


def read(folder: Path, content: str) -> list[tuple[str, str]]:
    path = folder / "a.po"
    path.write_text(content, encoding="utf-8")
    return list(Gettext(path, "train"))


def test_messages_are_pairs(tmp_path: Path) -> None:
    assert read(tmp_path, HEADER + MESSAGES) == [
        ('Open "%s"', "„%s“ öffnen"),
        ("Two lines", "Zwei Zeilen"),
        ("a file", "plik"),
        ("%d files", "%d plików"),
        ("Quit", ""),
        ("Save", ""),
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (HEADER, "has no messages; expected a gettext catalogue"),
        ("Just text.\n", "line 1: expected a comment"),
        (HEADER + 'msgid "a\nmsgstr "b"\n', r"line \d+: expected a comment"),
        (HEADER + 'msgid "a"\nmsgstr b\n', r"line \d+: expected a comment"),
        (HEADER + 'msgid "a"\nmsgid "b"\n', r"line \d+: no gettext catalogue"),
        ("", "is empty"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: str, words: str) -> None:
    with pytest.raises(InputError, match=rf"a\.po,? {words}"):
        read(tmp_path, content)


def test_without_its_package_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polib", None)
    with pytest.raises(InputError, match=r"a\.po: reading gettext catalogues needs polib: `pip install polib`"):
        read(tmp_path, HEADER + MESSAGES)
