"""Two processes in one run folder would write over each other."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from seq2seq.runtime.errors import InputError
from seq2seq.runtime.lock import exclusive_lock
from tests.support.programs import ROOT, start
from tests.support.warm import Warm

LOCK = """
import pathlib, sys
from seq2seq.runtime.lock import exclusive_lock
with exclusive_lock(pathlib.Path(sys.argv[1])):
    print(flush=True)
    input()
"""


@contextmanager
def locked(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process holds the lock of the folder."""
    words = [sys.executable, "-c", LOCK, str(folder)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        yield first
        first.kill()


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    with locked(tmp_path) as first:
        with pytest.raises(InputError, match="another process is training in it"), exclusive_lock(tmp_path):
            raise AssertionError
        first.kill()
        first.wait()
        with exclusive_lock(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("options", [[], ["training.epochs=-1"]])
def test_a_run_that_has_only_begun_keeps_its_folder(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "run" / ".hydra").mkdir(parents=True)
    (tmp_path / "run" / ".hydra" / "config.yaml").write_text("of the first")
    with locked(tmp_path / "run"):
        ended = start("train", "hydra.run.dir=run", *options, folder=tmp_path, status=2)
        assert "run: another process is training in it" in ended.stderr.decode()
    assert (tmp_path / "run" / ".hydra" / "config.yaml").read_text() == "of the first"


def test_two_comparisons_do_not_share_a_folder(warm: Warm, tmp_path: Path) -> None:
    (tmp_path / "both").mkdir()
    tiny = ["dataset.preset=tiny", "dataset.vocabulary=1000", "model=tiny", "output=both"]
    with locked(tmp_path / "both"):
        ended = warm("scripts/compare", "attention=dot,general", *tiny, folder=tmp_path, status=2)
    assert "both: another process is training in it" in ended.told
    assert list((tmp_path / "both").iterdir()) == []
