"""What every test shares: one thread, and the real parallel text where it is present."""

import fcntl
import gc
import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from seq2seq.runtime.precision import restored_precision
from tests.support.programs import SMALL, TEXT, write_corpus
from tests.support.tiny import PAIRWISE
from tests.support.unchecked import unchecked as without_checks
from tests.support.warm import Warm

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for the programs that tests start

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"

settings.register_profile("shared machine", deadline=None)  # where a second may be lost to others at any time
settings.load_profile("shared machine")


PROGRAMS = ("commands", "packaging", "scripts")
"""Folders of tests that start the real programs."""
HOSTILE = ("test_hostile", "test_strangers", "test_fuzz")
SLOW = (
    "test_built_in",
    "test_corpus",
    "test_import",
    "test_lock",
    "test_onnx_graphs",
    "test_python_page",
    "test_readme",
    "test_train",
)
"""They generate corpora, train, or start Python again and again."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--all", action="store_true", help="every combination of rule, distribution and place")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks tests by where they stand; without `--all`, keeps as many combinations as hold every pair of choices."""
    left_out = []
    for item in items:
        fixtures = item.fixturenames if isinstance(item, pytest.Function) else []
        if item.path.parent.name in PROGRAMS or item.path.stem == "test_new_rule" or "warm" in fixtures:
            item.add_marker(pytest.mark.program)
        if item.path.stem in SLOW or "learnt_by_heart" in item.name:
            item.add_marker(pytest.mark.slow)
        if item.path.parent.name == "gpu":
            item.add_marker(pytest.mark.gpu)
        if item.path.stem in HOSTILE:
            item.add_marker(pytest.mark.hostile)
        values = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        last = "intervention" if "intervention" in values else "distribution"
        combination = tuple(values.get(name) for name in ("place", "rule", last))
        if None not in combination and combination not in PAIRWISE:
            left_out.append(item)
    if not config.getoption("--all"):
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in set(left_out)]


def pytest_collection_finish() -> None:
    """Leaves what was imported out of each garbage collection to come."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _tiny_numbers() -> None:
    """A run in this process made nothing of them (`device.set_up`), and hypothesis wants them."""
    torch.set_flush_denormal(False)


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with `multi30k/` and `tatoeba/`: real parallel text, kept beside the repository and never in it."""
    if not DATA.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{DATA} is absent, but CI must have it")
        pytest.skip(f"needs real parallel text in {DATA}")
    return DATA


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small made-up parallel corpus: `train.de`, `train.en`, `dev.de` ... Only to be read."""
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    return folder


@pytest.fixture(scope="session")
def sweep(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the corpus and `runs/general` and `runs/concat`, trained on it by one command. Only to be read: all
    processes of pytest-xdist share it.
    """
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder = shared / "sweep"
    with (shared / "sweep.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "printed").exists():
            folder.mkdir()
            write_corpus(folder)
            printed = warm("train", *SWEEP, folder=folder, status=0).printed
            for name in ("general", "concat"):
                (folder / "runs" / name).symlink_to(folder / "runs" / "both" / f"attention={name}")
            (folder / "printed").write_bytes(printed)
    return folder


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """Starts programs in a tenth of the time, each with 3 GiB beyond what Python and PyTorch take."""
    with closing(Warm(memory=3072)) as started:
        yield started


@pytest.fixture(scope="module")
def unchecked() -> Iterator[None]:
    """A module without checks of shapes, and with one picture of a validation."""
    with without_checks():
        yield


RUN = [*TEXT, *SMALL, "training.steps=60", "training.validate_every=25", "training.log_every=20"]
RUN += ["training.learning_rate=0.01", "training.keep_best=2", "training.metric=loss", "search=beam", "search.size=2"]
SWEEP = ["-m", *RUN, "attention=general,concat", "hydra.sweep.dir=runs/both"]


@pytest.fixture
def kept_precision() -> Iterator[None]:
    """PyTorch's settings of the precision of products are afterwards as before."""
    with restored_precision():
        yield
