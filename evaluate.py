"""Score a checkpoint: `python evaluate.py checkpoint=runs/NAME/checkpoints/best`. See README.md, or `--help`."""

import hydra
from omegaconf import DictConfig, OmegaConf

from seq2seq.config import Evaluate, load
from seq2seq.program import check_alone, told


@hydra.main(version_base="1.3", config_path="configs", config_name="evaluate")
def main(values: DictConfig) -> None:
    """Ends Hydra's part: from here on the configuration is typed and frozen."""
    with told(Evaluate):
        options = load(Evaluate, OmegaConf.to_container(values, resolve=True, throw_on_missing=True))
        from seq2seq.scoring import score

        score(options)


if __name__ == "__main__":
    with told(Evaluate):
        check_alone()
        main()
