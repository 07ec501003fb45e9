"""`-m hydra/sweeper=optuna`: trials, their value, the best of them; and what train.py returns to any sweeper."""

import json
import re
from pathlib import Path

import pytest
import yaml

from seq2seq.commands.train import best_value
from tests.support.programs import ROOT, SMALL, TEXT
from tests.support.warm import Warm

pytestmark = pytest.mark.usefixtures("unchecked")

PAGE = (ROOT / "docs" / "tuning.md").read_text(encoding="utf-8")
RUN = ["-m", "hydra/sweeper=optuna", *TEXT, *SMALL, "search=greedy", "training.steps=8", "hydra.sweep.dir=trials"]


@pytest.fixture
def optuna() -> None:
    pytest.importorskip(
        "hydra_plugins.hydra_optuna_sweeper.optuna_sweeper",
        reason="hydra-optuna-sweeper is not installed: pip install -e '.[sweepers]'",
        exc_type=ImportError,
    )


@pytest.mark.usefixtures("optuna")
@pytest.mark.parametrize("metric", ["loss", "chrf"])
def test_the_best_trial_is_the_best_validation(warm: Warm, corpus: Path, tmp_path: Path, metric: str) -> None:
    text = [f"dataset.{split}={corpus}/{name}" for split, name in (("train", "train"), ("validation", "dev"))]
    options = [*RUN, *text, "dataset.test=null", f"training.metric={metric}", "hydra.sweeper.n_trials=3"]
    options += ["training.learning_rate=interval(0.001, 0.01)", "training.validate_every=2", "training.patience=1"]
    ended = warm("train", *options, folder=tmp_path, status=0)
    results = [json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("trials/*/results.json")]
    values = [result["best"][metric] for result in results]
    best = yaml.safe_load((tmp_path / "trials" / "optimization_results.yaml").read_text(encoding="utf-8"))
    assert len(values) == 3
    assert best["best_value"] == (min if metric == "loss" else max)(values)
    space = yaml.safe_load((ROOT / "configs" / "optuna.yaml").read_text(encoding="utf-8"))["params"]
    assert best["best_params"].keys() == space.keys()
    assert 0.001 <= best["best_params"]["training.learning_rate"] <= 0.01
    assert b"Best value" in ended.printed


@pytest.mark.usefixtures("optuna")
def test_a_trial_that_diverges_fails_and_the_next_one_starts(warm: Warm, corpus: Path, tmp_path: Path) -> None:
    text = [f"dataset.{split}={corpus}/{name}" for split, name in (("train", "train"), ("validation", "dev"))]
    options = [*RUN, *text, "dataset.test=null", "hydra.sweeper.params=null", "training.clip=null"]
    both = "training.learning_rate=choice(0.001, 1e25)"
    ended = warm("train", *options, both, "hydra.sweeper.n_trials=5", folder=tmp_path, status=0)
    assert b"training diverged" in ended.printed
    best = yaml.safe_load((tmp_path / "trials" / "optimization_results.yaml").read_text(encoding="utf-8"))
    assert best["best_params"] == {"training.learning_rate": 0.001}
    every = ["training.learning_rate=choice(1e25, 1e26)", "hydra.sweeper.n_trials=2", "hydra.sweep.dir=other"]
    ended = warm("train", *options, *every, folder=tmp_path, status=2)
    assert ended.told.endswith("error: hydra/sweeper=optuna: training diverged in every trial; narrow the ranges\n")


def test_without_the_package_its_command_is_named(warm: Warm, tmp_path: Path) -> None:
    try:
        import hydra_plugins.hydra_optuna_sweeper  # noqa: F401
    except ImportError:
        assert warm.refused("train", *RUN, folder=tmp_path) == (
            "error: hydra/sweeper=optuna: hydra-optuna-sweeper is not installed; "
            "`pip install '.[sweepers]'` installs it"
        )
    else:
        pytest.skip("hydra-optuna-sweeper is installed")


def test_the_value_of_a_run_is_that_of_its_metric() -> None:
    best = {"step": 3, "metric": "bleu", "bleu": 31.5, "loss": 2.5}
    assert best_value({"best": best}, "bleu") == 31.5
    assert best_value({"best": best | {"metric": "loss"}}, "loss") == 2.5
    assert best_value({"best": best | {"metric": "loss"}}, "bleu") == -2.5  # BLEU could not be measured


def test_the_page_lists_the_search_space() -> None:
    space = yaml.safe_load((ROOT / "configs" / "optuna.yaml").read_text(encoding="utf-8"))["params"]
    assert dict(re.findall(r"^\| `(\S+)` \| `(.*?)` \|", PAGE, re.MULTILINE)) == space
