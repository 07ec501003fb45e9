"""The program `train.py`: Hydra composes the configuration, the first process sends it to the others, all train."""

import logging
import os
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from omegaconf import DictConfig, OmegaConf

from seq2seq.commands.composition import load_options
from seq2seq.commands.exit_status import check_single_run, cli_errors, terminate
from seq2seq.commands.unused_options import unused_options
from seq2seq.config import Train
from seq2seq.runtime.distributed import PeerLost, is_rank0, process_group, run_on_rank0_and_broadcast
from seq2seq.runtime.errors import DivergenceError, InputError
from seq2seq.runtime.files import write_text
from seq2seq.runtime.lock import exclusive_lock
from seq2seq.runtime.program_name import program
from seq2seq.runtime.resources import CONFIGS
from seq2seq.runtime.run_folder import RunFolder

if TYPE_CHECKING:  # it would import PyTorch, which --help does not need
    from seq2seq.checkpoint import Checkpoint
    from seq2seq.commands.fine_tuning import Source

Work: TypeAlias = "tuple[Train, Path, Checkpoint | None, Source | None]"
"""The arguments of `train_and_score.train`."""

OPTUNA = "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper"
"""`hydra.sweeper._target_` with `hydra/sweeper=optuna`."""

LOG_FORMAT, LOG_TIME = "%(asctime)s %(message)s", "%H:%M:%S"
"""As in `hydra.job_logging` of configs/train.yaml."""

log = logging.getLogger(__name__)

COMMAND_LINE = "SEQ2SEQ_COMMAND_LINE"
"""The environment variable with the arguments as typed. The processes of a launcher inherit it; their own differ."""


def _swept(overrides: list[str], number: int, sweeper: str) -> str:
    """The overrides that a sweep chose for this run: those that were not typed. Hydra's own name has the typed ones.

    The trials of Optuna are numbered: it may choose the same values again, and they have many digits.
    """
    if sweeper == OPTUNA:
        return str(number)
    typed = os.environ.get(COMMAND_LINE, "").split("\n")
    return ",".join(override for override in overrides if override not in typed)


def _direction(metric: str) -> str:
    """Optuna's word for which values of `training.metric` are better."""
    return "minimize" if metric == "loss" else "maximize"


OmegaConf.register_new_resolver("swept", _swept, replace=True)
OmegaConf.register_new_resolver("direction", _direction, replace=True)
OmegaConf.register_new_resolver("program", program, replace=True)  # for the help text


def _store_optuna() -> None:
    """Makes `hydra/sweeper=optuna` choose configs/optuna.yaml instead of the configuration that the plug-in brings.

    A file of that name in a group would be merged with the plug-in's, which Hydra refuses.
    """
    Plugins.instance()  # it imports the plug-ins, which store theirs
    node = OmegaConf.load(CONFIGS / "optuna.yaml")
    ConfigStore.instance().store(group="hydra/sweeper", name="optuna", node=node, provider="seq2seq")


@contextmanager
def optuna_errors() -> Iterator[None]:
    """Raises InputError for two errors of the plug-in, or of Hydra without the plug-in, that a person can correct."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        if OPTUNA in str(error):
            advice = "`pip install '.[sweepers]'` installs it"
            raise InputError(f"hydra/sweeper=optuna: hydra-optuna-sweeper is not installed; {advice}") from None
        if "No trials are completed" in str(error):
            raise InputError("hydra/sweeper=optuna: training diverged in every trial; narrow the ranges") from None
        raise


@hydra.main(version_base="1.3", config_path=str(CONFIGS), config_name="train")
def _start(values: DictConfig) -> float | None:
    """Turns Hydra's values into the typed, frozen configuration, and trains.

    Returns `best_value`, which a sweeper such as Optuna's optimises; None where training diverged in such a sweep.
    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    with cli_errors(Train, folder=folder, found=RunFolder(folder).names()), exclusive_lock(folder):
        configuration, source = load_new_run(values, HydraConfig.get().overrides.task)
        from seq2seq.commands.train_and_score import check_unused, train

        check_unused(folder)
        hydra_values = HydraConfig.instance().cfg
        assert isinstance(hydra_values, DictConfig)
        record(values, hydra_values, RunFolder(folder).hydra)
        log_unused(configuration, HydraConfig.get().overrides.task)
        try:
            results = train(*broadcast_work((configuration, folder, None, source)))
        except DivergenceError as error:
            if HydraConfig.get().sweeper["_target_"] != OPTUNA:
                raise
            log.error("%s", error)
            return None  # a failed trial
        return best_value(results, configuration.training.metric)


def best_value(results: Mapping[str, Any], metric: str) -> float:
    """The best validation of a run, in the order of `metric`: its value, or the loss with its sign changed.

    The loss replaces BLEU where BLEU cannot be measured (see `Validator`), and a search for the highest BLEU goes on.
    """
    best = results["best"]
    value: float = best[best["metric"]]
    return value if best["metric"] == metric else -value


def load_new_run(values: DictConfig, overrides: Sequence[str]) -> "tuple[Train, Source | None]":
    """The options of a new run, and the checkpoint that it starts from (see `fine_tuning.load_run`)."""
    if values.get("init") is None:
        return load_options(Train, values), None  # a wrong option is refused before PyTorch is imported
    from seq2seq.commands.fine_tuning import load_run

    return load_run(values, overrides)


def log_unused(configuration: Train, overrides: Sequence[str]) -> None:
    """Logs the overrides that have no effect."""
    for line in unused_options(configuration, overrides):
        log.info("%s", line)


def record(values: DictConfig, hydra_values: DictConfig, folder: Path) -> None:
    """Writes what Hydra would write to `hydra.output_subdir`: Hydra would overwrite the record of an earlier run.

    `hydra_values` is Hydra's own configuration, in its section `hydra`.
    """
    folder.mkdir(exist_ok=True)
    parts = {"config": values, "hydra": hydra_values, "overrides": hydra_values.hydra.overrides.task}
    for name, part in parts.items():
        write_text(folder / f"{name}.yaml", OmegaConf.to_yaml(part))


def resume_arguments(arguments: Sequence[str]) -> tuple[Path, dict[str, Any]]:
    """The run folder of `resume=FOLDER`, and the other arguments as overrides by full key, for `plan_resume`."""
    from seq2seq.commands.resume import parse_resume

    folder, options = parse_resume(arguments)
    parsed = OverridesParser.create().parse_overrides(options)
    if invalid := [option.input_line for option in parsed if option.is_sweep_override() or option.is_delete()]:
        raise InputError(f"{invalid[0]}: with resume=FOLDER only KEY=VALUE is allowed, with one value")
    return folder, {option.key_or_group: option.value() for option in parsed}


def resume_run(arguments: list[str]) -> None:
    """Resumes a run. Its configuration comes from its checkpoint, so Hydra composes nothing."""
    from seq2seq.commands.resume import plan_resume
    from seq2seq.commands.train_and_score import train

    folder, overrides = resume_arguments(arguments)
    run = RunFolder(folder)
    with exclusive_lock(folder):  # before the checkpoint is read: another process may be about to replace it
        plan = plan_resume(folder, overrides)
        if plan is None:
            print(f"{folder} is finished: {run.results} holds its scores")
            return
        handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout), logging.FileHandler(run.log)]
        logging.basicConfig(level=logging.INFO, format=LOG_FORMAT, datefmt=LOG_TIME, handlers=handlers)
        with cli_errors(Train, folder=folder):
            configuration, last = plan
            train(*broadcast_work((configuration, folder, last, None)))


def worker_main() -> None:
    """The main function of every process except the first: receives the work of the first one and takes part in it."""
    from seq2seq.commands.train_and_score import train

    logging.disable()  # the first process logs
    try:
        work = broadcast_work()
    except PeerLost:  # the first process failed and reports why
        return
    train(*work)


def broadcast_work(work: "Work | None" = None) -> Work:
    """Sends the first process's work to the others. All return it."""
    received = run_on_rank0_and_broadcast(lambda: work)
    assert received is not None
    return received


def main() -> None:
    """Trains with the options of the command line, or resumes a run."""
    with process_group(), cli_errors(Train):
        arguments = sys.argv[1:]
        check_single_run(arguments)
        os.environ[COMMAND_LINE] = "\n".join(arguments)
        signal.signal(signal.SIGTERM, terminate)
        if not is_rank0():
            worker_main()
        elif any(argument.startswith("resume=") for argument in arguments):
            resume_run(arguments)
        else:
            with optuna_errors():
                _store_optuna()
                _start()
