"""The program `evaluate.py`: Hydra composes the options, and a checkpoint is scored."""

import hydra
from omegaconf import DictConfig, OmegaConf

from seq2seq.commands.composition import load_options
from seq2seq.commands.exit_status import check_single_process, cli_errors
from seq2seq.config import Evaluate
from seq2seq.runtime.program_name import program
from seq2seq.runtime.resources import CONFIGS

OmegaConf.register_new_resolver("program", program, replace=True)  # for the help text


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="evaluate")
def _start(values: DictConfig) -> None:
    """Turns Hydra's values into the typed, frozen options, and scores the checkpoint."""
    with cli_errors(Evaluate):
        options = load_options(Evaluate, values)
        from seq2seq.commands.scoring import print_scored, score

        print_scored(score(options))


def main() -> None:
    """Scores the checkpoint that the command line names."""
    with cli_errors(Evaluate):
        check_single_process()
        _start()
