"""Kills a small training run at random instants, resumes it, and compares: `python -m tests.support.soak --kills 50`.

What an uninterrupted run leaves must be left: the bits of the weights, of the optimiser and of the random numbers, the
scores, and the curves. Only what a clock said may differ.
"""

import argparse
import hashlib
import json
import random
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seq2seq import checkpoint
from tests.support.programs import SMALL, TEXT, command, write_corpus

RUN = [*TEXT, *SMALL, "attention=general", "attention.distribution=hard", "model.dropout=0.2", "search=beam"]
RUN += ["training.batch.size=128", "training.accumulate=2", "training.learning_rate=0.01"]
RUN += ["training.validate_every=20", "training.log_every=9", "training.save_every=7", "training.keep_best=3"]
RUN += ["training.metric=loss", "dataset.longest=40", "search.size=2"]
CLOCKS = ("seconds", "target_tokens_per_second", "sentences_per_second")


def outcome(run: Path) -> dict[str, Any]:
    """All that must be as in an uninterrupted run."""
    last = json.loads((run / "checkpoints" / "last" / "checkpoint.json").read_text())
    files = [path for suffix in ("safetensors", "model") for path in run.glob(f"checkpoints/[!.]*/*.{suffix}")]
    files += run.glob("results.test.*")
    events = EventAccumulator(
        str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0, "tensors": 0}
    ).Reload()
    tags = events.Tags()
    pictures = {
        tag: [(event.step, event.encoded_image_string) for event in events.Images(tag)] for tag in tags["images"]
    }
    texts = {tag: [event.step for event in events.Tensors(tag)] for tag in tags["tensors"] if "hparams" not in tag}
    return {
        "files": {str(path.relative_to(run)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files},
        "state": _timeless(last["state"]),
        "results": _timeless(json.loads((run / "results.json").read_text())),
        "curves": {
            tag: [(event.step, event.value) for event in events.Scalars(tag)]
            for tag in tags["scalars"]
            if not tag.endswith(CLOCKS)
        },
        "pictures": {
            tag: [(step, hashlib.sha256(image).hexdigest()) for step, image in pictures[tag]] for tag in pictures
        },
        "texts": texts,
        "folders": sorted(path.name for path in run.glob("checkpoints/[!.]*")),
    }


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(inner) for key, inner in value.items() if key not in (*CLOCKS, "events")}
    return value


def differences(wanted: Any, found: Any, name: str = "") -> Iterator[str]:
    """Where two outcomes differ."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted(wanted.keys() | found.keys()):
            yield from differences(wanted.get(key), found.get(key), f"{name}.{key}")
    elif wanted != found:
        yield f"{name[1:]}: {found} where an uninterrupted run has {wanted}"


def begin(folder: Path, run: Path, steps: int) -> subprocess.Popen[bytes]:
    """Starts the run, or takes it up where there is a checkpoint."""
    words = [*RUN, f"training.steps={steps}", f"hydra.run.dir={run}"]
    if checkpoint.exists(run / "checkpoints" / "last"):
        words = [f"resume={run}"]
    return subprocess.Popen(command("train", *words), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(process: subprocess.Popen[bytes]) -> None:
    """Waits for the end, which must be a good one."""
    printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed.decode()


def kill(process: subprocess.Popen[bytes], run: Path, draw: random.Random) -> str | None:
    """Kills the process at a random instant; where it was, or None if it had ended before."""
    size = len(_log(run))
    if draw.random() < 0.8:  # else while it starts, which takes longer than the training
        while "step " not in _log(run)[size:].replace("after step", "") and process.poll() is None:
            time.sleep(0.01)
    time.sleep(draw.uniform(0, 3))
    if process.poll() is not None:
        finish(process)
        return None
    process.kill()
    process.communicate()
    left = sorted(path.name for path in run.glob("checkpoints/.*"))
    line = (_log(run).splitlines() or ["before the first line"])[-1]
    return f"{line[:60]}  {' '.join(left)}"


def _log(run: Path) -> str:
    path = run / "train.log"
    return path.read_text() if path.exists() else ""


def soak(folder: Path, *, kills: int, seed: int, steps: int = 150) -> list[str]:
    """Kills so often, over as many runs as that takes; where each came. Asserts that every run ends as it should."""
    draw = random.Random(seed)
    write_corpus(folder)
    whole = folder / "runs" / "whole"
    finish(begin(folder, whole, steps))
    wanted = outcome(whole)
    where: list[str] = []
    while len(where) < kills:
        run = folder / "runs" / f"killed-after-{len(where)}"
        while not (run / "results.json").exists():
            process = begin(folder, run, steps)
            if len(where) == kills:
                finish(process)
            elif (place := kill(process, run, draw)) is not None:
                where.append(place)
                print(f"{len(where):3}  {run.name}: {place}", flush=True)
        found = list(differences(wanted, outcome(run)))
        assert not found, "\n".join(found)
        print(f"     {run.name}: as if it had never been killed", flush=True)
    return where


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        soak(Path(temporary), kills=options.kills, seed=options.seed)
