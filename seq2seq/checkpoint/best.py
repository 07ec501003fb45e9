"""`best`, `best-2`, ...: the checkpoints of the best validations."""

import shutil
from pathlib import Path

from seq2seq.checkpoint.files import Checkpoint, read_description, write
from seq2seq.checkpoint.storage import parked_path, swap
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import sync_folder


def keep_best(latest: Checkpoint, folder: Path) -> None:
    """Makes `best`, `best-2`, ... in the folder what the ranking in the latest checkpoint's training says.

    Each is there already, wherever an interruption left it, or it is the latest. So this can be done again.
    """
    assert latest.training is not None
    steps = [step for _, step, _ in latest.training.state.standing.ranking]
    targets = [folder / ("best" if rank == 1 else f"best-{rank}") for rank in range(1, len(steps) + 1)]
    ranked = (path for path in folder.glob("best-*") if path.name.removeprefix("best-").isdecimal())
    others = [path for path in ranked if path not in targets]  # of a run that was to keep more, or had come further
    found = {_step(path): path for target in (*others, *targets) for path in (parked_path(target), target)}
    if latest.step in steps and latest.step not in found:
        found[latest.step] = folder / ".best.partial"
        write(latest._replace(training=None), found[latest.step])
    for step, target in zip(steps, targets, strict=True):
        if step in found and found[step] != target:
            parked = swap(found[step], target)
            found = {other: parked if path == target else path for other, path in found.items()}
            found[step] = target
    sync_folder(folder)
    for path in (*others, *map(parked_path, targets)):
        shutil.rmtree(path, ignore_errors=True)


def _step(folder: Path) -> int | None:
    try:
        return read_description(folder).step
    except InputError:
        return None
