"""Options that have no effect are told in the log, and are no error."""

from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from seq2seq.commands.composition import load_options
from seq2seq.commands.unused_options import unused_options
from seq2seq.config import Train
from tests.support.programs import CONFIGS, SMALL, TEXT, write_corpus
from tests.support.warm import Warm


def remarks(*overrides: str) -> list[str]:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        configuration = load_options(Train, compose("train", list(overrides)))
    return list(unused_options(configuration, overrides))


@pytest.mark.parametrize(
    ("option", "without", "with_effect"),
    [
        ("attention.heads=2", ["attention=dot"], ["attention=multihead"]),
        ("attention.window=3", ["attention=dot"], ["attention=location"]),
        ("attention.window=3", ["attention.distribution=hard"], ["attention.distribution=local_p"]),
        ("attention.soft=0.1", ["attention=dot"], ["attention.distribution=hard"]),
        ("attention.estimator=gumbel", ["attention=dot"], ["attention.distribution=hard"]),
        ("attention.temperature=2", ["attention=uniform"], ["attention=dot"]),
        ("training.coverage_loss=1", ["attention=uniform"], ["attention=dot"]),
        ("training.guide.weight=2", [], ["training.guide.alignments=gold"]),
        ("training.guide.loss=squared_error", [], ["training.guide.alignments=gold"]),
        ("training.guide.epochs=2", [], ["training.guide.alignments=gold"]),
        ("training.guide.alignment_units=characters", [], ["training.guide.alignments=gold"]),
    ],
)
def test_an_option_without_effect_is_told(option: str, without: list[str], with_effect: list[str]) -> None:
    (remark,) = remarks(*without, option)
    assert remark.startswith(f"{option} has no effect: it is for ")
    assert remarks(*with_effect, option) == []


def test_a_mistake_is_made_once() -> None:
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = compose("train", ["mistake=[loss_counts_padding,loss_counts_padding]"])
    assert load_options(Train, composed).mistake == ("loss_counts_padding",)


def test_the_log_has_it(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    words = [*TEXT, *SMALL, "training.steps=1", "attention=dot", "attention.heads=2", "search=greedy"]
    log = warm("train", *words, "hydra.run.dir=run", folder=tmp_path, status=0).printed.decode()
    assert log.count("attention.heads=2 has no effect: it is for attention=multihead") == 1
    assert "has no effect" in (tmp_path / "run" / "train.log").read_text(encoding="utf-8")
