"""`model.embeddings` through the real programs: which rows are set, what trains, what resuming needs."""

from pathlib import Path

import pytest
import torch

from seq2seq import checkpoint
from seq2seq.checkpoint import Checkpoint
from seq2seq.text.lines import read_lines
from tests.support.programs import SMALL, TEXT, write_corpus
from tests.support.warm import Warm

pytestmark = pytest.mark.usefixtures("unchecked")

RUN = [*SMALL, *TEXT, "dataset.tokenizer=word", "dataset.min_frequency=2", "search=greedy", "training.steps=4"]
RUN += ["training.validate_every=2", "training.decay=constant"]
APART = ["dataset.joint=false", "model.tie=target"]
FILES = ["model.embeddings.source=de.vec", "model.embeddings.target=en.txt"]
FROZEN = ["training.freeze=[embeddings]"]


def write_vectors(folder: Path) -> dict[str, dict[str, torch.Tensor]]:
    """`de.vec` in fastText's format and `en.txt` in GloVe's, with vectors of 32 numbers; returns them by word."""
    torch.manual_seed(3)
    vectors = {
        "de": {word: 5 * torch.randn(32) for word in ("Hund", "Katze", "sieht", ".", "Ananas")},
        "en": {word: 0.1 + torch.rand(32) for word in ("dog", "the", "The", "xylophone")},
    }
    for name, language in (("de.vec", "de"), ("en.txt", "en")):
        header = ["7 32"] if name == "de.vec" else []
        lines = [f"{word} {' '.join(map(str, vector.tolist()))}" for word, vector in vectors[language].items()]
        (folder / name).write_text("\n".join([*header, *lines, lines[0]]) + "\n", encoding="utf-8")
    return vectors


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("vectors")
    write_corpus(folder)
    write_vectors(folder)
    return folder


def train(warm: Warm, folder: Path, *options: str) -> str:
    return warm("train", *options, folder=folder, status=0).printed.decode()


def last(folder: Path, name: str) -> Checkpoint:
    return checkpoint.load(folder / name / "checkpoints/last")


@pytest.fixture(scope="module")
def frozen(warm: Warm, folder: Path) -> str:
    """The log of the run `frozen`."""
    return train(warm, folder, *RUN, *APART, *FILES, *FROZEN, "hydra.run.dir=frozen")


def test_embeddings_are_the_vectors_and_stay_so_where_frozen(warm: Warm, folder: Path, frozen: str) -> None:
    log = frozen
    train(warm, folder, *RUN, *APART, *FROZEN, "hydra.run.dir=plain")
    assert "model.embeddings.source: 4 of " in log
    assert "pieces have vectors from de.vec, times 0.0" in log
    assert "left out, since their word has one already: 1" in log
    assert "the file has 6 words, and its first line says 7" in log
    assert "model.embeddings.target: 3 of " in log
    assert "frozen: embeddings" in log
    loaded, plain = last(folder, "frozen"), last(folder, "plain")
    for i, (side, vectors) in enumerate(zip(("source", "target"), write_vectors(folder).values(), strict=True)):
        tokenizer = loaded.tokenizers[i]
        weights, before = (each.weights[f"{side}_embedding.weight"] for each in (loaded, plain))
        rows = {piece: i for i, piece in enumerate(tokenizer.pieces(list(range(len(tokenizer)))))}
        matched = {row: vectors[word] for piece, row in rows.items() if (word := piece.removeprefix("▁")) in vectors}
        others = [row for row in rows.values() if row not in matched]
        assert torch.equal(weights[others], before[others])
        (scale,) = {round(float(weights[row].norm() / vector.norm()), 5) for row, vector in matched.items()}
        for row, vector in matched.items():
            torch.testing.assert_close(weights[row], scale * vector, rtol=1e-3, atol=1e-4)
        assert float(weights[list(matched)].square().mean()) == pytest.approx(1 / 32, rel=1e-3)


def test_one_matrix_has_one_file(warm: Warm, folder: Path) -> None:
    both = ["model.embeddings.source=de.vec", "model.embeddings.target=de.vec"]
    log = train(warm, folder, *RUN, *both, "hydra.run.dir=one")
    assert log.count("pieces have vectors from") == 1
    log = train(warm, folder, *RUN, "model.embeddings.target=en.txt", "hydra.run.dir=target")
    assert "model.embeddings.target: 3 of " in log
    refused = warm("train", *RUN, *FILES, folder=folder, status=2).told
    assert (
        "model.embeddings.source=de.vec and target=en.txt are two files for one matrix, since model.tie=all" in refused
    )


def test_resuming_does_not_need_the_file(warm: Warm, folder: Path) -> None:
    train(warm, folder, *RUN, *APART, *FILES, "hydra.run.dir=whole")
    train(warm, folder, *RUN, *APART, *FILES, "training.steps=2", "hydra.run.dir=half")
    for name in ("de.vec", "en.txt"):
        (folder / name).rename(folder / f"{name}.away")
    try:
        train(warm, folder, "resume=half", "training.steps=4")
        log = train(warm, folder, "init=whole", *TEXT[:-1], *SMALL[1:], "training.steps=2", "hydra.run.dir=tuned")
    finally:
        for name in ("de.vec", "en.txt"):
            (folder / f"{name}.away").rename(folder / name)
    assert "have vectors from" not in log
    weights = [(folder / name / "checkpoints/last/weights.safetensors").read_bytes() for name in ("whole", "half")]
    assert weights[0] == weights[1]


@pytest.mark.usefixtures("frozen")
def test_all_processes_have_the_vectors_that_the_first_one_reads(warm: Warm, folder: Path) -> None:
    options = [*RUN, *APART, *FILES, *FROZEN]
    warm("train", *options, "hydra.run.dir=two", folder=folder, status=0, processes=2)
    alone, two = last(folder, "frozen").weights, last(folder, "two").weights
    for name in ("source_embedding.weight", "target_embedding.weight"):
        assert torch.equal(alone[name], two[name])


def test_a_run_from_a_checkpoint_has_its_embeddings(warm: Warm, folder: Path) -> None:
    train(warm, folder, *RUN, "hydra.run.dir=start")
    options = [*TEXT[:-1], *SMALL[1:], "init=start", "model.embeddings.source=de.vec"]
    refused = warm("train", *options, folder=folder, status=2).told
    assert "has model.embeddings.source=null and not de.vec, and a run that starts from it keeps its model" in refused


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["model.embedding=40"],
            "source: de.vec has vectors of 32 numbers, and model.embedding=40: set model.embedding=",
        ),
        (["model.embeddings.source=no.vec"], "model.embeddings.source: "),
        (["model.embeddings=de.vec"], "model.embeddings"),
        (["model.embeddings.source=train.de"], "model.embeddings.source: train.de"),
    ],
)
def test_what_is_wrong_is_told_in_one_sentence(warm: Warm, folder: Path, options: list[str], sentence: str) -> None:
    ended = warm("train", *RUN, "model.embeddings.source=de.vec", *options, folder=folder, status=2)
    assert sentence in ended.told
    assert ended.told.count("\n") == 1
    assert len(list(read_lines(folder / "de.vec"))) == 7


def test_subwords_take_vectors_too(warm: Warm, folder: Path) -> None:
    options = [*SMALL, *TEXT, "search=greedy", "training.steps=2", "model.embeddings.source=de.vec"]
    log = train(warm, folder, *options, "hydra.run.dir=subwords")
    assert "of 330 pieces have vectors from de.vec" in log
