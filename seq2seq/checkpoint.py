"""A trained model on disk: a folder of plain data, never half written, and nothing in it is a program."""

import json
import math
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import sentencepiece
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from seq2seq import __version__
from seq2seq.errors import InputError
from seq2seq.text.tokenizer import Tokenizer, Tokenizers

FORMAT = 1  # raise it when the same names come to mean other things
WEIGHTS, DESCRIPTION, SOURCE, TARGET = "weights.safetensors", "checkpoint.json", "source.model", "target.model"


class Checkpoint(NamedTuple):
    """Everything a model needs to translate.

    `weights` are the model's parameters by name, a shared one under its first name only. `configuration` is the
    training run's; `positions` the greatest source length in tokens that it was built for.
    """

    configuration: dict[str, Any]
    tokenizers: Tokenizers
    weights: dict[str, torch.Tensor]
    positions: int
    step: int
    scores: dict[str, float]


def save(checkpoint: Checkpoint, folder: Path) -> None:
    """Writes the checkpoint beside its place and renames it, so that a reader sees all of it or nothing."""
    partial = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    save_file(
        {name: weight.detach().cpu().contiguous() for name, weight in checkpoint.weights.items()}, partial / WEIGHTS
    )
    (partial / SOURCE).write_bytes(checkpoint.tokenizers.source.model)
    if not checkpoint.tokenizers.joint:
        (partial / TARGET).write_bytes(checkpoint.tokenizers.target.model)
    description = {
        "format": FORMAT,
        "step": checkpoint.step,
        "scores": checkpoint.scores,
        "positions": checkpoint.positions,
        "configuration": checkpoint.configuration,
        "versions": {"seq2seq": __version__, "torch": torch.__version__, "sentencepiece": sentencepiece.__version__},
    }
    (partial / DESCRIPTION).write_text(json.dumps(description, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    replace(partial, folder)


def replace(new: Path, place: Path) -> None:
    """Moves the folder `new` to `place`, and what stood there away."""
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    new.rename(place)
    shutil.rmtree(old, ignore_errors=True)


def load(folder: Path) -> Checkpoint:
    """Reads a checkpoint. Raises InputError where the folder is none, is damaged, or is of another format."""
    description = _description(folder)
    try:
        source = Tokenizer((folder / SOURCE).read_bytes())
        target = Tokenizer((folder / TARGET).read_bytes()) if (folder / TARGET).exists() else source
        weights = load_file(folder / WEIGHTS)
        return Checkpoint(
            configuration=dict(description["configuration"]),
            tokenizers=Tokenizers(source, target),
            weights=weights,
            positions=int(description["positions"]),
            step=int(description["step"]),
            scores=dict(description["scores"]),
        )
    except InputError as error:  # from a tokenizer, which knows no file
        raise InputError(f"checkpoint {folder} is damaged: {error}") from None
    except (OSError, SafetensorError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise InputError(f"checkpoint {folder} is damaged: {type(error).__name__}: {error}") from None


def _description(folder: Path) -> Mapping[str, Any]:
    if not folder.is_dir():
        raise InputError(f"no checkpoint at {folder}: give a folder such as runs/NAME/checkpoints/best")
    if not (folder / DESCRIPTION).is_file():
        inside = sorted(
            str(path.parent) for way in ("*", "checkpoints/*") for path in folder.glob(f"{way}/{DESCRIPTION}")
        )
        raise InputError(
            f"{folder} is no checkpoint (it has no {DESCRIPTION}); "
            + (f"there are checkpoints in {', '.join(inside)}" if inside else "give runs/NAME/checkpoints/best")
        )
    try:
        description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"checkpoint {folder} is damaged: {DESCRIPTION} is no JSON ({error})") from None
    found = description.get("format") if isinstance(description, dict) else None
    if found != FORMAT:
        raise InputError(f"checkpoint {folder} has format {found}; this version of seq2seq reads format {FORMAT}")
    assert isinstance(description, dict)
    return description


class Best:
    """The `keep` best checkpoints of a run: `best`, then `best-2`, `best-3`, ..."""

    def __init__(self, folder: Path, *, keep: int, higher_is_better: bool) -> None:
        self.folder, self.keep, self.sign = folder, keep, 1 if higher_is_better else -1
        self.ranking: list[tuple[float, int]] = []  # (value, step), best first
        self.since = 0  # validations since the best one

    def offer(self, checkpoint: Checkpoint, value: float) -> bool:
        """Keeps the checkpoint if it is among the best; True where it is the best yet.

        Of equals, the first wins; NaN, as a model gives whose training went astray, is worse than any number.
        """
        if math.isnan(value):
            value = -self.sign * math.inf
        rank = sum(self.sign * other >= self.sign * value for other, _ in self.ranking)
        best = rank == 0
        self.since = 0 if best else self.since + 1
        if rank < self.keep:
            for place in range(min(len(self.ranking), self.keep - 1), rank, -1):
                replace(self._path(place - 1), self._path(place))
            save(checkpoint, self._path(rank))
            self.ranking.insert(rank, (value, checkpoint.step))
            del self.ranking[self.keep :]
        return best

    def _path(self, rank: int) -> Path:
        return self.folder / ("best" if rank == 0 else f"best-{rank + 1}")
