"""A stranger's checkpoint: what it holds changed, and the hashes made to fit."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.spoil import reseal

Spoil = Callable[[Path], object]

SPLITS = ("train", "validation", "test")


def listing(folder: Path) -> dict[str, str]:
    """Every name below the folder, with what it is and holds."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_symlink():
            found[str(path)] = f"link to {path.readlink()}"
        elif path.is_file() and path.stat().st_size < 2**24:
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[str(path)] = f"mode {path.lstat().st_mode}, {path.lstat().st_size if path.is_file() else 0} bytes"
    return found


def rewrite(checkpoint: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Another `checkpoint.json`, the hashes of the files as they are: from someone who can count."""
    path = checkpoint / "checkpoint.json"
    description = json.loads(path.read_text())
    for name in description["files"]:
        if (checkpoint / name).is_file() and (checkpoint / name).stat().st_size < 2**32:
            with (checkpoint / name).open("rb") as file:
                description["files"][name] = hashlib.file_digest(file, "sha256").hexdigest()
    change(description)
    path.write_text(json.dumps(description))
    reseal(checkpoint)


def with_file(name: str, content: bytes) -> Spoil:
    """Another file, with its hash."""

    def spoil(checkpoint: Path) -> None:
        (checkpoint / name).write_bytes(content)
        rewrite(checkpoint, lambda _: None)

    return spoil


# --- where an evaluation writes ---------------------------------------------------------------------------------------


def dataset(checkpoint: Path, **values: object) -> None:
    """Makes the checkpoint one of another dataset."""

    def change(description: dict[str, Any]) -> None:
        configuration = description["configuration"]
        common = {key: value for key, value in configuration["dataset"].items() if key not in (*SPLITS, "hold_out")}
        configuration["dataset"] = common | values

    rewrite(checkpoint, change)
