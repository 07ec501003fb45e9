"""Programs that make a new folder of checkpoints: `CHECKPOINT ... output=FOLDER`, and what the folder must not be."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from seq2seq.runtime.errors import InputError
from seq2seq.runtime.program_name import program


def parse_paths(
    arguments: list[str], *, name: str, usage: str, description: str | None, advice: str
) -> tuple[list[Path], str]:
    """The checkpoints of a command line, and the new folder as it was typed.

    `name` is the program, and `description` its help, which has the name `scripts/NAME.py`. Raises InputError where the
    folder is not given once; `advice` says how it is given.
    """
    assert description is not None
    parser = argparse.ArgumentParser(
        prog=program(name),
        usage=f"{program(name)} {usage}",
        description=description.replace(f"python scripts/{name}.py", program(name)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("words", nargs="*", metavar="CHECKPOINT", help="a checkpoint or a run folder; output=FOLDER")
    words: list[str] = parser.parse_args(arguments).words
    outputs = [word.removeprefix("output=") for word in words if word.startswith("output=")]
    if len(outputs) != 1 or not outputs[0]:
        raise InputError(f"output: give {advice}")
    return [Path(word) for word in words if not word.startswith("output=")], outputs[0]


def check_output(output: Path, folders: Sequence[Path]) -> None:
    """Raises InputError where the output exists, lies inside a checkpoint, or has a name that training uses."""
    if output.exists() or output.is_symlink():
        raise InputError(f"output={output}: it exists already, and nothing is replaced: name a new folder")
    resolved = output.resolve()
    inside = [folder for folder in folders if resolved.is_relative_to(folder.resolve())]
    if inside:
        raise InputError(f"output={output}: it is inside the checkpoint {inside[0]}; name a folder beside it")
    if resolved.parent.name == "checkpoints" and (
        resolved.name in ("best", "last") or resolved.name.startswith("best-")
    ):
        raise InputError(
            f"output={output}: training writes and removes its own checkpoints of such names; choose another name, "
            f"output={output.parent / 'average'}"
        )
