"""A folder from a stranger, given to the real programs: one sentence, nothing run, nothing written, little memory."""

import io
import json
import os
import pickle
import shutil
import struct
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import torch
from safetensors.torch import load_file, save, save_file

from tests.support.programs import SMALL, TEXT, write_corpus
from tests.support.spoil import reseal
from tests.support.strangers import SPLITS, Spoil, dataset, listing, rewrite, with_file
from tests.support.warm import Warm

MEMORY = 100
"""MiB that a program may have beyond Python and PyTorch, where it refuses what it is given."""


class Payload:
    """What unpickling it would do: a file `pwned` in the current folder."""

    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return os.system, ("touch pwned",)


@pytest.fixture
def here(sweep: Path, tmp_path: Path) -> Path:
    """A folder with `victim` and a stranger's run, one that was stopped."""
    write_corpus(tmp_path)
    shutil.copytree(sweep / "runs" / "general", tmp_path / "run")
    (tmp_path / "run" / "results.json").unlink()
    (tmp_path / "victim").write_text("as it was\n")
    return tmp_path


def refused(warm: Warm, here: Path, spoil: Spoil, *, words: Iterable[str], programs: Iterable[str]) -> None:
    """Spoils both checkpoints, and asks each program to take one."""
    for checkpoint in sorted((here / "run" / "checkpoints").iterdir()):
        spoil(checkpoint)
    before = listing(here)
    for program in programs:
        arguments = ["resume=run"] if program == "train" else ["checkpoint=run/checkpoints/best", "device=cpu"]
        ended = warm(program, *arguments, folder=here, given=b"Der Hund.\n")
        sentences = ended.told.splitlines()
        assert (ended.status, ended.printed, len(sentences)) == (2, b"", 1), (program, ended)
        assert sentences[0].startswith("error: ")
        assert len(sentences[0]) < 1000
        assert sentences[0].isprintable()
        assert all(word in sentences[0] for word in words), sentences[0]
        assert ended.peak < warm.idle + MEMORY
        assert listing(here) == before


def with_value(value: object, *way: str) -> Spoil:
    """A description that says something else."""

    def change(description: dict[str, Any]) -> None:
        inside = description
        for name in way[:-1]:
            inside = inside[name]
        inside[way[-1]] = value

    return lambda checkpoint: rewrite(checkpoint, change)


def with_text(change: Callable[[str], str]) -> Spoil:
    """Another `checkpoint.json`, as text."""

    def spoil(checkpoint: Path) -> None:
        path = checkpoint / "checkpoint.json"
        path.write_text(change(path.read_text()))
        reseal(checkpoint)

    return spoil


def with_link(name: str) -> Spoil:
    """A link to the file in the file's place."""

    def spoil(checkpoint: Path) -> None:
        elsewhere = checkpoint.parents[2] / f"{checkpoint.name}-{name}"
        (checkpoint / name).rename(elsewhere)
        (checkpoint / name).symlink_to(elsewhere)

    return spoil


def with_pipe(name: str) -> Spoil:
    """A pipe in the file's place, which nobody writes to."""

    def spoil(checkpoint: Path) -> None:
        (checkpoint / name).unlink()
        os.mkfifo(checkpoint / name)

    return spoil


def grown(name: str, size: int) -> Spoil:
    """A file that has grown, without taking room on the disk."""
    return lambda checkpoint: os.truncate(checkpoint / name, size)


def tensors(header: dict[str, Any], *, size: int = 4) -> Spoil:
    """Weights with such a header."""

    def spoil(checkpoint: Path) -> None:
        text = json.dumps(header).encode()
        (checkpoint / "weights.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
        os.truncate(checkpoint / "weights.safetensors", 8 + len(text) + size)
        rewrite(checkpoint, lambda _: None)

    return spoil


def of_floats(count: int) -> dict[str, Any]:
    return {"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]}


def without_numbers(path: Path) -> bytes:
    """The weights, all of them NaN."""
    return save({name: weight * float("nan") for name, weight in load_file(path).items()})


def foreign_tokenizer() -> bytes:
    """A SentencePiece model with the special pieces that SentencePiece has by itself."""
    model = io.BytesIO()
    lines = [f"{a}{b} {c}" for a in "abcdef" for b in "ghij" for c in "klmn"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, vocab_size=22, minloglevel=2
    )
    return model.getvalue()


EVERY = ("evaluate", "translate", "train")
MANY_TENSORS = {f"a{i}": {"dtype": "F32", "shape": [], "data_offsets": [4 * i, 4 * i + 4]} for i in range(20_000)}
DAMAGED = "is damaged"

CASES: dict[str, tuple[Spoil, list[str]]] = {
    "pickle": (with_file("weights.safetensors", pickle.dumps(Payload())), [DAMAGED, "weights.safetensors"]),
    "pickle for a tokenizer": (with_file("source.model", pickle.dumps(Payload())), [DAMAGED, "SentencePiece"]),
    "pickle for a description": (
        lambda checkpoint: (checkpoint / "checkpoint.json").write_bytes(pickle.dumps(Payload())),
        [DAMAGED, "checkpoint.json"],
    ),
    "_target_": (with_value("os.system", "configuration", "attention", "_target_"), ["attention._target_"]),
    "unknown keys": (with_value({"a": 1}, "configuration", "extra"), ["extra: no such option"]),
    "unknown keys of ours": (with_value(1, "extra"), [DAMAGED, "extra"]),
    "what a terminal obeys": (with_value(1, "configuration", "\x1b[2J\n\u202e" * 99), ["\\x1b[2J\\n\\u202e"]),
    "a path that climbs": (with_value("0" * 64, "files", "../../../victim"), ["do not agree", "../victim"]),
    "a tokenizer that climbs": (with_value("0" * 64, "files", "../source.model"), ["do not agree"]),
    "a language that climbs": (with_value("../../../victim", "configuration", "dataset", "target"), ["dataset.target"]),
    "a header of 100 GB": (
        with_file("weights.safetensors", struct.pack("<Q", 10**11) + b"{}"),
        ["the header of weights.safetensors", "100,000,000,000 bytes"],
    ),
    "tensors of 100 GB": (tensors({"output.bias": of_floats(25 * 10**9)}), [DAMAGED, "Safetensor"]),
    "tensors of 256 MiB": (
        tensors({"output.bias": of_floats(2**26)}, size=2**28),
        ["does not fit its own configuration"],
    ),
    "many tensors": (tensors(MANY_TENSORS, size=80_000), ["the header of weights.safetensors"]),
    "a tokenizer of 100 GB": (grown("source.model", 10**11), ["source.model has 100,000,000,000 bytes"]),
    "a description of 100 GB": (grown("checkpoint.json", 10**11), ["checkpoint.json has 100,000,000,000 bytes"]),
    "a billion words": (with_value(10**9, "configuration", "dataset", "vocabulary"), ["dataset.vocabulary"]),
    "a wide model": (with_value(2**30, "configuration", "model", "embedding"), ["model.embedding"]),
    "a deep model": (with_value(10**9, "configuration", "encoder", "layers"), ["encoder.layers"]),
    "heads": (with_value(10**9, "configuration", "attention", "heads"), ["attention.heads"]),
    "a wide window": (with_value(10**30, "configuration", "attention", "window"), ["attention.window"]),
    "many threads": (with_value(10**6, "configuration", "device", "threads"), ["device.threads"]),
    "a wide search": (with_value(10**6, "configuration", "search", "batch"), ["search.batch=1000000"]),
    "NUL in a path": (with_value("a\0b", "configuration", "dataset", "cache"), ["dataset.cache", "NUL"]),
    "weights that are no numbers": (
        lambda checkpoint: with_file("weights.safetensors", without_numbers(checkpoint / "weights.safetensors"))(
            checkpoint
        ),
        [DAMAGED, "not a finite number"],
    ),
    "NaN": (with_value(float("nan"), "configuration", "model", "dropout"), ["model.dropout"]),
    "a key that occurs twice": (
        with_text(lambda text: text.replace('"format": 3', '"format": 3, "format": 3')),
        [DAMAGED, "a key occurs twice"],
    ),
    "a nest": (with_text(lambda text: text.replace('"format": 3', f'"format": {"[" * 10**5}')), [DAMAGED]),
    "a small nest": (with_text(lambda text: text.replace('"seed": 1', f'"seed": {"[" * 250 + "]" * 250}')), [DAMAGED]),
    "a garbled tokenizer": (with_file("source.model", b"\x0a\x03\x0a\x01\xff" * 9), [DAMAGED, "SentencePiece"]),
    "a foreign tokenizer": (with_file("source.model", foreign_tokenizer()), [DAMAGED, "ids of padding"]),
    "a link to weights": (with_link("weights.safetensors"), ["link"]),
    "a link to a tokenizer": (with_link("source.model"), ["link"]),
    "a link to a description": (with_link("checkpoint.json"), ["link"]),
    "a pipe": (with_pipe("source.model"), ["source.model is not a plain file"]),
}


@pytest.mark.parametrize("name", CASES)
def test_is_refused_by_every_program(warm: Warm, here: Path, name: str) -> None:
    spoil, words = CASES[name]
    if "link" in words:  # two words for it: of a run folder, a link is told before the checkpoint is opened
        refused(warm, here, spoil, words=["not a plain file"], programs=["evaluate", "translate"])
        before = listing(here)
        ended = warm("train", "resume=run", folder=here)
        assert (ended.status, ended.told.count("\n"), listing(here)) == (2, 1, before)
        assert "is a link" in ended.told
    else:
        refused(warm, here, spoil, words=words, programs=EVERY)


def test_format_1_which_had_no_hashes_has_no_links_either(warm: Warm, here: Path) -> None:
    def older(checkpoint: Path) -> None:
        with_link("weights.safetensors")(checkpoint)
        description = json.loads((checkpoint / "checkpoint.json").read_text())
        del description["files"], description["state"]
        (checkpoint / "checkpoint.json").write_text(json.dumps(description | {"format": 1}))
        (checkpoint / "checkpoint.json.sha256").unlink()

    refused(warm, here, older, words=["weights.safetensors is not a plain file"], programs=["evaluate", "translate"])


def test_other_files_are_not_opened(warm: Warm, here: Path) -> None:
    best = here / "run" / "checkpoints" / "best"
    for name in ("weights.pt", "weights.safetensors.pkl", "target.model.pkl"):
        (best / name).write_bytes(pickle.dumps(Payload()))
    (best / "sitecustomize.py").write_text("open('pwned', 'w')")
    os.mkfifo(best / "pipe")
    before = listing(here)
    ended = warm("translate", "checkpoint=run/checkpoints/best", "device=cpu", folder=here, given=b"Der Hund.\n")
    assert (ended.status, ended.told, listing(here)) == (0, "", before)


def test_evaluation_writes_in_the_run_folder_and_in_its_own_cache(warm: Warm, here: Path) -> None:
    best = here / "run" / "checkpoints" / "best"
    dataset(best, name="grammar", preset="tiny", seed=5, cache=str(here / "planted" / "cache"))
    before = listing(here)
    ended = warm("evaluate", "checkpoint=run/checkpoints/best", "device=cpu", "dataset.cache=mine", folder=here)
    assert (ended.status, ended.told) == (0, "")
    (kept,) = (here / "mine").iterdir()
    written = {"run/evaluation.json", "run/hypotheses.test.en", "mine", f"mine/{kept.name}"}
    assert listing(here).keys() - before.keys() == {str(here / name) for name in written}


def test_evaluation_downloads_nothing_to_where_the_checkpoint_says(warm: Warm, here: Path) -> None:
    def spoil(checkpoint: Path) -> None:
        dataset(checkpoint, name="multi30k", folder=str(here / "planted"), test="test_2016_flickr")

    refused(warm, here, spoil, words=["planted/test_2016_flickr.de.gz", "dataset.folder=FOLDER"], programs=["evaluate"])


def test_evaluation_reads_no_device(warm: Warm, here: Path) -> None:
    def spoil(checkpoint: Path) -> None:
        dataset(checkpoint, name="tsv", **dict.fromkeys(SPLITS, "/dev/zero"))

    refused(warm, here, spoil, words=["/dev/zero is a pipe or a device"], programs=["evaluate"])


@pytest.mark.parametrize("name", ["evaluation.json", "hypotheses.test.en"])
def test_evaluation_writes_through_no_link(warm: Warm, here: Path, name: str) -> None:
    (here / "run" / name).unlink(missing_ok=True)
    (here / "run" / name).symlink_to(here / "victim")
    ended = warm("evaluate", "checkpoint=run/checkpoints/best", "device=cpu", folder=here)
    assert ended.status == 0
    assert (here / "victim").read_text() == "as it was\n"
    assert not (here / "run" / "evaluation.json").is_symlink()


# --- where a run that goes on writes ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["train.log", "results.json", "tensorboard/events.out.tfevents.9", "checkpoints/best-3"]
)
def test_a_run_goes_on_through_no_link(warm: Warm, here: Path, name: str) -> None:
    (here / "run" / name).unlink(missing_ok=True)
    (here / "run" / name).symlink_to(here / "victim")
    refused(warm, here, lambda _: None, words=[name, "is a link"], programs=["train"])


def noise(name: str, tensor: torch.Tensor) -> Spoil:
    """Another tensor in what training goes on from."""

    def spoil(checkpoint: Path) -> None:
        if (path := checkpoint / "training.safetensors").exists():
            save_file(load_file(path) | {name: tensor}, path)
            rewrite(checkpoint, lambda _: None)

    return spoil


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("random.cpu", torch.zeros(5056, dtype=torch.uint8)),
        ("random.cpu", torch.zeros(5056)),
        ("random.cpu", torch.zeros(0, dtype=torch.uint8)),
        ("optimizer.step.output.bias", torch.zeros(3)),
        ("optimizer.exp_avg.output.bias", torch.zeros(330, dtype=torch.float64)),
        ("another", torch.zeros(1)),
    ],
)
def test_training_goes_on_from_nothing_else(warm: Warm, here: Path, name: str, tensor: torch.Tensor) -> None:
    noise(name, tensor)(here / "run" / "checkpoints" / "last")
    ended = warm("train", "resume=run", folder=here)
    assert (ended.status, ended.told.count("\n")) == (2, 1), ended
    assert name in ended.told


# --- YAML -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('seed: !!python/object/apply:os.system ["touch pwned"]', ["evil.yaml, line 1", "python/object/apply"]),
        ("seed: 1\nseed: 2", ["evil.yaml, line 2", "duplicate key seed"]),
        ("seed: {", ["evil.yaml, line 1"]),
        ("seed: ${oc.env:HOME}", ["training.seed"]),
        ("_target_: os.system", ["training._target_", "no such option"]),
    ],
)
def test_yaml_runs_nothing(warm: Warm, tmp_path: Path, text: str, words: list[str]) -> None:
    (tmp_path / "configs" / "training").mkdir(parents=True)
    (tmp_path / "configs" / "training" / "evil.yaml").write_text(text)
    before = listing(tmp_path)
    ended = warm("train", "--config-dir=configs", "+training=evil", *TEXT, *SMALL, folder=tmp_path)
    assert (ended.status, ended.told.count("\n")) == (2, 1), ended
    assert all(word in ended.told for word in words), ended.told
    assert {path for path in listing(tmp_path) if not path.startswith(f"{tmp_path}/runs")} == before.keys()
