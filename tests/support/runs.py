"""The configuration of a short run."""

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from seq2seq.config import Train, load
from tests.support.programs import CONFIGS
from tests.support.soak import RUN

SHORT = [*RUN, "search=greedy", "search.size=1", "training.steps=22", "training.validate_every=10"]


def configuration(*overrides: str) -> Train:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        values = compose("train", [*SHORT, *overrides])
    return load(Train, OmegaConf.to_container(values, resolve=True, throw_on_missing=True))
