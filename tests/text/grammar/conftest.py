"""The generated corpora, made once. They are made in a process of their own, where no shape checks slow every call
down.
"""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from seq2seq.text.grammar import Grammar

_PROGRAM = """
import pickle, sys
from seq2seq.text.grammar import generate
pickle.dump(generate(sys.argv[1], seed=int(sys.argv[2])), open(sys.argv[3], "wb"))
"""


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Grammar]:
    made: dict[tuple[str, int, str], Grammar] = {}

    def corpus(preset: str, *, seed: int = 1, hash_seed: str = "0") -> Grammar:
        if (preset, seed, hash_seed) not in made:
            path: Path = tmp_path_factory.mktemp("grammar") / "corpus"
            command = [sys.executable, "-c", _PROGRAM, preset, str(seed), str(path)]
            subprocess.run(
                command, check=True, env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[3])}
            )
            made[preset, seed, hash_seed] = pickle.loads(path.read_bytes())
        return made[preset, seed, hash_seed]

    return corpus


@pytest.fixture(scope="session")
def small(generated: Callable[..., Grammar]) -> Grammar:
    return generated("small")
