"""Spoilt files, a few of each reader's; `python -m tests.support.fuzz READER --minutes 10` reads many."""

from pathlib import Path

import pytest

from tests.support.fuzz import fuzz
from tests.support.readers import READERS


@pytest.mark.parametrize("name", sorted(READERS))
def test_a_spoilt_file_is_read_or_refused(tmp_path: Path, name: str) -> None:
    taken = fuzz(name, tmp_path / "example", examples=100)
    assert 0 < taken < 100
