"""Train one run for each attention rule and seed, and lay them side by side in report.html and report.md.

  python scripts/compare.py attention=concat,dot,additive seeds=1,2,3
  python scripts/compare.py attention=dot attention.distribution=softmax,sparsemax,local_p training.epochs=3
  python scripts/compare.py attention=dot,general seeds=1,2 output=runs/dot-or-general
  python scripts/compare.py attention=dot,general seeds=1,2 jobs=2 device.threads=1     two runs at a time

Whatever train.py takes may stand here; every option with several values is compared, each value with each value of the
others. `seeds` are those of training.seed. The same command with output=FOLDER goes on where it was stopped: what is
done is not done again, and what was half done is taken up. Options or seeds may have more values then.
"""

import itertools
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import FrameType
from typing import NoReturn
from urllib.parse import quote

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError  # type: ignore[import-untyped]

from seq2seq import checkpoint
from seq2seq.commands.cli import CONFIGS, cli_errors
from seq2seq.commands.compare_request import SEED, Request, request
from seq2seq.commands.comparison import Planned, check_comparable, compare, differences, finished
from seq2seq.config import Train, load
from seq2seq.reporting.comparison import markdown
from seq2seq.reporting.html import page
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.files import write_text
from seq2seq.runtime.lock import exclusive_lock
from seq2seq.runtime.run_folder import RunFolder

RUNNING: set[subprocess.Popen[bytes]] = set()
"""The running train.py processes. The terminal sends Ctrl-C to them as well; SIGTERM must be passed on."""


def stop(number: int, _: FrameType | None) -> NoReturn:
    """Handles SIGTERM: every train.py saves, and the same command goes on."""
    for process in RUNNING:
        process.terminate()
    print("stopped by SIGTERM: the same command with output=FOLDER goes on", file=sys.stderr)
    sys.exit(128 + number)


def plan(asked: Request) -> Iterator[tuple[Planned, list[str]]]:
    """Each run, and the options that train.py gets for it; all variants with one seed, then all with the next."""
    seeds = [axis for axis in asked.axes if axis.key == SEED]
    others = [axis for axis in asked.axes if axis.key != SEED]
    for seed in itertools.product(*(axis.values for axis in seeds)):
        for values in itertools.product(*(axis.values for axis in others)):
            chosen = [f"{axis.key}={value}" for axis, value in zip([*others, *seeds], [*values, *seed], strict=True)]
            words = [*asked.fixed, *chosen]
            composed = OmegaConf.to_container(compose("train", words), resolve=True, throw_on_missing=True)
            try:
                configuration = load(Train, composed)
            except InputError as error:
                raise InputError(f"{','.join(chosen)}: {error}") from None
            if not seeds:
                chosen.append(f"{SEED}={configuration.training.seed}")
            name = ", ".join(_label(axis.key, value) for axis, value in zip(others, values, strict=True))
            folder = asked.output / "runs" / quote(",".join(chosen), safe="=,+@")
            yield Planned(name, folder, configuration), words


def _label(key: str, value: str) -> str:
    """A word speaks for itself; a number or a switch needs its option's name."""
    plain = value.strip("'\"")
    if re.fullmatch(r"[a-z]\w*", plain) and plain not in ("true", "false", "null", "inf", "nan"):
        return plain
    return f"{key.rpartition('.')[2]}={plain}"


def check_earlier(run: Planned) -> None:
    """Raises InputError where the run's folder is that of another run."""
    folder = RunFolder(run.folder)
    path = folder.hydra / "config.yaml"
    if not path.is_file():  # nothing, or what was stopped before it began
        if run.folder.exists() and not folder.is_unused():
            raise InputError(f"{run.folder} holds something that is no run of this program; give another output=FOLDER")
        return
    try:
        earlier = load(Train, OmegaConf.to_container(OmegaConf.load(path), resolve=True))
    except (InputError, OmegaConfBaseException, YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not this version's configuration ({error}); give another output=FOLDER") from None
    if differing := differences(earlier, run.configuration):
        more = f" (and {len(differing) - 2} more)" if len(differing) > 2 else ""
        raise InputError(
            f"{run.folder} holds a run made otherwise: {'; '.join(differing[:2])}{more}; give another output=FOLDER"
        )


def train(run: Planned, words: list[str]) -> str | None:
    """Runs train.py, which resumes an unfinished run; a sentence if it failed."""
    if checkpoint.exists(RunFolder(run.folder).last):
        options = [f"resume={run.folder}"]
    else:
        shutil.rmtree(run.folder, ignore_errors=True)
        quoted = str(run.folder).replace("\\", "\\\\").replace("'", "\\'")
        options = [*words, f"hydra.run.dir='{quoted}'"]
    run.folder.parent.mkdir(parents=True, exist_ok=True)
    log = run.folder.with_name(f"{run.folder.name}.log")
    command = [sys.executable, str(CONFIGS.parent / "train.py"), *options]
    with (
        log.open("wb") as file,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file) as process,
    ):
        RUNNING.add(process)
        status = process.wait()
        RUNNING.discard(process)
    if status == 0 and finished(run):
        log.unlink()  # the run folder has it
        return None
    said = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
    reason = said.removeprefix("error: ") or f"exit status {status} and no word"
    return f"{run.variant}, seed {run.seed}, failed: {reason} (its log: {log})"


def train_all(planned: dict[Planned, list[str]], jobs: int) -> list[str]:
    """Trains what is not done, so many at a time, and says so; the failures."""

    def one(number: int, run: Planned, words: list[str]) -> str | None:
        name = f"{number} of {len(planned)}: {run.variant}, seed {run.seed}"
        if finished(run):
            say(f"{name}: done before")
            return None
        say(f"{name}: training (what it says: {run.folder}.log)")
        started = time.monotonic()
        failure = train(run, words)
        if failure is None:
            say(f"{name}: trained and scored in {time.monotonic() - started:.0f} s")
        else:
            print(f"error: {failure}", file=sys.stderr, flush=True)
        return failure

    with ThreadPoolExecutor(jobs) as pool:
        found = pool.map(one, itertools.count(1), planned.keys(), planned.values())
        return [failure for failure in found if failure is not None]


def say(line: str) -> None:
    """At once and in one piece, whichever thread says it."""
    print(f"{line}\n", end="", flush=True)


def run_comparison(arguments: list[str]) -> int:
    """The exit status: 1 where a run failed."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__)
        return 0
    asked = request(arguments)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        planned = dict(plan(asked))
    for run in planned:
        check_earlier(run)
    check_comparable(list(planned))
    print(f"{len(planned)} runs in {asked.output}", flush=True)
    asked.output.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(asked.output):
        failed = train_all(planned, asked.jobs)
    if not any(finished(run) for run in planned):
        print("error: no run came to its end, so there is nothing to report", file=sys.stderr)
        return 1
    words = [word for word in arguments if not word.startswith("output=")]
    report = compare(
        list(planned),
        title=f"Comparison of {', '.join(dict.fromkeys(run.variant for run in planned))}",
        command=shlex.join(["python", "scripts/compare.py", *words, f"output={asked.output}"]),
        failed=failed,
    )
    text = markdown(report)
    write_text(asked.output / "report.md", text)
    write_text(asked.output / "report.html", page(report))
    print(f"\n{text.partition('## Runs')[0]}{asked.output / 'report.md'}\n{asked.output / 'report.html'}")
    return 1 if failed else 0


def main() -> None:
    """Compares what the command line asks for."""
    signal.signal(signal.SIGTERM, stop)
    with cli_errors(Train):
        sys.exit(run_comparison(sys.argv[1:]))
