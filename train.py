"""Train a translation model: `python train.py attention=dot dataset=grammar`. See README.md, or `--help`."""

import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from seq2seq.config import Train, load
from seq2seq.distributed import Lost, first, joined, once
from seq2seq.errors import InputError
from seq2seq.lock import alone
from seq2seq.program import check_single, resumed, told

if TYPE_CHECKING:  # --help needs none
    from seq2seq.checkpoint import Checkpoint

Work: TypeAlias = "tuple[Train, Path, Checkpoint | None]"
"""What `seq2seq.run.train` takes."""

# What a sweep chose for this run: whatever nobody typed. (Hydra's own name for a run has all that was typed as well.)
TYPED = tuple(sys.argv)  # goes along to where a launcher runs it, which has another command line
OmegaConf.register_new_resolver("swept", lambda overrides: ",".join(o for o in overrides if o not in TYPED))


@hydra.main(version_base="1.3", config_path="configs", config_name="train")
def main(values: DictConfig) -> None:
    """Ends Hydra's part: from here on the configuration is typed and frozen."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    with told(Train, folder=folder), alone(folder):
        configuration = load(Train, OmegaConf.to_container(values, resolve=True, throw_on_missing=True))
        from seq2seq.run import check_unused, train

        check_unused(folder)
        _record(values, folder / ".hydra")
        train(*agree((configuration, folder, None)))


def _record(values: DictConfig, folder: Path) -> None:
    """What Hydra would write (see `hydra.output_subdir`), had it not written over that of the run in its place."""
    folder.mkdir(exist_ok=True)
    OmegaConf.save(values, folder / "config.yaml")
    OmegaConf.save(HydraConfig.instance().cfg, folder / "hydra.yaml")
    OmegaConf.save(HydraConfig.get().overrides.task, folder / "overrides.yaml")


def go_on(folder: Path, options: list[str]) -> None:
    """Takes up a run that was stopped. Its configuration is in its checkpoint, so there is nothing to compose."""
    from seq2seq.resumption import to_resume
    from seq2seq.run import train

    parsed = OverridesParser.create().parse_overrides(options)
    if several := [option.input_line for option in parsed if option.is_sweep_override() or option.is_delete()]:
        raise InputError(f"{several[0]}: beside resume=FOLDER only KEY=VALUE may stand, with one value")
    given = {option.key_or_group: option.value() for option in parsed}
    if (found := to_resume(folder, given)) is None:
        print(f"{folder} is finished: {folder / 'results.json'} holds its scores")
        return
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout), logging.FileHandler(folder / "train.log")]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=handlers)
    with told(Train, folder=folder), alone(folder):
        configuration, last = found
        train(*agree((configuration, folder, last)))


def follow() -> None:
    """What a process beside the first does: its part of what that one begins."""
    from seq2seq.run import train

    logging.disable()  # the first process speaks
    try:
        work = agree()
    except Lost:  # there is nothing to do, and the first one says why
        return
    train(*work)


def agree(work: "Work | None" = None) -> Work:
    """The first process's work, in all of them."""
    found = once(lambda: work)
    assert found is not None
    return found


if __name__ == "__main__":
    with joined(), told(Train):
        check_single(sys.argv[1:])
        stopped = resumed(sys.argv[1:])
        if not first():
            follow()
        elif stopped is None:
            main()
        else:
            go_on(*stopped)
