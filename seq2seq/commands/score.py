"""The program `score.py`: Hydra composes the options, and given translations are scored."""

import sys

import hydra
from omegaconf import DictConfig, OmegaConf

from seq2seq.commands.composition import load_options
from seq2seq.commands.exit_status import check_single_process, cli_errors
from seq2seq.config import Score
from seq2seq.runtime.program_name import program
from seq2seq.runtime.resources import CONFIGS

OmegaConf.register_new_resolver("program", program, replace=True)  # for the help text


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="score")
def _start(values: DictConfig) -> None:
    """Turns Hydra's values into the typed, frozen options, and scores the pairs."""
    with cli_errors(Score):
        options = load_options(Score, values)
        from seq2seq.commands.score_given import score_given

        with open(1, "w", encoding="utf-8", newline="\n", closefd=False) as output:  # UTF-8 in any locale
            failed = score_given(options, 0, output)
        sys.exit(1 if failed else 0)


def main() -> None:
    """Scores translations with the checkpoint that the command line names."""
    with cli_errors(Score):
        check_single_process()
        _start()
