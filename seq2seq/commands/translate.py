"""The program `translate.py`: Hydra composes the options, and standard input is translated to standard output."""

import sys

import hydra
from omegaconf import DictConfig, OmegaConf

from seq2seq.commands.composition import load_options
from seq2seq.commands.exit_status import check_single_process, cli_errors
from seq2seq.config import Translate
from seq2seq.runtime.program_name import program
from seq2seq.runtime.resources import CONFIGS

OmegaConf.register_new_resolver("program", program, replace=True)  # for the help text


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="translate")
def _start(values: DictConfig) -> None:
    """Turns Hydra's values into the typed, frozen options, and translates standard input to standard output."""
    with cli_errors(Translate):
        options = load_options(Translate, values)
        from seq2seq.commands.stream import translate_stream

        with open(1, "w", encoding="utf-8", newline="\n", closefd=False) as target:  # UTF-8 in any locale
            failed = translate_stream(options, 0, target)
        sys.exit(1 if failed else 0)


def main() -> None:
    """Translates with the checkpoint that the command line names."""
    with cli_errors(Translate):
        check_single_process()
        _start()
