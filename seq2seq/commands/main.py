"""How programs start, and the command `seq2seq`: each program under one name, as `seq2seq train attention=dot`."""

import os
import signal
import sys
from importlib import import_module
from typing import NoReturn

from seq2seq import __version__
from seq2seq.runtime.errors import print_errors

PROGRAMS = {
    "train": "train a model, or resume a run",
    "evaluate": "score a checkpoint: BLEU, chrF, TER, perplexity",
    "translate": "translate standard input to standard output",
    "score": "the log-probability of given translations",
    "compare": "train and compare attention rules, with a report",
    "average": "average the weights of checkpoints of one model",
    "export": "write a model as ONNX, for programs without PyTorch",
    "grammar": "print or write the built-in corpus",
    "serve": "show models in the browser, and answer requests over HTTP",
}
MODULES = {"serve": "seq2seq.web.serve"}
"""Programs that stand on another floor than this one."""


def main() -> None:
    """Starts the program that the first argument names. The others are its arguments."""
    name, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("--help", [])
    if name in ("-h", "--help", "help"):
        _print_help()
    elif name in ("--version", "-V"):
        print(f"seq2seq {__version__}")
    elif name in PROGRAMS:
        sys.argv = [f"seq2seq {name}", *arguments]
        start(name)
    else:
        with print_errors():
            _refuse(name)


def start(name: str) -> None:
    """Imports a program and starts it.

    PyTorch takes seconds to import. Meanwhile Ctrl-C ends the process at once: a KeyboardInterrupt would become another
    error in the midst of an import, or be lost.
    """
    is_default = signal.getsignal(signal.SIGINT) is signal.default_int_handler  # it may be ignored, as after `nohup`
    if is_default:
        signal.signal(signal.SIGINT, _end_at_once)
    program = import_module(MODULES.get(name, f"seq2seq.commands.{name}"))
    if is_default:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    program.main()


def _end_at_once(*_: object) -> NoReturn:
    os.write(2, b"error: interrupted\n")
    os._exit(130)


def _print_help() -> None:
    width = max(map(len, PROGRAMS))
    print("Train, evaluate and study recurrent translation models with attention.\n")
    for name, purpose in PROGRAMS.items():
        print(f"  seq2seq {name:{width}}  {purpose}")
    print("\n`seq2seq NAME --help` explains the options of a program, `seq2seq --version` prints the version.")


def _refuse(name: str) -> None:
    from seq2seq.config import near  # it imports pydantic, which the other paths do not need yet
    from seq2seq.runtime.errors import InputError

    raise InputError(f"{name}: no such program, {near(name, PROGRAMS)}")
