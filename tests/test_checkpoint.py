"""Checkpoints: what is saved comes back to the bit, what is damaged is told, and the best ones are kept."""

import json
import pickle
import random
from pathlib import Path

import pytest
import torch

from seq2seq import checkpoint
from seq2seq.checkpoint import Best, Checkpoint
from seq2seq.errors import InputError
from seq2seq.text.tokenizer import Tokenizers, train_tokenizer
from tests.tiny import tiny_model

FILES = {"checkpoint.json", "source.model", "target.model", "weights.safetensors"}


@pytest.fixture(scope="module")
def tokenizers() -> Tokenizers:
    """Two tokenizers of made-up words."""
    draw = random.Random(0)
    words = ["".join(draw.choices("abdegilmnorst", k=4)) for _ in range(60)]
    lines = [" ".join(draw.choices(words, k=6)) for _ in range(200)]
    return Tokenizers(
        train_tokenizer(lines, vocabulary_size=300, kind="unigram"),
        train_tokenizer(lines, vocabulary_size=310, kind="unigram"),
    )


def trained(tokenizers: Tokenizers, *, step: int = 7, tie: str = "target") -> Checkpoint:
    return Checkpoint(
        configuration={"model": {"embedding": 10}, "name": "größer", "none": None},
        tokenizers=tokenizers,
        weights=dict(tiny_model(tie=tie, seed=step).named_parameters()),
        positions=16,
        step=step,
        scores={"bleu": 12.5, "loss": 0.1 + 0.2},
    )


def everything_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("tie", ["none", "target", "all"])
def test_what_is_saved_comes_back_to_the_bit(tmp_path: Path, tokenizers: Tokenizers, tie: str) -> None:
    saved = trained(tokenizers, tie=tie)
    checkpoint.save(saved, tmp_path / "run" / "best")
    found = checkpoint.load(tmp_path / "run" / "best")
    assert found.weights.keys() == saved.weights.keys()
    for name, weight in saved.weights.items():
        assert torch.equal(found.weights[name], weight)
        assert found.weights[name].dtype == weight.dtype
    assert (found.configuration, found.positions, found.step) == (saved.configuration, 16, 7)
    assert found.scores == saved.scores
    assert found.tokenizers.source.model == tokenizers.source.model
    assert found.tokenizers.target.model == tokenizers.target.model
    assert everything_in(tmp_path / "run") == {"best", *(f"best/{name}" for name in FILES)}


def test_a_joint_tokenizer_stays_one(tmp_path: Path, tokenizers: Tokenizers) -> None:
    joint = Tokenizers(tokenizers.source, tokenizers.source)
    checkpoint.save(trained(tokenizers), tmp_path / "best")  # what stood there before leaves no second tokenizer
    checkpoint.save(trained(joint), tmp_path / "best")
    assert checkpoint.load(tmp_path / "best").tokenizers.joint
    assert everything_in(tmp_path / "best") == FILES - {"target.model"}


def test_saving_over_another_leaves_a_whole_one(tmp_path: Path, tokenizers: Tokenizers) -> None:
    for step in (1, 2, 3):
        checkpoint.save(trained(tokenizers, step=step), tmp_path / "last")
        assert checkpoint.load(tmp_path / "last").step == step
        assert everything_in(tmp_path) == {"last", *(f"last/{name}" for name in FILES)}


def test_what_an_interrupted_save_left_is_cleared_away(tmp_path: Path, tokenizers: Tokenizers) -> None:
    for name in (".last.partial", ".last.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "target.model").write_bytes(b"half")
    checkpoint.save(trained(Tokenizers(tokenizers.source, tokenizers.source)), tmp_path / "last")
    assert everything_in(tmp_path) == {"last", *(f"last/{name}" for name in FILES - {"target.model"})}


def test_nothing_in_it_is_a_program(tmp_path: Path, tokenizers: Tokenizers) -> None:
    checkpoint.save(trained(tokenizers), tmp_path / "best")
    (tmp_path / "best" / "weights.safetensors").write_bytes(pickle.dumps({"a": torch.zeros(2)}))
    with pytest.raises(InputError, match=r"best is damaged: SafetensorError"):
        checkpoint.load(tmp_path / "best")


@pytest.mark.parametrize("name", sorted(FILES - {"target.model"}))
def test_a_missing_file_is_told(tmp_path: Path, tokenizers: Tokenizers, name: str) -> None:
    checkpoint.save(trained(tokenizers), tmp_path / "best")
    (tmp_path / "best" / name).unlink()
    with pytest.raises(InputError, match=rf"best is .*{name}"):
        checkpoint.load(tmp_path / "best")


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("kept", [0, 9, 0.5])
def test_a_file_cut_short_is_told(tmp_path: Path, tokenizers: Tokenizers, name: str, kept: float) -> None:
    checkpoint.save(trained(tokenizers), tmp_path / "best")
    path = tmp_path / "best" / name
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(InputError, match=r"best is damaged"):
        checkpoint.load(tmp_path / "best")


@pytest.mark.parametrize(
    "description",
    [
        b"\xff\xfe",
        b"[" * 100_000,
        b"[1]",
        b"{}",
        b'{"format": 2}',
        b'{"format": "1"}',
        b'{"format": 1}',
        b'{"format": 1, "configuration": 3, "positions": 4, "step": 5, "scores": {}}',
        b'{"format": 1, "configuration": {}, "positions": [], "step": 5, "scores": {}}',
        b'{"format": 1, "configuration": {}, "positions": 1e999, "step": 5, "scores": {}}',
        b'{"format": 1, "configuration": {}, "positions": 4, "step": "x", "scores": {}}',
    ],
    ids=lambda description: description[:70].decode(errors="replace")[:50],
)
def test_another_description_is_refused(tmp_path: Path, tokenizers: Tokenizers, description: bytes) -> None:
    checkpoint.save(trained(tokenizers), tmp_path / "best")
    (tmp_path / "best" / "checkpoint.json").write_bytes(description)
    with pytest.raises(InputError, match=r"best (is damaged|has format)"):
        checkpoint.load(tmp_path / "best")


def test_another_format_is_named(tmp_path: Path, tokenizers: Tokenizers) -> None:
    checkpoint.save(trained(tokenizers), tmp_path / "best")
    path = tmp_path / "best" / "checkpoint.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(InputError, match=r"best has format 99; this version of seq2seq reads format 1"):
        checkpoint.load(tmp_path / "best")


def test_a_folder_that_is_no_checkpoint_is_told_where_there_are_some(tmp_path: Path, tokenizers: Tokenizers) -> None:
    with pytest.raises(InputError, match=r"no checkpoint at .*nowhere"):
        checkpoint.load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"no checkpoint at .*file"):
        checkpoint.load(tmp_path / "file")
    with pytest.raises(InputError, match=r"give runs/NAME/checkpoints/best"):
        checkpoint.load(tmp_path)
    checkpoint.save(trained(tokenizers), tmp_path / "run" / "checkpoints" / "best")
    for folder in (tmp_path / "run", tmp_path / "run" / "checkpoints"):
        with pytest.raises(InputError, match=r"there are checkpoints in .*run/checkpoints/best$"):
            checkpoint.load(folder)


def kept(folder: Path) -> list[tuple[str, int]]:
    return sorted((path.name, checkpoint.load(path).step) for path in folder.iterdir())


@pytest.mark.parametrize(
    ("higher_is_better", "values", "best", "since"),
    [
        (True, [3.0, 5.0, 4.0, 1.0, 4.5], [2, 5, 3], 3),
        (False, [3.0, 5.0, 4.0, 1.0, 4.5], [4, 1, 3], 1),
        (True, [2.0, 2.0, 2.0, 2.0], [1, 2, 3], 3),
        (False, [2.0, 1.0, 2.0, 1.0], [2, 4, 1], 2),
        (True, [1.0, 2.0], [2, 1], 0),
        (False, [2.0, float("nan"), 3.0], [1, 3, 2], 2),
        (True, [float("nan"), 2.0, float("nan"), 1.0], [2, 4, 1], 2),
    ],
)
def test_the_best_are_kept_in_their_order(
    tmp_path: Path,
    tokenizers: Tokenizers,
    higher_is_better: bool,
    values: list[float],
    best: list[int],
    since: int,
) -> None:
    """Of equals the first wins, and what is no number is worse than any number."""
    for keep in (3, 1):
        folder = tmp_path / str(keep)
        chosen = Best(folder, keep=keep, higher_is_better=higher_is_better)
        for step, value in enumerate(values, start=1):
            chosen.offer(trained(tokenizers, step=step), value)
        assert chosen.since == since
        assert kept(folder) == list(zip(["best", "best-2", "best-3"][:keep], best, strict=False))


def test_the_best_yet_is_told(tmp_path: Path, tokenizers: Tokenizers) -> None:
    chosen = Best(tmp_path, keep=2, higher_is_better=False)
    offered = [chosen.offer(trained(tokenizers, step=step), value) for step, value in enumerate([4.0, 5.0, 3.0, 3.0])]
    assert offered == [True, False, True, False]
