"""How a person starts a program, for help and messages: from a checkout, or as the installed command."""

import sys
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[2]
IN_SCRIPTS = ("average", "compare", "export", "grammar")
"""Programs that stand in the folder `scripts` of a checkout."""


def program(name: str, *, processes: int = 1) -> str:
    """The command for `name`: `python train.py` if a program of the checkout is running, else `seq2seq train`.

    For several processes, `torchrun` starts the file or the package.
    """
    started = Path(sys.argv[0]).resolve()  # in a program that uses the library, its own file
    if started.suffix == ".py" and started.parent in (_CHECKOUT, _CHECKOUT / "scripts"):
        target = f"scripts/{name}.py" if name in IN_SCRIPTS else f"{name}.py"
        return f"python {target}" if processes == 1 else f"torchrun --nproc_per_node={processes} {target}"
    return f"seq2seq {name}" if processes == 1 else f"torchrun --nproc_per_node={processes} -m seq2seq {name}"
