"""Files of results, whole or not at all."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_text(path: Path, text: str) -> None:
    """Writes beside the place and renames, so that a reader sees the whole file or none."""
    partial = path.with_name(f".{path.name}.partial")
    partial.unlink(missing_ok=True)  # through a link it would be another file that is written
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """`write_text` of the values; what is no number, such as the mean of nothing, is null."""
    write_text(path, json.dumps(_numbers(values), indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def _numbers(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _numbers(inner) for key, inner in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def sync_folder(folder: Path) -> None:
    """Makes the disk know the names in a folder."""
    if os.name == "posix":
        opened = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
