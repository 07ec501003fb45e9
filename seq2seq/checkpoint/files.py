"""A trained model on disk: a folder of plain data, never half written, and nothing in it is a program.

    weights.safetensors  source.model  target.model  checkpoint.json      all that translation needs
    training.safetensors                                                  in `last`: what training needs to go on
    checkpoint.json.sha256                                                its hash; it holds those of the other files

Written beside its place, flushed to the disk, and renamed. What stood there before is parked as `.NAME.old` until the
new one is in its place, and a reader who finds nothing whole in the place takes that one. So there is a whole
checkpoint at every instant, whatever interrupts the writer. The one before `last` stays, in case a disk spoils `last`.
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
from seq2seq.text.tokenizer import Tokenizer, Tokenizers

FORMAT = 3  # raise it when the same names come to mean other things
DESCRIPTION = "checkpoint.json"
SEAL = f"{DESCRIPTION}.sha256"  # as `sha256sum` writes it, and `sha256sum --check` reads it
WEIGHTS, TRAINING, SOURCE, TARGET = "weights.safetensors", "training.safetensors", "source.model", "target.model"
# In bytes: ours are far smaller, and what is larger costs memory to take apart.
LONGEST_DESCRIPTION = 2**20
LONGEST_TOKENIZER = 2**27
LONGEST_HEADER = 2**20  # a safetensors file's table of its tensors

log = logging.getLogger(__name__)


class Training(NamedTuple):
    """What training needs to go on: tensors of the optimiser and of the random generators by name, and numbers."""

    tensors: dict[str, Tensor]
    state: State


class Checkpoint(NamedTuple):
    """Everything a model needs to translate; with `training`, all that a run needs to go on.

    `weights` are the model's parameters by name, a shared one under its first name only. `configuration` is the
    training run's; `positions` the greatest source length in tokens that it was built for. `scores` are those of a
    validation at this step, if there was one.
    """

    configuration: dict[str, Any]
    tokenizers: Tokenizers
    weights: dict[str, Tensor]
    positions: int
    step: int
    scores: dict[str, float]
    training: Training | None = None


class Description(Numbers):
    """`checkpoint.json`. `files` has the SHA-256 of each other file."""

    format: int
    step: NonNegativeInt
    scores: dict[str, float]
    positions: PositiveInt
    configuration: dict[str, Any]
    versions: dict[str, str]
    files: dict[str, str]
    state: State | None


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Writes the checkpoint to `folder`, and does not return before the disk has it."""
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
    except OSError as error:  # such as a full disk, which half a checkpoint should not keep full
        shutil.rmtree(folder, ignore_errors=True)
        raise OSError(error.errno, error.strerror, str(folder)) from error  # a disk that is full names no file


def seal(description: bytes) -> bytes:
    """What `checkpoint.json.sha256` holds beside this `checkpoint.json`."""
    return f"{hashlib.sha256(description).hexdigest()}  {DESCRIPTION}\n".encode()


def _plain(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}


def read(folder: Path, training: bool) -> Checkpoint:
    description = read_description(folder)
    if training and description.state is None:
        raise InputError(f"checkpoint {folder} holds no state of training: give a run, whose checkpoints/last does")
    try:
        _check_files(folder, description, training)
        source = Tokenizer((folder / SOURCE).read_bytes())
        target = Tokenizer((folder / TARGET).read_bytes()) if (folder / TARGET).exists() else source
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
    except InputError as error:  # from a tokenizer, which knows no file
        raise InputError(f"checkpoint {folder} is damaged: {error}") from None
    except (OSError, SafetensorError) as error:
        raise InputError(f"checkpoint {folder} is damaged: {type(error).__name__}: {error}") from None


def _check_files(folder: Path, description: Description, training: bool) -> None:
    """Raises InputError where a file is missing, is another than was written, or is no plain file."""
    wanted = {WEIGHTS, SOURCE} | ({TARGET} if TARGET in description.files or (folder / TARGET).exists() else set())
    if description.state is not None:
        wanted.add(TRAINING)
    hashed = description.format > 1
    if hashed and (differing := wanted ^ description.files.keys()):
        raise InputError(f"{DESCRIPTION} and the folder do not agree on {', '.join(sorted(differing))}")
    for name in sorted(wanted if training else wanted - {TRAINING}):
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
    if not stat.S_ISREG(path.lstat().st_mode):
        raise InputError(f"{path.name} is no plain file")


def _check_size(name: str, size: int, most: int) -> None:
    if size > most:
        raise InputError(f"{name} has {size:,} bytes, and at most {most:,} make sense")


def read_description(folder: Path) -> Description:
    path = folder / DESCRIPTION
    if not folder.is_dir():
        raise InputError(f"no checkpoint at {folder}: give a folder such as runs/NAME/checkpoints/best")
    if not path.is_file():
        inside = sorted(
            str(one.parent) for way in ("[!.]*", "checkpoints/[!.]*") for one in folder.glob(f"{way}/{DESCRIPTION}")
        )
        raise InputError(
            f"{folder} is no checkpoint (it has no {DESCRIPTION}); "
            + (f"there are checkpoints in {', '.join(inside)}" if inside else "give runs/NAME/checkpoints/best")
        )
    try:
        _check_plain(path)
        _check_size(DESCRIPTION, path.stat().st_size, LONGEST_DESCRIPTION)
        content = path.read_bytes()
        _check_seal(folder / SEAL, content)
        values = json.loads(content.decode(), object_pairs_hook=_each_once)
        found = values.get("format") if isinstance(values, dict) else None
        if type(found) is int and 1 <= found <= FORMAT:
            if found > 2 and not (folder / SEAL).exists():
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
        raise InputError(f"checkpoint {folder} is damaged: {DESCRIPTION} is no JSON of ours ({error})") from None
    raise InputError(f"checkpoint {folder} has format {found}; this version of seq2seq reads formats 1 to {FORMAT}")


def _check_seal(path: Path, description: bytes) -> None:
    """Raises InputError where the hash is not that of the description; checkpoints of formats 1 and 2 have none."""
    if os.path.lexists(path):
        _check_plain(path)
        expected = seal(description)
        with path.open("rb") as file:
            if file.read(len(expected) + 1) != expected:
                raise InputError(f"{DESCRIPTION} is not what was written (its SHA-256 differs from {SEAL})")


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Of a key that stands twice, two readers may see two different values."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found
