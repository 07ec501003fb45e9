"""Write a model as ONNX, for programs without PyTorch: docs/onnx.md has one of 40 lines that translates.

python scripts/export.py runs/NAME output=FOLDER

A run folder stands for its best checkpoint. The new folder has the encoder and one step of the decoder as ONNX, both
SentencePiece models, and model.json with the names of inputs and outputs. ONNX Runtime must compute what
PyTorch computes, up to rounding, before the folder is written.
"""

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from seq2seq import __version__, checkpoint, config
from seq2seq.checkpoint import Checkpoint
from seq2seq.commands.output_folder import check_output, parse_paths
from seq2seq.nn.model import Model
from seq2seq.runtime.errors import InputError, print_errors
from seq2seq.runtime.files import new_folder, write_json
from seq2seq.text.tokenizer import BOS, EOS, PAD, UNK, SubwordTokenizer
from seq2seq.trained_model import build_trained, checkpoint_folder

FORMAT = 1
"""Of `model.json`: raise it when the meaning of a name changes."""
PACKAGES = ("onnx", "onnxruntime")


def export(path: Path, output: Path) -> None:
    """Writes the checkpoint at `path` as ONNX to the new folder `output`.

    Raises InputError for an output that exists, for packages that are not installed, and what `onnx_graphs` raises.
    """
    if missing := [name for name in PACKAGES if find_spec(name) is None]:
        raise InputError(
            f"export needs {missing[0]}, which is not installed: `pip install {' '.join(PACKAGES)}` installs it"
        )
    folder = checkpoint_folder(path)
    check_output(output, [folder])
    from seq2seq.decoding.onnx_graphs import interface, onnx_graphs

    loaded = checkpoint.load(folder)
    configuration, model = build_trained(loaded, folder)
    if not all(isinstance(tokenizer, SubwordTokenizer) for tokenizer in loaded.tokenizers):
        raise InputError(
            f"{folder} has a vocabulary of dataset.tokenizer={configuration.dataset.tokenizer}, which no other program "
            "reads; an exported model needs unigram or bpe"
        )
    graphs = onnx_graphs(model)._asdict()
    description = describe(configuration, loaded, model)
    with new_folder(output) as partial:
        for side, tokenizer in loaded.tokenizers._asdict().items():
            (partial / f"{side}.model").write_bytes(tokenizer.model)
        for name, graph in graphs.items():
            (partial / f"{name}.onnx").write_bytes(graph)
            description[name] = interface(graph)
        write_json(partial / "model.json", description)


def describe(configuration: config.Train, loaded: Checkpoint, model: Model) -> dict[str, Any]:
    """The part of `model.json` that does not depend on the graphs."""
    dataset, longest = configuration.dataset, model.longest_source
    return {
        "format": FORMAT,
        "seq2seq": __version__,
        "step": loaded.step,
        "languages": {"source": dataset.source, "target": dataset.target},
        "normalization": dataset.normalization,
        "longest_source": None if longest is None else longest - 1,  # without EOS
        "ids": {"padding": PAD, "unknown": UNK, "begin": BOS, "end": EOS},
    }


def main() -> None:
    """Writes the checkpoint of the command line as ONNX."""
    with print_errors():
        run(sys.argv[1:])


def run(arguments: list[str]) -> None:
    """Writes the folder, and prints its name. Raises what `export` raises."""
    paths, output = parse_paths(
        arguments,
        name="export",
        usage="CHECKPOINT output=FOLDER",
        description=__doc__,
        advice="the new folder once, output=FOLDER",
    )
    if len(paths) != 1 or (any(sign in str(paths[0]) for sign in "=[") and not paths[0].exists()):
        found = " ".join(map(str, paths)) or "none"
        raise InputError(
            f"expected one checkpoint, such as runs/NAME or runs/NAME/checkpoints/best, without options; found {found}"
        )
    export(paths[0], Path(output))
    print(f"{output}: encoder.onnx, decoder.onnx, source.model, target.model, model.json")
