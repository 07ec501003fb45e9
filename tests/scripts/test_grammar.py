"""scripts/grammar.py: what it prints and writes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "scripts" / "grammar.py"), *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(command, capture_output=True, text=True, encoding="utf-8", env=environment, cwd=ROOT)


def test_written_files_agree_line_by_line(tmp_path: Path) -> None:
    assert run("--write", str(tmp_path / "out")).returncode == 0
    for name, size in (("train", 2000), ("validation", 200), ("test", 200), ("challenge-compounds", 25)):
        lines = {
            ending: (tmp_path / "out" / f"{name}.{ending}").read_text(encoding="utf-8").split("\n")
            for ending in ("de", "en", "align", "tags")
        }
        assert {len(column) - 1 for column in lines.values()} == {size}
        for source, target, links in zip(lines["de"][:-1], lines["en"], lines["align"], strict=False):
            for link in links.split(" "):
                i, j = link.replace("p", "-").split("-")
                assert int(i) < len(source.split(" "))
                assert int(j) < len(target.split(" "))


@pytest.mark.parametrize("options", [[], ["--invented-names", "1"]])
def test_the_traced_pair_is_the_shown_one(options: list[str]) -> None:
    shown = run("--show", "--number", "8", *options).stdout.split("\n\n")[7]
    traced = run("--trace", "7", *options).stdout
    source, target = shown.split("\n")[:2]
    assert f"German: {source}\n" in traced
    assert f"English: {target}\n" in traced
    assert "verb: " in traced
    assert shown.split("links: ")[1].split("\n")[0] in traced


def test_invented_names_are_in_training_alone() -> None:
    lines = {
        (split, share): run("--split", split, "--number", "200", "--invented-names", share).stdout
        for split in ("train", "test")
        for share in ("0", "0.7")
    }
    assert lines["test", "0"] == lines["test", "0.7"]
    pairs = zip(lines["train", "0"].splitlines(), lines["train", "0.7"].splitlines(), strict=True)
    changed = [pair for pair in pairs if pair[0] != pair[1]]
    assert 20 < len(changed) < 60
    assert all(len(one.split()) == len(other.split()) for one, other in changed)


def test_a_mistake_is_one_line() -> None:
    result = run("--split", "dev")
    assert result.returncode != 0
    assert "Traceback" not in result.stderr
    assert "'dev'" in result.stderr
    assert "challenge-longer" in result.stderr
    assert "expected 0 to 1999" in run("--trace", "2000").stderr


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["--number", "-3"], 2, "error: --number: found -3, expected 1 or more"),
        (["--invented-names", "7"], 2, "error: --invented-names: found 7.0, expected a share between 0 and 1"),
        (["--write", "{}/file/folder"], 1, "file/folder: not a directory"),
        (["--write", "{}", "--trace", "3"], 2, "not allowed with argument --write"),
    ],
)
def test_what_will_not_do_is_told(tmp_path: Path, arguments: list[str], status: int, words: str) -> None:
    (tmp_path / "file").touch()
    ended = run(*(word.format(tmp_path) for word in arguments))
    assert ended.returncode == status
    assert words in ended.stderr.splitlines()[-1]


def test_a_reader_that_goes_is_no_error() -> None:
    program = f"{sys.executable} {ROOT / 'scripts' / 'grammar.py'} --number 500"
    ended = subprocess.run(["sh", "-c", f"{program} | head -1"], capture_output=True, text=True)
    assert (ended.stderr, ended.stdout.count("\n")) == ("", 1)
