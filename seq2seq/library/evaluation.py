"""`seq2seq.evaluate`: scores a checkpoint as `evaluate.py` does."""

import json
import logging
import os
from collections.abc import Sequence
from typing import Any

from omegaconf import OmegaConf

from seq2seq.commands.composition import compose_options, hydra_errors
from seq2seq.commands.scoring import score
from seq2seq.config import Evaluate
from seq2seq.config import load as load_configuration
from seq2seq.library.inputs import check_overrides
from seq2seq.library.loading import StrPath, checkpoint_folders
from seq2seq.runtime.device import restored_settings

log = logging.getLogger(__name__)


def evaluate(
    checkpoint: StrPath | Sequence[StrPath],
    *overrides: str,
    split: str | None = None,
    source: StrPath | None = None,
    target: StrPath | None = None,
    output: StrPath | None = None,
) -> dict[str, Any]:
    """Scores a checkpoint, or the best one of a run folder. Returns what `evaluation.json` holds.

    A list of several is scored as an ensemble; it needs `output`.

    `overrides` are options as on the command line of `evaluate.py`, such as "search=beam". `split` is "test",
    "validation" or "train"; `source` and `target` are two files that are scored instead; `evaluation.json` and the
    translations are written to the folder `output`, or to the run folder. Warnings about the text are logged.
    Raises InputError with the sentence that `evaluate.py` prints.
    """
    check_overrides(overrides)
    folders = checkpoint_folders(checkpoint)
    composed, _ = compose_options("evaluate", overrides, Evaluate)
    with hydra_errors(Evaluate):
        values: Any = OmegaConf.to_container(composed, resolve=True)
    arguments = {"split": split, "source": source, "target": target, "output": output}
    values |= {key: os.fspath(value) for key, value in arguments.items() if value is not None}
    options = load_configuration(Evaluate, values | {"checkpoint": [str(folder) for folder in folders]})
    with restored_settings():
        scored = score(options)
    for line in [*filter(None, [scored.warning]), *scored.remarks]:
        log.warning("%s", line)
    results: dict[str, Any] = json.loads(json.dumps(scored.results))
    return results
