"""Train one run for each attention rule and seed, and compare them in report.html and report.md.

  python scripts/compare.py attention=concat,dot,additive seeds=1,2,3
  python scripts/compare.py attention=dot attention.distribution=softmax,sparsemax,local_p training.epochs=3
  python scripts/compare.py attention=dot,general seeds=1,2 output=runs/dot-or-general
  python scripts/compare.py attention=dot,general seeds=1,2 jobs=2 device.threads=1     two runs in parallel
  python scripts/compare.py attention=dot,additive intervene=uniform,permute,shift intervene.shift=2

All training options are allowed. Options with several values are compared: each combination of their values is a
variant. `seeds` sets training.seed. `intervene` scores each trained model with changed attention weights as well;
`intervene.KEY` sets the values of interventions (docs/interventions.md).

To continue a stopped comparison, repeat its command with output=FOLDER: finished runs are kept, and unfinished runs are
resumed. Options, seeds and interventions may then have more values.
"""

import itertools
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import FrameType
from typing import NoReturn
from urllib.parse import quote

from hydra import compose, initialize_config_dir

from seq2seq import checkpoint
from seq2seq.commands.compare_request import SEED, Request, parse_request
from seq2seq.commands.compared_interventions import (
    check_interventions,
    evaluation_overrides,
    intervention_scores,
    parse_interventions,
)
from seq2seq.commands.comparison import build_report, check_comparable
from seq2seq.commands.exit_status import cli_errors
from seq2seq.commands.hydra_quotes import quoted
from seq2seq.commands.planned_run import PlannedRun, check_folder, is_finished
from seq2seq.commands.train import load_new_run
from seq2seq.config import Train
from seq2seq.config.intervention import Interventions
from seq2seq.reporting.comparison import markdown
from seq2seq.reporting.html import page
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import write_text
from seq2seq.runtime.lock import exclusive_lock
from seq2seq.runtime.program_name import program
from seq2seq.runtime.resources import CONFIGS
from seq2seq.runtime.run_folder import RunFolder

PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])
PROCESSES: set[subprocess.Popen[bytes]] = set()
"""The running train.py processes. The terminal sends Ctrl-C to them too, but SIGTERM must be forwarded."""
STOPPED = threading.Event()
"""That SIGTERM came. Programs that end after it have not failed."""


def handle_sigterm(number: int, _: FrameType | None) -> NoReturn:
    """Forwards SIGTERM, so that every train.py saves its state, and exits."""
    STOPPED.set()
    for process in list(PROCESSES):
        process.terminate()
    print("stopped by SIGTERM: to continue, repeat the command with output=FOLDER", file=sys.stderr)
    sys.exit(128 + number)


def plan(request: Request) -> Iterator[tuple[PlannedRun, list[str]]]:
    """Each run with its overrides for train.py: all variants with the first seed, then all with the next one."""
    seeds = [axis for axis in request.axes if axis.key == SEED]
    others = [axis for axis in request.axes if axis.key != SEED]
    for seed in itertools.product(*(axis.values for axis in seeds)):
        for values in itertools.product(*(axis.values for axis in others)):
            run_overrides = [
                f"{axis.key}={value}" for axis, value in zip([*others, *seeds], [*values, *seed], strict=True)
            ]
            overrides = [*request.fixed, *run_overrides]
            composed = compose("train", overrides)
            try:
                configuration, _ = load_new_run(composed, overrides)
            except InputError as error:
                raise InputError(f"{','.join(run_overrides)}: {error}") from None
            if not seeds:
                run_overrides.append(f"{SEED}={configuration.training.seed}")
            name = ", ".join(_label(axis.key, value) for axis, value in zip(others, values, strict=True))
            folder = request.output / "runs" / quote(",".join(run_overrides), safe="=,+@")
            yield PlannedRun(name or configuration.attention.score, folder, configuration), overrides


def _label(key: str, value: str) -> str:
    """A value that is a word stands alone; a number or boolean gets the name of its option."""
    plain = value.strip("'\"")
    if re.fullmatch(r"[a-z]\w*", plain) and plain not in ("true", "false", "null", "inf", "nan"):
        return plain
    return f"{key.rpartition('.')[2]}={plain}"


def train(run: PlannedRun, overrides: list[str]) -> str | None:
    """Runs train.py, or resumes an unfinished run. Returns an error message if it failed."""
    if checkpoint.exists(RunFolder(run.folder).last):
        arguments = [f"resume={run.folder}"]
    else:
        shutil.rmtree(run.folder, ignore_errors=True)
        arguments = [*overrides, f"hydra.run.dir={quoted(run.folder)}"]
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    return run_program(run, ["train", *arguments])


def score_interventions(run: PlannedRun, interventions: Interventions) -> str | None:
    """Runs evaluate.py with the interventions, in place of earlier ones. Returns an error message if it failed."""
    shutil.rmtree(RunFolder(run.folder).interventions, ignore_errors=True)
    return run_program(run, ["evaluate", *evaluation_overrides(run, interventions)])


def run_program(run: PlannedRun, arguments: Sequence[str]) -> str | None:
    """Runs a program of this package for a run, with a log beside its folder. Returns an error message if it failed."""
    if STOPPED.is_set():
        return "stopped"
    log = run.folder.with_name(f"{run.folder.name}.log")
    # The package of this process, whatever the current folder contains.
    search_path = filter(None, [PACKAGE_PARENT, os.environ.get("PYTHONPATH")])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(search_path)}
    command = [sys.executable, "-P", "-m", "seq2seq", *arguments]
    with (
        log.open("wb") as file,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file, env=environment) as process,
    ):
        PROCESSES.add(process)
        if STOPPED.is_set():  # the signal came before the process was in the set
            process.terminate()
        status = process.wait()
        PROCESSES.discard(process)
    if status == 0 and is_finished(run):
        log.unlink()  # the run folder has its own log
        return None
    last_line = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
    reason = last_line.removeprefix("error: ") or f"exit status {status} without a message"
    return f"{run.variant}, seed {run.seed}, failed: {reason} (log: {log})"


def train_all(runs: dict[PlannedRun, list[str]], interventions: Interventions, jobs: int) -> list[str]:
    """Trains the unfinished runs and scores interventions, `jobs` in parallel, and prints progress.

    Returns the messages of failed runs.
    """

    def step(name: str, action: Callable[[], str | None], *, doing: str, done: str) -> str | None:
        print_line(f"{name}: {doing}")
        started = time.monotonic()
        failure = action()
        if failure is None:
            print_line(f"{name}: {done} in {time.monotonic() - started:.0f} s")
        elif not STOPPED.is_set():
            print(f"error: {failure}", file=sys.stderr, flush=True)
        return failure

    def train_one(number: int, run: PlannedRun, overrides: list[str]) -> str | None:
        name = f"{number} of {len(runs)}: {run.variant}, seed {run.seed}"
        failure = None
        if is_finished(run):
            print_line(f"{name}: already finished")
        else:
            doing = f"training (log: {run.folder}.log)"
            failure = step(name, partial(train, run, overrides), doing=doing, done="trained and scored")
        if failure is not None or not interventions.intervene or intervention_scores(run, interventions):
            return failure
        doing = f"scoring with {', '.join(interventions.intervene)}"
        return step(name, partial(score_interventions, run, interventions), doing=doing, done="scored")

    with ThreadPoolExecutor(jobs) as pool:
        failures = pool.map(train_one, itertools.count(1), runs.keys(), runs.values())
        return [failure for failure in failures if failure is not None]


def print_line(line: str) -> None:
    """Prints in one write, so that lines of several threads do not mix."""
    print(f"{line}\n", end="", flush=True)


def run_comparison(arguments: list[str]) -> int:
    """Trains all runs and writes the reports. Returns the exit status: 1 if a run failed."""
    if not arguments or arguments[0] in ("-h", "--help"):
        assert __doc__ is not None
        print(__doc__.replace("python scripts/compare.py", program("compare")))
        return 0
    request = parse_request(arguments)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        runs = dict(plan(request))
    interventions = parse_interventions(request.interventions)
    check_interventions(list(runs), interventions)
    for run in runs:
        check_folder(run)
    check_comparable(list(runs))
    print(f"{len(runs)} runs in {request.output}", flush=True)
    request.output.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(request.output):
        failures = train_all(runs, interventions, request.jobs)
    if not any(is_finished(run) for run in runs):
        print("error: no run finished, so there is nothing to report", file=sys.stderr)
        return 1
    options = [argument for argument in arguments if not argument.startswith("output=")]
    report = build_report(
        list(runs),
        {run: intervention_scores(run, interventions) for run in runs},
        title=f"Comparison of {', '.join(dict.fromkeys(run.variant for run in runs))}",
        command=f"{program('compare')} {shlex.join([*options, f'output={request.output}'])}",
        failures=failures,
    )
    text = markdown(report)
    write_text(request.output / "report.md", text)
    write_text(request.output / "report.html", page(report))
    print(f"\n{text.partition('## Runs')[0]}{request.output / 'report.md'}\n{request.output / 'report.html'}")
    return 1 if failures else 0


def main() -> None:
    """Runs the comparison of the command line."""
    signal.signal(signal.SIGTERM, handle_sigterm)
    with cli_errors(Train):
        sys.exit(run_comparison(sys.argv[1:]))
