"""Train a translation model: `python train.py attention=dot dataset=grammar`. See README.md, or `--help`."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from seq2seq.config import Train, load
from seq2seq.program import told


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
def main(values: DictConfig) -> None:
    """Ends Hydra's part: from here on the configuration is typed and frozen."""
    configuration = load(Train, OmegaConf.to_container(values, resolve=True, throw_on_missing=True))  # type: ignore[arg-type]
    from seq2seq.run import train

    train(configuration, Path(HydraConfig.get().runtime.output_dir))


if __name__ == "__main__":
    with told(Train):
        main()
