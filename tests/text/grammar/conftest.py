"""The corpora of the tests. Each is generated once, in its own process, where no shape checks slow it down."""

import gc
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seq2seq.text.grammar import Grammar

_GENERATE = """
import pickle, sys
from seq2seq.text.grammar import generate
corpus = generate(sys.argv[2], seed=int(sys.argv[3]), invented_names=float(sys.argv[4]))
pickle.dump(corpus, open(sys.argv[1], "wb"))
"""


def run_apart(program: str, folder: Path, *arguments: str, hash_seed: str = "0") -> Any:
    """What the program pickles into the file that is its first argument."""
    path = folder / "result"
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", program, str(path), *arguments], check=True, env=environment)
    gc.disable()  # it would look through a million objects again and again, now and for each later test
    try:
        return pickle.loads(path.read_bytes())
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def generated(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Grammar]:
    corpora: dict[tuple[str, int, str, float], Grammar] = {}

    def corpus(preset: str, *, seed: int = 1, hash_seed: str = "0", invented_names: float = 0.0) -> Grammar:
        key = (preset, seed, hash_seed, invented_names)
        if key not in corpora:
            folder, options = tmp_path_factory.mktemp("grammar"), (preset, str(seed), str(invented_names))
            corpora[key] = run_apart(_GENERATE, folder, *options, hash_seed=hash_seed)
        return corpora[key]

    return corpus


@pytest.fixture(scope="session")
def small(generated: Callable[..., Grammar]) -> Grammar:
    return generated("small")
