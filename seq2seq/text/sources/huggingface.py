"""Corpora that the library `datasets` of Hugging Face reads: from its hub, from a folder, from a Parquet file."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Pair, pair_digest
from seq2seq.text.sources.json_lines import field_text


@dataclass(frozen=True)
class HuggingFace:
    """A split of a dataset. Its rows are mapped from Arrow files in `cache`, not held in memory.

    `path` is a folder, a Parquet file (whose only split is "train"), or a name on the hub, and `subset` one of its
    subsets ("de-en"). `fields` are those of `JsonLines`. `name` is the split in the dataset, and may be a slice,
    `train[:90%]`. The library runs no code of a dataset. Raises `InputError` where it is not installed, for what it
    cannot read, and for a row without text in the fields.
    """

    path: str
    subset: str | None
    split: str
    name: str
    fields: tuple[str, str]
    cache: Path

    @cached_property
    def _rows(self) -> Any:
        try:
            import datasets  # type: ignore[import-not-found,import-untyped,unused-ignore]
            import huggingface_hub  # type: ignore[import-not-found,import-untyped,unused-ignore]
        except ModuleNotFoundError:
            raise InputError(
                f"dataset.path={self.path}: reading it needs the library datasets: `pip install 'datasets>=4'`"
            ) from None
        datasets.disable_progress_bars()
        for library in (datasets, huggingface_hub):
            library.logging.set_verbosity(logging.CRITICAL)
        local, cache = Path(self.path), str(self.cache / "huggingface")
        try:
            if local.is_file():
                files = {"train": str(local.resolve())}
                return datasets.load_dataset("parquet", data_files=files, split=self.split, cache_dir=cache)
            return datasets.load_dataset(self.path, self.subset, split=self.split, cache_dir=cache)
        except Exception as error:  # the libraries that it uses raise errors of many kinds
            absent = "" if local.exists() else ", and there is no such file or folder"
            reason = (str(error) or type(error).__name__).strip().split("\n")[0].rstrip(".")
            raise InputError(f"dataset.path={self.path}, split {self.split}: {reason}{absent}") from None

    def __iter__(self) -> Iterator[Pair]:
        for number, row in enumerate(self._rows, start=1):
            title = f"{self.path}, split {self.split}, row {number}"
            yield Pair(*(field_text(row, field, title) for field in self.fields))

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return pair_digest(self)
