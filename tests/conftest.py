"""What every test shares: one thread, and the real parallel text where it is present."""

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"  # for the programs that tests start

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with `multi30k/` and `tatoeba/`: real parallel text, kept beside the repository and never in it."""
    if not DATA.is_dir():
        if os.environ.get("CI"):
            pytest.fail(f"{DATA} is absent, but CI must have it")
        pytest.skip(f"needs real parallel text in {DATA}")
    return DATA
