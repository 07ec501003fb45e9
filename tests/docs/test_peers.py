"""docs/peers.md names options and choices of ours that exist."""

import re

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from seq2seq.commands.hydra_errors import OUTSIDE_CONFIGURATION
from seq2seq.commands.main import PROGRAMS
from tests.docs.test_readme import keys
from tests.support.programs import CONFIGS, ROOT, choices

PAGE = (ROOT / "docs" / "peers.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in PAGE.splitlines()
    if re.match(r"\| (?!Open|-+\|)", line)
]
OTHER = {"torchrun", "entmax15", "hard", "local_m", "local_p", "bpe"}
"""Names that are no options: another program, and values of the option before them."""


@pytest.fixture(scope="module")
def options() -> set[str]:
    """The options of all programs."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        values = [compose("train", ["dataset=tsv"]), *map(compose, ("evaluate", "translate", "score"))]
    return {*OUTSIDE_CONFIGURATION}.union(*(keys(OmegaConf.to_container(each)) for each in values))


def test_every_row_has_an_option_or_a_reason(options: set[str]) -> None:
    assert len(ROWS) > 80
    for row in ROWS:
        assert len(row) == 4, row
        ours = row[-1]
        named = re.findall(r"`([^`]+)`", ours)
        assert named or ours.startswith(("none", "always")), row
        for name in set(named) - OTHER:
            option, _, value = name.partition("=")
            if (CONFIGS / option).is_dir():
                assert value in choices(option), row
            elif name.startswith("seq2seq "):
                assert name.removeprefix("seq2seq ") in PROGRAMS, row
            else:
                assert option in options, row


def test_every_option_of_training_and_search_has_its_row(options: set[str]) -> None:
    named = {name.partition("=")[0] for row in ROWS for name in re.findall(r"`([^`]+)`", row[-1])}
    expected = {option for option in options if option.startswith(("training.", "search."))}
    assert expected - named <= {"search.method", "search.rank_by", "search.seed", "search.too_long"}
