"""The program `seq2seq serve`: Hydra composes the options, and the server answers until a signal ends it."""

import signal
import sys
from importlib.util import find_spec

import hydra
from omegaconf import DictConfig, OmegaConf

from seq2seq.commands.composition import load_options
from seq2seq.commands.exit_status import check_single_process, cli_errors, terminate
from seq2seq.config import Serve
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.program_name import program
from seq2seq.runtime.resources import CONFIGS

OmegaConf.register_new_resolver("program", program, replace=True)  # for the help text


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="serve")
def _start(values: DictConfig) -> None:
    """Turns Hydra's values into the typed, frozen options, and serves."""
    with cli_errors(Serve):
        options = load_options(Serve, values)
        check_packages()
        from seq2seq.web.server import serve

        sys.exit(128 + serve(options))


def check_packages() -> None:
    """Raises InputError where the packages of the extra `web` are not installed."""
    if missing := [name for name in ("starlette", "uvicorn") if find_spec(name) is None]:
        raise InputError(f"serve needs {missing[0]}, which is not installed: pip install starlette uvicorn")


def main() -> None:
    """Serves the checkpoints that the command line names."""
    with cli_errors(Serve):
        check_single_process()
        signal.signal(signal.SIGTERM, terminate)
        _start()
