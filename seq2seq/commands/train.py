"""What `train.py` starts: Hydra composes the configuration, the first process hands it to all, and training begins."""

import logging
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import DictConfig, OmegaConf

from seq2seq.commands.cli import CONFIGS, check_single, cli_errors, terminate
from seq2seq.config import Train, load
from seq2seq.runtime.distributed import PeerLost, is_rank0, process_group, run_on_rank0_and_broadcast
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.lock import exclusive_lock
from seq2seq.runtime.run_folder import RunFolder

if TYPE_CHECKING:  # --help needs none
    from seq2seq.checkpoint import Checkpoint

Work: TypeAlias = "tuple[Train, Path, Checkpoint | None]"
"""What `train_and_score.train` takes."""

TYPED = "SEQ2SEQ_COMMAND_LINE"
"""The environment variable with what was typed: a launcher's processes inherit it, and have another command line."""


def _swept(overrides: list[str]) -> str:
    """What a sweep chose for this run: whatever nobody typed. (Hydra's own name for a run has all that was typed.)"""
    typed = os.environ.get(TYPED, "").split("\n")
    return ",".join(override for override in overrides if override not in typed)


OmegaConf.register_new_resolver("swept", _swept, replace=True)


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
def _start(values: DictConfig) -> None:
    """Ends Hydra's part: from here on the configuration is typed and frozen."""
    folder = Path(HydraConfig.get().runtime.output_dir)
    with cli_errors(Train, folder=folder), exclusive_lock(folder):
        configuration = load(Train, OmegaConf.to_container(values, resolve=True, throw_on_missing=True))
        from seq2seq.commands.train_and_score import check_unused, train

        check_unused(folder)
        _record(values, RunFolder(folder).hydra)
        train(*broadcast_work((configuration, folder, None)))


def _record(values: DictConfig, folder: Path) -> None:
    """What Hydra would write (see `hydra.output_subdir`), had it not written over that of the run in its place."""
    folder.mkdir(exist_ok=True)
    OmegaConf.save(values, folder / "config.yaml")
    OmegaConf.save(HydraConfig.instance().cfg, folder / "hydra.yaml")
    OmegaConf.save(HydraConfig.get().overrides.task, folder / "overrides.yaml")


def resume_run(arguments: list[str]) -> None:
    """Resumes a run. Its configuration is in its checkpoint, so Hydra composes nothing."""
    from seq2seq.commands.resume import parse_resume, plan_resume
    from seq2seq.commands.train_and_score import train

    folder, options = parse_resume(arguments)
    parsed = OverridesParser.create().parse_overrides(options)
    if several := [option.input_line for option in parsed if option.is_sweep_override() or option.is_delete()]:
        raise InputError(f"{several[0]}: beside resume=FOLDER only KEY=VALUE may stand, with one value")
    given = {option.key_or_group: option.value() for option in parsed}
    if (found := plan_resume(folder, given)) is None:
        print(f"{folder} is finished: {RunFolder(folder).results} holds its scores")
        return
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout), logging.FileHandler(RunFolder(folder).log)]
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", datefmt="%H:%M:%S", handlers=handlers)
    with cli_errors(Train, folder=folder), exclusive_lock(folder):
        configuration, last = found
        train(*broadcast_work((configuration, folder, last)))


def worker_main() -> None:
    """The main function of every process but the first: takes part in the work that the first one begins."""
    from seq2seq.commands.train_and_score import train

    logging.disable()  # the first process speaks
    try:
        work = broadcast_work()
    except PeerLost:  # there is nothing to do, and the first one says why
        return
    train(*work)


def broadcast_work(work: "Work | None" = None) -> Work:
    """The first process's work, in all of them."""
    found = run_on_rank0_and_broadcast(lambda: work)
    assert found is not None
    return found


def main() -> None:
    """Trains what the command line asks for, or resumes a run."""
    with process_group(), cli_errors(Train):
        arguments = sys.argv[1:]
        check_single(arguments)
        os.environ[TYPED] = "\n".join(arguments)
        signal.signal(signal.SIGTERM, terminate)
        if not is_rank0():
            worker_main()
        elif any(argument.startswith("resume=") for argument in arguments):
            resume_run(arguments)
        else:
            _start()
