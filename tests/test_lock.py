"""Two processes in one run folder would write over each other."""

import subprocess
import sys
from pathlib import Path

import pytest

from seq2seq.errors import InputError
from seq2seq.lock import alone
from tests.programs import ROOT

HOLD = """
import pathlib, sys
from seq2seq.lock import alone
with alone(pathlib.Path(sys.argv[1])):
    print(flush=True)
    input()
"""


def test_a_second_process_is_refused_until_the_first_is_gone(tmp_path: Path) -> None:
    words = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdout is not None
        first.stdout.readline()
        with pytest.raises(InputError, match="another process is training in it"), alone(tmp_path):
            raise AssertionError
        first.kill()
        first.wait()
        with alone(tmp_path):
            pass
    assert list(tmp_path.iterdir()) == []
