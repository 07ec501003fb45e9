"""`best`, `best-2`, ...: the checkpoints of the best validations."""

import shutil
from pathlib import Path

from seq2seq.checkpoint.files import Checkpoint, log, read, read_description, write
from seq2seq.checkpoint.state import AVERAGE
from seq2seq.checkpoint.storage import parked_path, swap
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import sync_folder


def keep_best(latest: Checkpoint, folder: Path, *, check_files: bool = False) -> None:
    """Arranges `best`, `best-2`, ... in the folder as the ranking in the latest checkpoint's training state says.

    Each of them is either the latest checkpoint or already in the folder, under whatever name an interruption left it.
    So calling this again after an interruption completes the work. With `check_files`, a damaged one counts as missing.
    """
    assert latest.training is not None
    steps = [step for _, step, _ in latest.training.state.standing.ranking]
    targets = [folder / ("best" if rank == 1 else f"best-{rank}") for rank in range(1, len(steps) + 1)]
    ranked = (path for path in folder.glob("best-*") if path.name.removeprefix("best-").isdecimal())
    others = [path for path in ranked if path not in targets]  # from a time with a larger training.keep_best
    paths = [path for target in (*others, *targets) for path in (parked_path(target), target)]
    by_step = {_step(path, check_files): path for path in paths}
    if latest.step in steps and latest.step not in by_step:
        by_step[latest.step] = folder / ".best.partial"
        write(_to_keep(latest), by_step[latest.step])
    for step, target in zip(steps, targets, strict=True):
        if step in by_step and by_step[step] != target:
            parked = swap(by_step[step], target)
            by_step = {other: parked if path == target else path for other, path in by_step.items()}
            by_step[step] = target
    sync_folder(folder)
    for path in (*others, *map(parked_path, targets)):
        shutil.rmtree(path, ignore_errors=True)


def _to_keep(latest: Checkpoint) -> Checkpoint:
    """The checkpoint without its training state; with the averaged weights where these are better."""
    assert latest.training is not None
    tensors, scores = latest.training.tensors, latest.training.state.average
    if not scores:
        return latest._replace(training=None)
    weights = {name: tensors.get(f"{AVERAGE}{name}", weight) for name, weight in latest.weights.items()}
    return latest._replace(weights=weights, scores=scores, training=None)


def _step(folder: Path, check_files: bool) -> int | None:
    """The step of the checkpoint in the folder; None where there is none that can be read."""
    try:
        return read(folder, training=False).step if check_files else read_description(folder).step
    except InputError as error:
        if check_files and folder.exists():
            log.warning("%s", error)
        return None
