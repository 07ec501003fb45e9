"""The options of a program, composed by Hydra within a running process: no start of Hydra's, no command line."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig, OmegaConf, flag_override

from seq2seq.commands.exit_status import check_dashes
from seq2seq.commands.hydra_errors import explain_hydra_error, is_hydra_error
from seq2seq.config import Section, load
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.resources import CONFIGS

Options = TypeVar("Options", bound=Section)

_COMPOSING = threading.Lock()
"""Hydra keeps its state in the process."""


def compose_options(program: str, overrides: Sequence[str], kind: type[Section]) -> tuple[DictConfig, DictConfig]:
    """The options of `program` as its command line gives them, and a configuration with Hydra's section `hydra`.

    Raises InputError with the sentence that the program prints.
    """
    check_dashes(overrides, kind)
    with hydra_errors(kind), _COMPOSING, initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = compose(program, list(overrides), return_hydra_config=True)
    with flag_override(composed, ["struct", "readonly"], False):
        hydra_values = OmegaConf.masked_copy(composed, "hydra")
        del composed["hydra"]
    return composed, hydra_values


def load_options(kind: type[Options], values: DictConfig) -> Options:
    """Hydra's values as the typed, frozen options of a program. Raises InputError for those that are not set."""
    if OmegaConf.select(values, "dataset.hold_out", default=None) is not None:
        for key in OmegaConf.missing_keys(values) & {"dataset.validation", "dataset.test"}:
            OmegaConf.update(values, key, None)  # it is cut from the training text
    if missing := sorted(OmegaConf.missing_keys(values)):
        example = "runs/NAME/checkpoints/best" if missing == ["checkpoint"] else "VALUE"
        instead = ", or dataset.test=null for no test scores" if missing == ["dataset.test"] else ""
        if "dataset.validation" in missing:
            instead += ", or dataset.hold_out=1000 to cut validation and test from the training text"
        option = missing[0] if len(missing) == 1 else "each as KEY"
        raise InputError(f"{', '.join(missing)}: not set; give {option}={example}{instead}")
    return load(kind, OmegaConf.to_container(values, resolve=True))


@contextmanager
def hydra_errors(kind: type[Section]) -> Iterator[None]:
    """Raises an error of Hydra's as InputError."""
    try:
        yield
    except Exception as error:
        if not is_hydra_error(error):
            raise
        raise InputError(explain_hydra_error(error, kind)) from None
