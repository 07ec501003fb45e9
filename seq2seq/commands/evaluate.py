"""What `evaluate.py` starts: Hydra composes the options, and a checkpoint is scored."""

import hydra
from omegaconf import DictConfig, OmegaConf

from seq2seq.commands.cli import CONFIGS, check_alone, cli_errors
from seq2seq.config import Evaluate, load


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="evaluate")
def _start(values: DictConfig) -> None:
    """Ends Hydra's part: from here on the configuration is typed and frozen."""
    with cli_errors(Evaluate):
        options = load(Evaluate, OmegaConf.to_container(values, resolve=True, throw_on_missing=True))
        from seq2seq.commands.scoring import score

        score(options)


def main() -> None:
    """Scores the checkpoint that the command line names."""
    with cli_errors(Evaluate):
        check_alone()
        _start()
