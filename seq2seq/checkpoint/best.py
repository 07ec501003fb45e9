"""`best`, `best-2`, ...: the checkpoints of the best validations."""

import shutil
from pathlib import Path

from seq2seq.checkpoint.format import Checkpoint, read_description, write
from seq2seq.checkpoint.storage import parked_path, swap
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import sync_folder


def keep_best(latest: Checkpoint, folder: Path) -> None:
    """Makes `best`, `best-2`, ... in the folder what the ranking in the latest checkpoint's training says.

    Each is there already, wherever an interruption left it, or it is the latest. So this can be done again.
    """
    assert latest.training is not None
    steps = [step for _, step, _ in latest.training.state.standing.ranking]
    places = [folder / ("best" if rank == 1 else f"best-{rank}") for rank in range(1, len(steps) + 1)]
    ranked = (path for path in folder.glob("best-*") if path.name.removeprefix("best-").isdecimal())
    others = [path for path in ranked if path not in places]  # of a run that was to keep more, or had come further
    found = {_step(path): path for place in (*others, *places) for path in (parked_path(place), place)}
    if latest.step in steps and latest.step not in found:
        found[latest.step] = folder / ".best.partial"
        write(latest._replace(training=None), found[latest.step])
    for step, place in zip(steps, places, strict=True):
        if step in found and found[step] != place:
            parked = swap(found[step], place)
            found = {other: parked if path == place else path for other, path in found.items()}
            found[step] = place
    sync_folder(folder)
    for path in (*others, *map(parked_path, places)):
        shutil.rmtree(path, ignore_errors=True)


def _step(folder: Path) -> int | None:
    try:
        return read_description(folder).step
    except InputError:
        return None
