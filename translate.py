"""Translate text: `python translate.py checkpoint=runs/NAME/checkpoints/best < my.de`. See README.md, or `--help`."""

import sys

import hydra
from omegaconf import DictConfig, OmegaConf

from seq2seq.config import Translate, load
from seq2seq.program import check_alone, told


@hydra.main(version_base="1.3", config_path="configs", config_name="translate")
def main(values: DictConfig) -> None:
    """Ends Hydra's part: from here on the configuration is typed and frozen."""
    with told(Translate):
        options = load(Translate, OmegaConf.to_container(values, resolve=True, throw_on_missing=True))
        from seq2seq.filter import translate_stream

        with open(1, "w", encoding="utf-8", newline="\n", closefd=False) as target:  # whatever the locale is
            failed = translate_stream(options, 0, target)
        sys.exit(1 if failed else 0)


if __name__ == "__main__":
    with told(Translate):
        check_alone()
        main()
