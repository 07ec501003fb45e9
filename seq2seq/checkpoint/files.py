"""The files of a checkpoint: written, read, checked. They are plain data, without code.

    weights.safetensors  source.model  target.model  checkpoint.json      all that translation needs
    training.safetensors                                                  in `last`: what resuming needs
    checkpoint.json.sha256                                                the hash of checkpoint.json

`checkpoint.json` has the hashes of the other files. `seq2seq.checkpoint.storage` replaces a checkpoint atomically.
"""

import hashlib
import json
import logging
import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import sentencepiece
import torch
from pydantic import NonNegativeInt, PositiveInt, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from seq2seq import __version__
from seq2seq.checkpoint.numbers import Numbers
from seq2seq.checkpoint.state import State
from seq2seq.checkpoint.upgrade import upgrade
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import sync_folder
from seq2seq.text.tokenizer import Tokenizers
from seq2seq.text.tokenizer_kinds import read_tokenizer

FORMAT = 3  # raise it when the meaning of a name changes
DESCRIPTION = "checkpoint.json"
SEAL = f"{DESCRIPTION}.sha256"  # as `sha256sum` writes it, and `sha256sum --check` reads it
WEIGHTS, TRAINING, SOURCE, TARGET = "weights.safetensors", "training.safetensors", "source.model", "target.model"
# Limits in bytes. Real files are far smaller; parsing larger ones would take much memory.
LONGEST_DESCRIPTION = 2**20
LONGEST_TOKENIZER = 2**27
LONGEST_HEADER = 2**20  # a safetensors file's table of its tensors

log = logging.getLogger(__name__)


class Training(NamedTuple):
    """What resuming needs: tensors of the optimiser and the random generators, by name, and the training state."""

    tensors: dict[str, Tensor]
    state: State


class Checkpoint(NamedTuple):
    """A trained model; with `training`, also the state of its training run.

    - `configuration` is that of the training run
    - `weights` are the model's parameters by name; a shared one is under its first name only
    - `positions` is the greatest source length in tokens that the model was built for
    - `scores` are those of the validation at this step; empty without one
    """

    configuration: dict[str, Any]
    tokenizers: Tokenizers
    weights: dict[str, Tensor]
    positions: int
    step: int
    scores: dict[str, float]
    training: Training | None = None


class Description(Numbers):
    """The content of `checkpoint.json`. `files` has the SHA-256 of each other file."""

    format: int
    step: NonNegativeInt
    scores: dict[str, float]
    positions: PositiveInt
    configuration: dict[str, Any]
    versions: dict[str, str]
    files: dict[str, str]
    state: State | None


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Writes the checkpoint to `folder`, which it replaces, and flushes it to the disk."""
    contents = {WEIGHTS: save(_plain(checkpoint.weights)), SOURCE: checkpoint.tokenizers.source.model}
    if not checkpoint.tokenizers.joint:
        contents[TARGET] = checkpoint.tokenizers.target.model
    if checkpoint.training is not None:
        contents[TRAINING] = save(_plain(checkpoint.training.tensors))
    description = {
        "format": FORMAT,
        "step": checkpoint.step,
        "scores": checkpoint.scores,
        "positions": checkpoint.positions,
        "configuration": checkpoint.configuration,
        "versions": {"seq2seq": __version__, "torch": torch.__version__, "sentencepiece": sentencepiece.__version__},
        "files": {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()},
        "state": None if checkpoint.training is None else checkpoint.training.state.model_dump(),
    }
    contents[DESCRIPTION] = (json.dumps(description, indent=2, ensure_ascii=False) + "\n").encode()
    contents[SEAL] = seal(contents[DESCRIPTION])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        for name, content in contents.items():
            with (folder / name).open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        sync_folder(folder)
    except OSError as error:  # such as a full disk: half a checkpoint must not use up its space
        shutil.rmtree(folder, ignore_errors=True)
        raise OSError(error.errno, error.strerror, str(folder)) from error  # the error of a full disk names no file


def seal(description: bytes) -> bytes:
    """The content of `checkpoint.json.sha256` for this content of `checkpoint.json`."""
    return f"{hashlib.sha256(description).hexdigest()}  {DESCRIPTION}\n".encode()


def hash_weights(checkpoint: Checkpoint) -> str:
    """The SHA-256 of the checkpoint's `weights.safetensors`."""
    return hashlib.sha256(save(_plain(checkpoint.weights))).hexdigest()


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def read(folder: Path, training: bool) -> Checkpoint:
    """Reads a checkpoint, with its training state if `training`. Raises InputError where a file is damaged."""
    description = read_description(folder)
    if training and description.state is None:
        raise InputError(
            f"checkpoint {folder} holds no training state: give a run folder, whose checkpoints/last has one"
        )
    try:
        _check_files(folder, description, training)
        source = read_tokenizer((folder / SOURCE).read_bytes())
        target = read_tokenizer((folder / TARGET).read_bytes()) if (folder / TARGET).exists() else source
        return Checkpoint(
            configuration=description.configuration,
            tokenizers=Tokenizers(source, target),
            weights=load_file(folder / WEIGHTS),
            positions=description.positions,
            step=description.step,
            scores=description.scores,
            training=Training(load_file(folder / TRAINING), description.state)
            if training and description.state
            else None,
        )
    except InputError as error:  # its message names no folder
        raise InputError(f"checkpoint {folder} is damaged: {error}") from None
    except (OSError, SafetensorError) as error:
        raise InputError(f"checkpoint {folder} is damaged: {type(error).__name__}: {error}") from None


def _check_files(folder: Path, description: Description, training: bool) -> None:
    """Raises InputError where a file is missing, has changed since it was written, or is not a plain file."""
    expected = {WEIGHTS, SOURCE} | ({TARGET} if TARGET in description.files or (folder / TARGET).exists() else set())
    if description.state is not None:
        expected.add(TRAINING)
    hashed = description.format > 1
    if hashed and (differing := expected ^ description.files.keys()):
        raise InputError(f"{DESCRIPTION} and the folder do not agree on {', '.join(sorted(differing))}")
    for name in sorted(expected if training else expected - {TRAINING}):
        _check_plain(folder / name)
        if name in (SOURCE, TARGET):
            _check_size(name, (folder / name).stat().st_size, LONGEST_TOKENIZER)
        with (folder / name).open("rb") as file:
            if hashed and hashlib.file_digest(file, "sha256").hexdigest() != description.files[name]:
                raise InputError(f"{name} is not what was written (its SHA-256 differs)")
            if name in (WEIGHTS, TRAINING):
                file.seek(0)
                _check_size(f"the header of {name}", int.from_bytes(file.read(8), "little"), LONGEST_HEADER)


def _check_plain(path: Path) -> None:
    """Raises InputError for a link, a folder, a pipe or a device."""
    if not stat.S_ISREG(path.lstat().st_mode):
        raise InputError(f"{path.name} is not a plain file")


def _check_size(name: str, size: int, limit: int) -> None:
    if size > limit:
        raise InputError(f"{name} has {size:,} bytes, and the limit is {limit:,}")


def read_description(folder: Path) -> Description:
    """Reads `checkpoint.json`, upgraded from older formats. Raises InputError where it is missing or damaged."""
    path = folder / DESCRIPTION
    if not folder.is_dir():
        raise InputError(f"no checkpoint at {folder}: give a folder such as runs/NAME/checkpoints/best")
    if not path.is_file():
        patterns = (f"[!.]*/{DESCRIPTION}", f"checkpoints/[!.]*/{DESCRIPTION}")
        inside = sorted(str(file.parent) for pattern in patterns for file in folder.glob(pattern))
        raise InputError(
            f"{folder} is not a checkpoint (it has no {DESCRIPTION}); "
            + (f"there are checkpoints in {', '.join(inside)}" if inside else "give runs/NAME/checkpoints/best")
        )
    try:
        _check_plain(path)
        _check_size(DESCRIPTION, path.stat().st_size, LONGEST_DESCRIPTION)
        content = path.read_bytes()
        _check_seal(folder / SEAL, content)
        values = json.loads(content.decode(), object_pairs_hook=_unique_keys)
        version = values.get("format") if isinstance(values, dict) else None
        if type(version) is int and 1 <= version <= FORMAT:
            if version > 2 and not (folder / SEAL).exists():
                raise InputError(f"{SEAL} is missing")
            return Description.model_validate_json(json.dumps(upgrade(values)))
    except ValidationError as error:
        detail = error.errors()[0]
        key = ".".join(map(str, detail["loc"]))
        where = f"{DESCRIPTION}, {key}" if key else DESCRIPTION
        raise InputError(f"checkpoint {folder} is damaged: {where}: {detail['msg']}") from None
    except InputError as error:
        raise InputError(f"checkpoint {folder} is damaged: {error}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"checkpoint {folder} is damaged: {DESCRIPTION} is not valid JSON ({error})") from None
    raise InputError(f"checkpoint {folder} has format {version}; this version of seq2seq reads formats 1 to {FORMAT}")


def _check_seal(path: Path, description: bytes) -> None:
    """Raises InputError where the hash is not that of the description. Checkpoints of formats 1 and 2 have no hash."""
    if os.path.lexists(path):
        _check_plain(path)
        expected = seal(description)
        with path.open("rb") as file:
            if file.read(len(expected) + 1) != expected:
                raise InputError(f"{DESCRIPTION} is not what was written (its SHA-256 differs from {SEAL})")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError for a duplicate key, of which two readers may take two different values."""
    values = dict(pairs)
    if len(values) < len(pairs):
        raise ValueError("a key occurs twice")
    return values
