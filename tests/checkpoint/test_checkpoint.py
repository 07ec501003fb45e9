"""Checkpoints: what is saved comes back to the bit, what is damaged is told, and the best ones are kept."""

import hashlib
import itertools
import json
import math
import os
import pickle
import random
import re
import resource
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import torch

from seq2seq import checkpoint
from seq2seq.checkpoint import Checkpoint, Training, files
from seq2seq.checkpoint.ranking import ValidationRanking
from seq2seq.checkpoint.state import Counts, State, Sums
from seq2seq.runtime.errors import InputError
from seq2seq.text.tokenizer import Tokenizers, train_tokenizer
from tests.support.spoil import reseal
from tests.support.tiny import tiny_model

FILES = {"checkpoint.json", "checkpoint.json.sha256", "source.model", "target.model", "weights.safetensors"}


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
        configuration={
            "parts": {"embedding": 10},
            "name": "größer",
            "none": None,
            "evaluation": {"tokenize": "intl"},
            "init": None,
            "mistake": [],
        },
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
    checkpoint.store(saved, tmp_path / "run" / "best")
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
    checkpoint.store(trained(tokenizers), tmp_path / "best")  # what stood there before leaves no second tokenizer
    checkpoint.store(trained(joint), tmp_path / "best")
    assert checkpoint.load(tmp_path / "best").tokenizers.joint
    assert everything_in(tmp_path / "best") == FILES - {"target.model"}


def test_saving_over_another_leaves_a_whole_one(tmp_path: Path, tokenizers: Tokenizers) -> None:
    for step in (1, 2, 3):
        checkpoint.store(trained(tokenizers, step=step), tmp_path / "last")
        assert checkpoint.load(tmp_path / "last").step == step
        assert everything_in(tmp_path) == {"last", *(f"last/{name}" for name in FILES)}


def test_what_an_interrupted_save_left_is_cleared_away(tmp_path: Path, tokenizers: Tokenizers) -> None:
    for name in (".last.partial", ".last.old"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "target.model").write_bytes(b"half")
    checkpoint.store(trained(Tokenizers(tokenizers.source, tokenizers.source)), tmp_path / "last")
    assert everything_in(tmp_path) == {"last", *(f"last/{name}" for name in FILES - {"target.model"})}


def test_nothing_in_it_is_a_program(tmp_path: Path, tokenizers: Tokenizers) -> None:
    checkpoint.store(trained(tokenizers), tmp_path / "best")
    payload = pickle.dumps({"a": torch.zeros(2)})
    (tmp_path / "best" / "weights.safetensors").write_bytes(payload)
    with pytest.raises(InputError, match=r"best is damaged: weights"):
        checkpoint.load(tmp_path / "best")
    path = tmp_path / "best" / "checkpoint.json"
    digest = hashlib.sha256(payload).hexdigest()  # from someone who can count
    path.write_text(re.sub(r'(weights.safetensors": ")\w+', rf"\g<1>{digest}", path.read_text()))
    reseal(path.parent)
    with pytest.raises(InputError, match=r"best is damaged: the header of weights.safetensors"):
        checkpoint.load(tmp_path / "best")


@pytest.mark.parametrize("name", sorted(FILES - {"target.model"}))
def test_a_missing_file_is_told(tmp_path: Path, tokenizers: Tokenizers, name: str) -> None:
    checkpoint.store(trained(tokenizers), tmp_path / "best")
    (tmp_path / "best" / name).unlink()
    with pytest.raises(InputError, match=rf"best is .*{name}"):
        checkpoint.load(tmp_path / "best")


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("kept", [0, 9, 0.5])
def test_a_file_cut_short_is_told(tmp_path: Path, tokenizers: Tokenizers, name: str, kept: float) -> None:
    checkpoint.store(trained(tokenizers), tmp_path / "best")
    path = tmp_path / "best" / name
    content = path.read_bytes()
    path.write_bytes(content[: kept if isinstance(kept, int) else int(kept * len(content))])
    with pytest.raises(InputError, match=r"best is damaged"):
        checkpoint.load(tmp_path / "best")


BROKEN: list[dict[str, Any]] = [
    {"configuration": 3},
    {"positions": []},
    {"positions": 0},
    {"positions": math.inf},
    {"step": "x"},
    {"step": -1},
    {"scores": {"bleu": "high"}},
    {"files": {}},
    {"files": {"../../weights.safetensors": "0"}},
    {"state": {}},
    {"state": {"text": "", "counts": {"tokens": -1}}},
    {"_target_": "os.system"},
]


@pytest.mark.parametrize("change", BROKEN, ids=str)
def test_another_description_is_refused(tmp_path: Path, tokenizers: Tokenizers, change: dict[str, Any]) -> None:
    checkpoint.store(trained(tokenizers), tmp_path / "best")
    path = tmp_path / "best" / "checkpoint.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    reseal(path.parent)
    with pytest.raises(InputError, match=rf"best is damaged: checkpoint\.json.*{min(change)}|do not agree"):
        checkpoint.load(tmp_path / "best")


@pytest.mark.parametrize("name", ["format", "configuration", "positions", "step", "scores", "files", "state"])
def test_a_description_lacks_nothing(tmp_path: Path, tokenizers: Tokenizers, name: str) -> None:
    checkpoint.store(trained(tokenizers), tmp_path / "best")
    path = tmp_path / "best" / "checkpoint.json"
    path.write_text(json.dumps({key: value for key, value in json.loads(path.read_text()).items() if key != name}))
    reseal(path.parent)
    with pytest.raises(InputError, match=rf"best (is damaged: checkpoint\.json, {name}|has format None)"):
        checkpoint.load(tmp_path / "best")


@pytest.mark.parametrize(
    "content", [b"\xff\xfe", b"[" * 100_000, b"[1]", b"{}", b'{"format": "1"}', b'{"format": true}']
)
def test_what_is_no_description_is_refused(tmp_path: Path, tokenizers: Tokenizers, content: bytes) -> None:
    checkpoint.store(trained(tokenizers), tmp_path / "best")
    (tmp_path / "best" / "checkpoint.json").write_bytes(content)
    reseal(tmp_path / "best")
    with pytest.raises(InputError, match=r"best (is damaged|has format)"):
        checkpoint.load(tmp_path / "best")


def test_another_format_is_named(tmp_path: Path, tokenizers: Tokenizers) -> None:
    checkpoint.store(trained(tokenizers), tmp_path / "best")
    path = tmp_path / "best" / "checkpoint.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    reseal(path.parent)
    with pytest.raises(InputError, match=r"best has format 99; this version of seq2seq reads formats 1 to 3"):
        checkpoint.load(tmp_path / "best")


GUIDE = {"alignments": None, "alignment_units": "words", "loss": "cross_entropy", "weight": 0.1, "epochs": None}


def test_format_1_had_no_hashes_and_is_read(tmp_path: Path, tokenizers: Tokenizers) -> None:
    saved = trained(tokenizers)._replace(configuration={"training": {"seed": 3}})
    checkpoint.store(saved, tmp_path / "best")
    path = tmp_path / "best" / "checkpoint.json"
    values = {key: value for key, value in json.loads(path.read_text()).items() if key not in ("files", "state")}
    path.write_text(json.dumps({**values, "format": 1}))
    (path.parent / "checkpoint.json.sha256").unlink()
    found = checkpoint.load(tmp_path / "best")
    assert found.configuration == {
        "training": {
            **{"seed": 3, "save_every": None, "freeze": [], "average": None, "guide": GUIDE},
            **{"r_drop": 0.0, "coverage_loss": 0.0, "teacher_forcing": {"first": 1.0, "last": 1.0}},
            "sample_subwords": {"source": None, "target": None},
        },
        "evaluation": {"tokenize": None},
        "init": None,
        "mistake": [],
    }
    assert all(torch.equal(found.weights[name], weight) for name, weight in saved.weights.items())


def test_what_is_older_than_an_option_does_what_it_did(tmp_path: Path, tokenizers: Tokenizers) -> None:
    attention = {"score": "dot", "distribution": "hard", "heads": 4, "window": 5}
    older = {
        **{"attention": attention, "encoder": {"layers": 1, "attention": attention}},
        **{"decoder": {"place": "luong"}, "device": {"kind": "cpu"}},
    }
    checkpoint.store(trained(tokenizers)._replace(configuration=older), tmp_path / "best")
    found = checkpoint.load(tmp_path / "best").configuration
    assert found["device"] == {"kind": "cpu", "precision": "float32", "deterministic": False, "graphs": True}
    assert found["decoder"] == {"place": "luong", "layers": 1}
    for section in (found["attention"], found["encoder"]["attention"]):
        assert section == {**attention, "estimator": "straight_through", "temperature": 1.0, "soft": 0.0}
    for name, more in (("files", {}), ("tsv", {"columns": None, "quoting": "none", "header": False})):
        checkpoint.store(trained(tokenizers)._replace(configuration={"dataset": {"name": name}}), tmp_path / "best")
        added = {"normalization": "none", "character_coverage": 1.0, "symbols": [], "min_frequency": 1}
        added |= {"both_directions": False, "distilled": None}
        assert checkpoint.load(tmp_path / "best").configuration["dataset"] == {
            "name": name,
            "hold_out": None,
            **added,
            **more,
        }
    kept = {**older, "encoder": {"attention": None}, "device": {"precision": "auto"}}
    checkpoint.store(trained(tokenizers)._replace(configuration=kept), tmp_path / "best")
    found = checkpoint.load(tmp_path / "best").configuration
    assert (found["device"]["precision"], found["encoder"]["attention"]) == ("auto", None)


def flip(path: Path, place: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(place * (len(content) - 1))] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("place", [0, 0.3, 0.5, 0.7, 1])
def test_a_single_wrong_bit_is_told(tmp_path: Path, tokenizers: Tokenizers, name: str, place: float) -> None:
    checkpoint.store(trained(tokenizers), tmp_path / "best")
    flip(tmp_path / "best" / name, place)
    with pytest.raises(InputError, match=rf"best is damaged: {name.removesuffix('.sha256')} is not what was written"):
        checkpoint.load(tmp_path / "best")


def test_no_bit_of_a_description_can_be_wrong(tmp_path: Path, tokenizers: Tokenizers) -> None:
    """One bit makes another seed, another width, or a format that knew no hash."""
    checkpoint.store(trained(tokenizers), tmp_path / "best")
    path = tmp_path / "best" / "checkpoint.json"
    content = path.read_bytes()
    for bit in range(0, 8 * len(content), 13):  # each of a byte's bits, and each place in turn
        wrong = bytearray(content)
        wrong[bit // 8] ^= 1 << bit % 8
        path.write_bytes(wrong)
        with pytest.raises(InputError, match="best is damaged"):
            checkpoint.load(tmp_path / "best")
    path.write_bytes(content)
    checkpoint.load(tmp_path / "best")


def test_sha256sum_can_check_a_description(tmp_path: Path, tokenizers: Tokenizers) -> None:
    checkpoint.store(trained(tokenizers), tmp_path / "best")
    command = ["sha256sum", "--check", "--strict", "checkpoint.json.sha256"]
    assert subprocess.run(command, cwd=tmp_path / "best", check=True, capture_output=True).stdout


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_only_plain_files_are_read(tmp_path: Path, tokenizers: Tokenizers, kind: str) -> None:
    checkpoint.store(trained(tokenizers), tmp_path / "best")
    path = (tmp_path / "best" / "weights.safetensors").rename(tmp_path / "elsewhere")
    place = tmp_path / "best" / path.with_name("weights.safetensors").name
    {"link": lambda: place.symlink_to(path), "pipe": lambda: os.mkfifo(place), "folder": place.mkdir}[kind]()
    with pytest.raises(InputError, match=r"best is damaged: weights\.safetensors is not a plain file"):
        checkpoint.load(tmp_path / "best")


def test_a_folder_that_is_no_checkpoint_is_told_where_there_are_some(tmp_path: Path, tokenizers: Tokenizers) -> None:
    with pytest.raises(InputError, match=r"no checkpoint at .*nowhere"):
        checkpoint.load(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"no checkpoint at .*file"):
        checkpoint.load(tmp_path / "file")
    with pytest.raises(InputError, match=r"give runs/NAME/checkpoints/best"):
        checkpoint.load(tmp_path)
    checkpoint.store(trained(tokenizers), tmp_path / "run" / "checkpoints" / "best")
    for folder in (tmp_path / "run", tmp_path / "run" / "checkpoints"):
        with pytest.raises(InputError, match=r"there are checkpoints in .*run/checkpoints/best$"):
            checkpoint.load(folder)


# --- what training needs to go on ------------------------------------------------------------------------------------


def going_on(tokenizers: Tokenizers, *, step: int = 7, standing: ValidationRanking | None = None) -> Checkpoint:
    """A checkpoint that a run can go on from."""
    draw = torch.Generator().manual_seed(step)
    tensors = {"optimizer.step.a": torch.tensor(3.0), "random.cpu": torch.randint(256, (9,), generator=draw).byte()}
    since = Sums(loss=0.1 + 0.2, likelihood=1e300, tokens=3, padding=1, positions=8, seconds=0.7)
    counts = Counts(tokens=11, seconds=2 / 3, since=since, skipped=2, skipped_in_a_row=1)
    state = State(
        text="abc", counts=counts, standing=standing or ValidationRanking(ranking=((-math.inf, 2, 3.5),), waited=4)
    )
    return trained(tokenizers, step=step)._replace(training=Training(tensors, state))


def test_the_state_of_training_comes_back_to_the_bit(tmp_path: Path, tokenizers: Tokenizers) -> None:
    saved = going_on(tokenizers)
    checkpoint.store(saved, tmp_path / "last")
    found = checkpoint.load(tmp_path / "last", training=True)
    assert saved.training is not None
    assert found.training is not None
    assert found.training.state == saved.training.state
    assert found.training.tensors.keys() == saved.training.tensors.keys()
    assert all(torch.equal(found.training.tensors[name], value) for name, value in saved.training.tensors.items())
    assert checkpoint.load(tmp_path / "last").training is None
    assert everything_in(tmp_path / "last") == FILES | {"training.safetensors"}


def test_translation_does_without_the_state_of_training(tmp_path: Path, tokenizers: Tokenizers) -> None:
    checkpoint.store(going_on(tokenizers), tmp_path / "last")
    flip(tmp_path / "last" / "training.safetensors", 0.9)
    assert checkpoint.load(tmp_path / "last").step == 7
    with pytest.raises(InputError, match=r"last is damaged: training\.safetensors is not what was written"):
        checkpoint.load(tmp_path / "last", training=True)
    checkpoint.store(trained(tokenizers), tmp_path / "best")
    with pytest.raises(InputError, match="best holds no training state"):
        checkpoint.load(tmp_path / "best", training=True)


def test_the_one_before_is_taken_where_the_last_is_damaged(
    tmp_path: Path, tokenizers: Tokenizers, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint.store(going_on(tokenizers, step=4), tmp_path / "last")
    checkpoint.store(going_on(tokenizers, step=3), tmp_path / ".last.old")
    assert checkpoint.load(tmp_path / "last").step == 4
    assert not caplog.records
    flip(tmp_path / "last" / "weights.safetensors", 0.9)
    assert checkpoint.load(tmp_path / "last").step == 3
    shutil.rmtree(tmp_path / "last")
    assert checkpoint.load(tmp_path / "last").step == 3
    damaged, missing = (record.getMessage() for record in caplog.records)
    assert "last is damaged: weights.safetensors is not what was written" in damaged
    assert "no checkpoint at" in missing
    assert all(message.endswith("took the one before it, of step 3, instead") for message in (damaged, missing))


def test_the_one_after_is_taken_where_the_others_are_damaged(
    tmp_path: Path, tokenizers: Tokenizers, caplog: pytest.LogCaptureFixture
) -> None:
    """The writer was interrupted before the new one took the place of a damaged one."""
    checkpoint.store(going_on(tokenizers, step=4), tmp_path / ".last.old")
    checkpoint.store(going_on(tokenizers, step=5), tmp_path / ".last.partial")
    flip(tmp_path / ".last.old" / "weights.safetensors", 0.9)
    assert checkpoint.load(tmp_path / "last").step == 5
    assert caplog.records[0].getMessage().endswith("took the one after it, of step 5, instead")
    flip(tmp_path / ".last.partial" / "weights.safetensors", 0.9)
    with pytest.raises(InputError, match="no checkpoint at"):
        checkpoint.load(tmp_path / "last")


def test_a_checkpoint_that_is_replaced_while_it_is_read_is_read_again(
    tmp_path: Path, tokenizers: Tokenizers, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    checkpoint.store(going_on(tokenizers, step=4), tmp_path / "best")
    check, replaced = files._check_files, []

    def slow(*arguments: Any) -> None:
        if not replaced:  # after the description was read
            replaced.append(checkpoint.store(going_on(tokenizers, step=5), tmp_path / "best"))
        check(*arguments)

    monkeypatch.setattr(files, "_check_files", slow)
    assert checkpoint.load(tmp_path / "best").step == 5
    assert not caplog.records


def test_a_damaged_best_is_written_again_where_the_latest_is_the_same(tmp_path: Path, tokenizers: Tokenizers) -> None:
    standing = ValidationRanking().after(4, 2.0, loss=1.5, keep=2, higher_is_better=True)
    latest = going_on(tokenizers, step=4, standing=standing)
    checkpoint.keep_best(latest, tmp_path)
    flip(tmp_path / "best" / "weights.safetensors", 0.9)
    checkpoint.keep_best(latest, tmp_path)
    with pytest.raises(InputError, match="best is damaged"):
        checkpoint.load(tmp_path / "best")
    checkpoint.keep_best(latest, tmp_path, check_files=True)
    assert checkpoint.load(tmp_path / "best").step == 4
    assert kept(tmp_path) == [("best", 4)]


class Cut(BaseException):
    """The process is gone."""


CALLS = ("fsync", "mkdir", "rename", "unlink", "rmdir")
"""Every way in which a checkpoint is written changes the disk, but for `write`, after which comes `fsync`."""


@contextmanager
def cut(after: int) -> Iterator[list[str]]:
    """Ends the writer at its call number `after`, and lets it do nothing more. An unfinished file is half there."""
    calls: list[str] = []

    def until(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            calls.append(name)
            if len(calls) <= after:
                return call(*arguments, **options)
            if name == "fsync" and len(calls) == after + 1 and stat.S_ISREG(os.fstat(arguments[0]).st_mode):
                os.ftruncate(arguments[0], os.fstat(arguments[0]).st_size // 2)
            raise Cut

        return counted

    with pytest.MonkeyPatch.context() as patch, suppress(Cut):
        for name in CALLS:
            patch.setattr(os, name, until(name, getattr(os, name)))
        yield calls


def test_wherever_the_writer_is_cut_a_whole_checkpoint_can_be_loaded(tmp_path: Path, tokenizers: Tokenizers) -> None:
    checkpoint.store(going_on(tokenizers, step=1), tmp_path / "last")
    step, seen = 1, set()
    for after in itertools.count():
        with cut(after) as calls:
            checkpoint.store(going_on(tokenizers, step=step + 1), tmp_path / "last")
        found = checkpoint.load(tmp_path / "last", training=True)
        assert found.step in (step, step + 1)
        assert torch.equal(found.weights["output.bias"], trained(tokenizers, step=found.step).weights["output.bias"])
        step = found.step
        seen.update(calls)
        if len(calls) <= after:
            break
    assert after > 12
    assert seen == set(CALLS)
    checkpoint.store(going_on(tokenizers, step=99), tmp_path / "last")
    assert everything_in(tmp_path) == {"last", *(f"last/{name}" for name in FILES | {"training.safetensors"})}


@pytest.mark.parametrize("size", [0, 100, 2000, 10_000])
def test_a_full_disk_leaves_the_checkpoint_and_nothing_else(tmp_path: Path, tokenizers: Tokenizers, size: int) -> None:
    """The operating system refuses what goes beyond so many bytes of a file."""
    checkpoint.store(going_on(tokenizers, step=1), tmp_path / "last")
    before = everything_in(tmp_path)
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, most))
    try:
        with pytest.raises(OSError, match=r"File too large: .*last\.partial"):
            checkpoint.store(going_on(tokenizers, step=2), tmp_path / "last")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))
    assert checkpoint.load(tmp_path / "last", training=True).step == 1
    assert everything_in(tmp_path) == before


# --- the best -------------------------------------------------------------------------------------------------------


def kept(folder: Path) -> list[tuple[str, int]]:
    return sorted((path.name, checkpoint.load(path).step) for path in folder.iterdir())


RANKINGS: list[tuple[bool, list[float], list[int], int]] = [
    (True, [3.0, 5.0, 4.0, 1.0, 4.5], [2, 5, 3], 3),
    (False, [3.0, 5.0, 4.0, 1.0, 4.5], [4, 1, 3], 1),
    (True, [2.0, 2.0, 2.0, 2.0], [1, 2, 3], 3),
    (False, [2.0, 1.0, 2.0, 1.0], [2, 4, 1], 2),
    (True, [1.0, 2.0], [2, 1], 0),
    (True, [1.0, 2.0, 3.0, 4.0], [4, 3, 2], 0),
    (False, [2.0, math.nan, 3.0], [1, 3, 2], 2),
    (True, [math.nan, 2.0, math.nan, 1.0], [2, 4, 1], 2),
]


@pytest.mark.parametrize(("higher_is_better", "values", "best", "waited"), RANKINGS)
def test_the_best_are_kept_in_their_order(
    tmp_path: Path,
    tokenizers: Tokenizers,
    higher_is_better: bool,
    values: list[float],
    best: list[int],
    waited: int,
) -> None:
    """Of equals the first wins, and what is no number is worse than any number."""
    for keep in (3, 1):
        folder = tmp_path / str(keep)
        folder.mkdir()
        standing = ValidationRanking()
        for step, value in enumerate(values, start=1):
            standing = standing.after(step, value, loss=1.5, keep=keep, higher_is_better=higher_is_better)
            checkpoint.keep_best(going_on(tokenizers, step=step, standing=standing), folder)
            assert checkpoint.load(folder / "best").training is None
        assert standing.waited == waited
        assert kept(folder) == list(zip(["best", "best-2", "best-3"][:keep], best, strict=False))


def test_the_best_become_fewer_where_fewer_are_wanted(tmp_path: Path, tokenizers: Tokenizers) -> None:
    standing = ValidationRanking()
    for step, keep in enumerate([3, 3, 3, 1], start=1):
        standing = standing.after(step, float(-step), loss=1.5, keep=keep, higher_is_better=True)
        (tmp_path / "best-of-all").mkdir(exist_ok=True)  # a person's
        checkpoint.keep_best(going_on(tokenizers, step=step, standing=standing), tmp_path)
        assert len(list(tmp_path.iterdir())) == 1 + min(step, keep)
    assert checkpoint.load(tmp_path / "best").step == 1


def test_equal_values_are_ranked_by_the_loss() -> None:
    """BLEU of 0 at each validation, say, while the model learns: the last is the best, and patience has not waited."""
    standing = ValidationRanking()
    for step, loss in enumerate([3.0, 2.0, 2.5, 1.0], start=1):
        standing = standing.after(step, 0.0, loss=loss, keep=3, higher_is_better=True)
    assert [step for _, step, _ in standing.ranking] == [4, 2, 3]
    assert standing.waited == 0
    assert standing.after(5, 0.0, loss=1.0, keep=3, higher_is_better=True).waited == 1  # the first of equals


def test_validations_that_stay_the_same_while_the_loss_falls_are_counted() -> None:
    standing, counts = ValidationRanking(), []
    for step, (value, loss) in enumerate([(0, 5), (0, 4), (0, 3), (0, 3), (0, 2), (1, 1), (1, 0.5)], start=1):
        standing = standing.after(step, float(value), loss=float(loss), keep=1, higher_is_better=True)
        counts.append(standing.unchanged)
    assert counts == [0, 1, 2, 0, 1, 0, 1]


def test_a_ranking_from_before_there_were_losses_is_read(tmp_path: Path, tokenizers: Tokenizers) -> None:
    checkpoint.store(going_on(tokenizers), tmp_path / "last")
    path = tmp_path / "last" / "checkpoint.json"
    values = json.loads(path.read_text())
    values["state"]["standing"] = {"ranking": [[31.5, 4], [30.0, 2]], "waited": 1}
    path.write_text(json.dumps({**values, "format": 2}))
    (path.parent / "checkpoint.json.sha256").unlink()
    found = checkpoint.load(tmp_path / "last", training=True).training
    assert found is not None
    assert found.state.standing == ValidationRanking(ranking=((31.5, 4, math.inf), (30.0, 2, math.inf)), waited=1)


def test_the_best_yet_is_told() -> None:
    standing, waited = ValidationRanking(), []
    for step, value in enumerate([4.0, 5.0, 3.0, 3.0]):
        standing = standing.after(step, value, loss=value, keep=2, higher_is_better=False)
        waited.append(standing.waited)
    assert waited == [0, 1, 0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("keep", [3, 1])
@pytest.mark.parametrize("value", [5.0, 3.5, 2.5, 0.0])
def test_wherever_the_best_are_cut_they_can_be_put_in_order(
    tmp_path: Path, tokenizers: Tokenizers, value: float, keep: int
) -> None:
    """The three best have values 4, 3 and 2; another comes in at each place, or at none, and so many are kept then."""
    for after in itertools.count():
        folder = tmp_path / str(after)
        folder.mkdir()
        standing = ValidationRanking()
        for step, earlier in enumerate([2.0, 4.0, 3.0], start=1):
            standing = standing.after(step, earlier, loss=1.5, keep=3, higher_is_better=True)
            checkpoint.keep_best(going_on(tokenizers, step=step, standing=standing), folder)
        standing = standing.after(4, value, loss=1.5, keep=keep, higher_is_better=True)
        latest = going_on(tokenizers, step=4, standing=standing)
        with cut(after) as calls:
            checkpoint.keep_best(latest, folder)
        assert checkpoint.load(folder / "best").step in (2, latest.training.state.standing.ranking[0][1])  # type: ignore[union-attr]
        checkpoint.keep_best(latest, folder)
        wanted = [step for _, step, _ in latest.training.state.standing.ranking]  # type: ignore[union-attr]
        assert kept(folder) == list(zip(["best", "best-2", "best-3"], wanted, strict=False))
        if len(calls) <= after:
            break
    assert after > (8 if value and keep == 3 else 0)
