"""The programs on text that is no sentence of words: Chinese without spaces, and single words without four tokens."""

import json
import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from seq2seq.text.units import segments
from tests.support.programs import SIZES, SMALL
from tests.support.warm import Warm

SUBJECTS = [("the dog", "狗"), ("the cat", "猫"), ("the horse", "马"), ("the sister", "姐姐"), ("the girl", "女孩")]
VERBS = [("sees", "看见"), ("looks for", "寻找"), ("finds", "找到"), ("hears", "听见"), ("buys", "买")]
TIMES = [("today", "今天"), ("in the morning", "早上"), ("never", "从不"), ("in winter", "冬天")]
OBJECTS = [("the apple", "苹果"), ("the bridge", "桥"), ("the bread", "面包"), ("a spoon", "勺子"), ("no water", "水")]
LETTERS = dict(zip("αβγδεικλμνοπ", "abgdeiklmnop", strict=True))

DATASET = ["dataset=files", "dataset.train=train", "dataset.validation=dev", "dataset.test=test", "dataset.cache=cache"]
RUN = [*DATASET, *SMALL, "attention=additive", "search=greedy", "training.learning_rate=0.01", "hydra.run.dir=run"]


def write(folder: Path, pairs: list[tuple[str, str]], source: str, target: str) -> None:
    """`train`, `dev` and `test` of these pairs, in an order that is the same every time."""
    random.Random(7).shuffle(pairs)
    for name, size in SIZES.items():
        part = [pairs.pop() for _ in range(size)]
        for language, lines in zip((source, target), zip(*part, strict=True), strict=True):
            (folder / f"{name}.{language}").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def results(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "run" / "results.json").read_text())
    return found


@pytest.fixture(scope="module")
def chinese(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with English-Chinese text and `run`, trained on it."""
    folder = tmp_path_factory.mktemp("chinese")
    pairs = [
        (f"{s[0]} {v[0]} {o[0]} {t[0]}.", f"{t[1]}{s[1]}{v[1]}{o[1]}。")
        for s, v, t, o in product(SUBJECTS, VERBS, TIMES, OBJECTS)
    ]
    write(folder, pairs, "en", "zh")
    languages = ["dataset.source=en", "dataset.target=zh", "dataset.vocabulary=350", "training.epochs=8"]
    (folder / "printed").write_bytes(warm("train", *RUN, *languages, folder=folder, status=0).printed)
    return folder


def test_chinese_has_a_bleu_that_follows_the_model(chinese: Path) -> None:
    found = results(chinese)
    assert "|tok:zh|" in found["test"]["signature"]
    assert found["test"]["tokenizer"] == "zh"
    assert found["test"]["bleu"] > 60
    assert 0 < found["test"]["ter"] < 40
    curve = [float(line.split("BLEU")[1].split()[0]) for line in (chinese / "printed").read_text().splitlines()
             if "loss" in line and "BLEU" in line]  # fmt: skip
    assert len(curve) == 8
    assert curve[0] < curve[-1]
    assert found["best"]["bleu"] == pytest.approx(max(curve), abs=0.005)
    per_epoch = found["train"]["steps"] // 8
    assert found["best"]["step"] > 4 * per_epoch


def test_an_evaluation_counts_the_same_tokens_or_those_that_are_asked_for(warm: Warm, chinese: Path) -> None:
    arguments = ["checkpoint=run/checkpoints/best", "device=cpu", "output=evaluated"]
    warm("evaluate", *arguments, folder=chinese, status=0)
    again = json.loads((chinese / "evaluated" / "evaluation.json").read_text())["test"]
    assert again == results(chinese)["test"]
    warm("evaluate", *arguments, "evaluation.tokenize=char", folder=chinese, status=0)
    found = json.loads((chinese / "evaluated" / "evaluation.json").read_text())["test"]
    assert "|tok:char|" in found["signature"]
    refused = warm("evaluate", *arguments, "evaluation.tokenize=chars", folder=chinese, status=2).told
    assert "evaluation.tokenize: no such choice 'chars', did you mean char?" in refused


def test_alignments_of_chinese_are_between_words_and_pieces(warm: Warm, chinese: Path) -> None:
    source = "The dog sees the apple today."
    ended = warm("translate", "checkpoint=run/checkpoints/best", "device=cpu", "alignments=true", "units=true",
                 folder=chinese, given=f"{source}\n".encode(), status=0)  # fmt: skip
    text, links, source_units, target_units = ended.printed.decode().removesuffix("\n").split("\t")
    assert source_units == source
    units = target_units.split(" ")
    assert len(units) > 3
    assert "".join(units) == text
    targets = [int(link.split("-")[1]) for link in links.split()]
    assert max(targets) < len(units)
    assert len(set(targets)) > 3


def test_gold_alignments_count_words_or_characters(warm: Warm, chinese: Path) -> None:
    lines = (chinese / "test.zh").read_text().splitlines()
    ends = [f"0-{len(segments(line)) - 1}\n" for line in lines]
    (chinese / "gold").write_text("".join(ends))
    arguments = ["checkpoint=run/checkpoints/best", "device=cpu", "alignments=gold", "output=aligned"]
    refused = warm("evaluate", *arguments, folder=chinese, status=2).told
    assert "gold, line 1: 0-" in refused
    assert "the target sentence has 1 words" in refused
    assert "alignment_units" in refused
    warm("evaluate", *arguments, "alignment_units=characters", folder=chinese, status=0)
    found = json.loads((chinese / "aligned" / "evaluation.json").read_text())["test"]
    assert 0 < found["aer"] <= 1


def test_where_bleu_cannot_be_had_the_loss_ranks_and_the_table_says_why(warm: Warm, tmp_path: Path) -> None:
    """One word a line: BLEU is 0 for right translations too, and more than 0 for long wrong ones."""
    words = sorted({"".join(random.Random(seed).choices(sorted(LETTERS), k=3 + seed % 5)) for seed in range(400)})
    write(tmp_path, [(word, "".join(map(LETTERS.__getitem__, word))) for word in words], "grk", "lat")
    languages = ["dataset.source=grk", "dataset.target=lat", "dataset.vocabulary=300", "training.epochs=6"]
    printed = warm("train", *RUN, *languages, folder=tmp_path, status=0).printed.decode()
    assert printed.count("no reference of validation has the four tokens (13a) that BLEU needs") == 1
    losses = [float(line.split("loss")[1].split()[0]) for line in printed.splitlines() if "validation  loss" in line]
    found = results(tmp_path)
    assert found["best"]["metric"] == "loss"
    assert found["best"]["loss"] == pytest.approx(min(losses), abs=0.0005)
    assert found["test"]["bleu"] == 0
    table = warm(
        "evaluate", "checkpoint=run/checkpoints/best", "device=cpu", folder=tmp_path, status=0
    ).printed.decode()
    assert "BLEU says nothing here: no reference has four tokens (13a)" in table


def test_a_metric_that_stays_the_same_while_the_loss_falls_is_said_once_and_ranked_by_the_loss(
    warm: Warm, corpus: Path, tmp_path: Path
) -> None:
    text = [f"dataset.{split}={corpus / name}" for split, name in (("train", "train"), ("validation", "dev"))]
    text += [f"dataset.test={corpus / 'test'}", "dataset.source=de", "dataset.target=en", "dataset.vocabulary=330"]
    schedule = ["training.steps=25", "training.validate_every=5", "training.metric=exact", "training.patience=2"]
    printed = warm("train", *RUN, *text, *schedule, folder=tmp_path, status=0).printed.decode()
    assert (
        printed.count(
            "exact did not change in 3 validations while the loss fell, so the loss decides which checkpoint is best"
        )
        == 1
    )
    assert results(tmp_path)["best"]["exact"] == 0
    assert results(tmp_path)["best"]["step"] == 25  # the last, and patience did not end the run
