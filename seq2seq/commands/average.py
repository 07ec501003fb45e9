"""Average the weights of checkpoints of one model: a new checkpoint, often a better one than each of them.

python scripts/average.py runs/NAME/checkpoints/best runs/NAME/checkpoints/best-2 output=runs/NAME/checkpoints/average

Train with training.keep_best=5 to have best to best-5. A run folder stands for its best checkpoint. All checkpoints
must have the same model and the same tokenizers. The result is a checkpoint like any other.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from seq2seq import checkpoint
from seq2seq.checkpoint import Checkpoint
from seq2seq.commands.fine_tuning import FREE, LANGUAGES, MODEL, differing_keys, value_at
from seq2seq.commands.output_folder import check_output, parse_paths
from seq2seq.runtime.errors import InputError, print_errors
from seq2seq.trained_model import checkpoint_folder, trained_configuration

COMPARED = (*MODEL, *LANGUAGES, "dataset.normalization", "mistake")
"""Sections and options of the configuration that all checkpoints must have in common."""


def average(paths: Sequence[Path], output: Path) -> Checkpoint:
    """Writes the mean of the checkpoints' weights to the folder `output`, and returns what it wrote.

    `w = (w_1 + ... + w_n) / n` for each weight (Polyak and Juditsky 1992 average over time), summed in float64: the
    order matters by rounding at most. Configuration and tokenizers are those of the first, the step is the greatest.
    Raises InputError for fewer than two checkpoints, for checkpoints of different models or tokenizers, and for an
    output that exists.
    """
    if len(paths) < 2:
        raise InputError(f"expected two checkpoints or more, found {len(paths)}: give runs/NAME/checkpoints/best ...")
    folders = [checkpoint_folder(path) for path in paths]
    check_output(output, folders)
    resolved = [folder.resolve() for folder in folders]
    if repeated := [folder for i, folder in enumerate(folders) if resolved[i] in resolved[:i]]:
        raise InputError(f"{repeated[0]}: the checkpoint is given twice, and would count twice; give each once")
    first = checkpoint.load(folders[0])
    sums = {name: weight.double() for name, weight in first.weights.items()}
    step = first.step
    _check_same_model(first, folders[0], first, folders[0])
    for folder in folders[1:]:
        other = checkpoint.load(folder)
        _check_same_model(first, folders[0], other, folder)
        sums = {name: total + other.weights[name].double() for name, total in sums.items()}
        step = max(step, other.step)
    weights = {name: (total / len(folders)).to(first.weights[name].dtype) for name, total in sums.items()}
    mean = first._replace(weights=weights, step=step, scores={})
    checkpoint.store(mean, output)
    return mean


def _check_same_model(first: Checkpoint, first_folder: Path, other: Checkpoint, folder: Path) -> None:
    """Raises InputError where the other checkpoint is damaged, or has another model or other tokenizers."""
    here, there = (
        trained_configuration(loaded, path).model_dump(mode="json")
        for loaded, path in ((other, folder), (first, first_folder))
    )
    free = {*FREE} - {"temperature"}  # that of softmax belongs to the model
    differing = [key for key in differing_keys(here, there, COMPARED) if key.rpartition(".")[2] not in free]
    if differing:
        key = differing[0]
        raise InputError(
            f"{folder}: it has {key}={value_at(here, key)}, and {first_folder} has {value_at(there, key)}: only "
            "checkpoints of one model have an average"
        )
    if [tokenizer.model for tokenizer in other.tokenizers] != [tokenizer.model for tokenizer in first.tokenizers]:
        raise InputError(
            f"{folder}: its tokenizers are not those of {first_folder}, so the same weight stands for another subword: "
            "only checkpoints with the same tokenizers have an average"
        )
    for name, weight in first.weights.items():
        if other.weights[name].shape != weight.shape:  # weights for each position of the source
            raise InputError(
                f"{folder}: {name} has the shape {tuple(other.weights[name].shape)}, and in {first_folder} "
                f"{tuple(weight.shape)}: only checkpoints of one model have an average"
            )


def main() -> None:
    """Averages the checkpoints of the command line."""
    with print_errors():
        run(sys.argv[1:])


def run(arguments: list[str]) -> None:
    """Writes the average, and prints what it is of. Raises what `average` raises."""
    paths, output = parse_paths(
        arguments,
        name="average",
        usage="CHECKPOINT CHECKPOINT ... output=FOLDER",
        description=__doc__,
        advice="the folder of the average once, output=runs/NAME/checkpoints/average",
    )
    mean = average(paths, Path(output))
    print(f"{output}: the average of {len(paths)} checkpoints, up to step {mean.step:,}")
