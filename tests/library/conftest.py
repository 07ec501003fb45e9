"""The model that tests of the library use: that of `tests/data/old_run`, which has learnt a little."""

from pathlib import Path

import pytest

import seq2seq
from tests.support.programs import ROOT

OLD_RUN = ROOT / "tests" / "data" / "old_run"


@pytest.fixture(scope="session")
def checkpoint() -> Path:
    """A checkpoint, only to be read."""
    return OLD_RUN / "run" / "checkpoints" / "best"


@pytest.fixture(scope="session")
def translator(checkpoint: Path) -> seq2seq.Translator:
    """The checkpoint, loaded on the CPU."""
    return seq2seq.load(checkpoint, device="cpu")


@pytest.fixture(scope="session")
def sentences() -> list[str]:
    """German sentences, one of them blank."""
    return (OLD_RUN / "sentences.de").read_text(encoding="utf-8").splitlines()
