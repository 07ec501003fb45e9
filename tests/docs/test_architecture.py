"""docs/architecture.md is the truth: its floors are the linter's, its files are those that there are."""

import re
import tomllib

from tests.support.programs import ROOT

TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_the_floors_are_the_linters() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (floors,) = (contract["layers"] for contract in contracts if contract["type"] == "layers")
    rows = re.findall(r"^\| (\d+) \| ((?:`\w+`(?:, )?)+) \|", TEXT, flags=re.MULTILINE)
    assert [int(number) for number, _ in rows] == list(range(len(floors), 0, -1))
    assert [set(re.findall(r"`(\w+)`", rooms)) for _, rooms in rows] == [set(floor.split(" | ")) for floor in floors]


def test_every_file_has_its_line_and_every_line_its_file() -> None:
    listed = re.findall(r"^\| `([\w/]+(?:\.py|/|(?:\.\w+)+\.jinja))` \|", TEXT, flags=re.MULTILINE)
    folder = ROOT / "seq2seq"
    paths = [*folder.rglob("*.py"), *folder.rglob("*.jinja")]
    files = {str(path.relative_to(folder)) for path in paths if path.name != "__init__.py"}
    grouped = {name for name in listed if name.endswith("/")}
    files = {path for path in files if not any(path.startswith(name) for name in grouped)}
    assert len(listed) == len(set(listed))
    assert {name for name in listed if not name.endswith("/")} == files
    assert all((folder / name).is_dir() for name in grouped)


def test_names_in_the_walks_exist() -> None:
    for name in re.findall(r"`((?:\w+/)+\w+\.py)`", TEXT):
        assert (ROOT / "seq2seq" / name).is_file() or (ROOT / name).is_file(), name
