"""Vocabularies of words and characters through the real programs, beside the options that touch them."""

import json
from pathlib import Path

import pytest

import seq2seq
from seq2seq import checkpoint
from seq2seq.runtime.errors import InputError
from seq2seq.text.vocabulary import Vocabulary
from tests.support.programs import SMALL, TEXT, write_corpus
from tests.support.warm import Warm

pytestmark = pytest.mark.usefixtures("unchecked")

COMMON = [*SMALL, *TEXT, "dataset.symbols=['{0}']", "training.steps=6", "training.validate_every=3", "search=greedy"]
COMMON += ["training.decay=constant"]
RUNS = {
    "word": [*COMMON, "dataset.tokenizer=word", "dataset.min_frequency=2", "dataset.joint=false", "model.tie=none"],
    "char": [*COMMON, "dataset.tokenizer=char", "dataset.min_frequency=2", "dataset.normalization=nfc"],
}
BEST = "checkpoint=first/checkpoints/best"
SOURCE = "Der Hund sieht einen Xylophonisten.\n\nKATZE 我喜欢 {0}\nder Hund, der die Katze sieht\n"


@pytest.fixture(scope="module", params=sorted(RUNS))
def run(request: pytest.FixtureRequest, warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path, str]:
    """The kind of tokenizer, a folder with the finished run `first`, and its log."""
    folder = tmp_path_factory.mktemp(request.param)
    write_corpus(folder)
    (folder / "train.de").write_text((folder / "train.de").read_text().replace("Löffel", "Løffel", 1))
    (folder / "dev.de").write_text((folder / "dev.de").read_text().replace("Apfel", "Apƒel", 1))
    ended = warm("train", *RUNS[request.param], "hydra.run.dir=first", folder=folder, status=0)
    return request.param, folder, ended.printed.decode()


def test_a_run_tells_how_much_is_unknown(run: tuple[str, Path, str]) -> None:
    kind, folder, log = run
    unit = {"word": "words", "char": "characters"}[kind]
    assert f"of the source {unit} and 0.00% of the target {unit} are <unk>" in log
    assert "training: 0.0" in log
    assert "validation: " in log
    assert "test: " not in log
    tokenizers = checkpoint.load(folder / "first/checkpoints/best").tokenizers
    assert isinstance(tokenizers.source, Vocabulary)
    assert tokenizers.joint == (kind == "char")
    assert tokenizers.source.unknown("Der Hund {0} ø") == ["ø"]


def test_translations_have_the_words_of_raw_text(run: tuple[str, Path, str], warm: Warm) -> None:
    _, folder, _ = run
    options = [BEST, "alignments=true", "units=true", "search=beam", "search.size=3", "search.n_best=2"]
    ended = warm("translate", *options, "device=cpu", folder=folder, given=SOURCE.encode(), status=0)
    rows = [line.split("\t") for line in ended.printed.decode().splitlines()]
    assert [row[0] for row in rows] == ["1", "1", "2", "3", "3", "4", "4"]
    for number, text, alignment, source, target in rows:
        raw = SOURCE.splitlines()[int(number) - 1].split()
        assert text.split() == [word for word in target.split() if word]
        if number in "14":
            assert len(source.split()) == len(raw)
        assert all(int(link.split("-")[0]) < max(1, len(source.split())) for link in alignment.split())


def test_evaluation_gives_the_scores_of_the_run(run: tuple[str, Path, str], warm: Warm) -> None:
    kind, folder, _ = run
    ended = warm("evaluate", BEST, "split=validation", "device=cpu", folder=folder, status=0)
    assert "validation: " in ended.printed.decode().partition("BLEU")[2]
    results = json.loads((folder / "first/results.json").read_text())
    again = json.loads((folder / "first/evaluation.json").read_text())
    assert again["validation"]["bleu"] == results["validation"]["bleu"]
    assert kind in ("word", "char")


def test_a_prefix_must_be_in_the_vocabulary(run: tuple[str, Path, str], warm: Warm) -> None:
    _, folder, _ = run
    given = b"Der Hund sieht.\nDie Katze.\n"
    (folder / "prefix").write_text("The dog\n\n")
    ended = warm("translate", BEST, "prefix=prefix", "device=cpu", folder=folder, given=given, status=0)
    assert ended.printed.decode().startswith("The dog")
    (folder / "prefix").write_text("The\nTheÿ\n")
    ended = warm("translate", BEST, "prefix=prefix", "device=cpu", folder=folder, given=given, status=2)
    assert "prefix, line 2: has 'The" in ended.told or "prefix, line 2: has 'ÿ'" in ended.told
    assert "which is not in the target vocabulary" in ended.told


def test_resuming_fine_tuning_and_averaging(run: tuple[str, Path, str], warm: Warm) -> None:
    kind, folder, _ = run
    warm("train", *RUNS[kind], "training.steps=3", "hydra.run.dir=half", folder=folder)
    warm("train", "resume=half", "training.steps=6", folder=folder, status=0)
    whole, resumed = (folder / name / "checkpoints/last/weights.safetensors" for name in ("first", "half"))
    assert whole.read_bytes() == resumed.read_bytes()

    for language in ("de", "en"):
        (folder / f"new.{language}").write_text("Xylophone zirpen 我们 .\n" * 9)
    new = [*TEXT[:-1], *SMALL[1:], "dataset.train=new", "training.steps=2", "search=greedy"]
    ended = warm("train", *new, "init=first", "hydra.run.dir=tuned", folder=folder, status=0)
    log = ended.printed.decode()
    assert f"dataset.tokenizer={kind}" in log
    assert "dataset.min_frequency=2" in log
    assert "training: " in log
    assert "bytes" not in log
    refused = warm("train", *new, "init=first", "dataset.min_frequency=3", folder=folder, status=2)
    assert "has dataset.min_frequency=2 and not 3" in refused.told

    warm("scripts/average", "tuned/checkpoints/best", "first/checkpoints/best", "output=mean", folder=folder, status=0)
    mean = checkpoint.load(folder / "mean").tokenizers
    assert mean.target.model == checkpoint.load(folder / "first/checkpoints/best").tokenizers.target.model


def test_python_programs_see_words_and_characters(run: tuple[str, Path, str]) -> None:
    kind, folder, _ = run
    translator = seq2seq.load(folder / "first", device="cpu")
    (translation,) = translator.translate(["Der Hund sieht den Maßkrug."])
    expected = "Der Hund sieht den <unk>." if kind == "word" else "Der Hund sieht den Ma<unk>krug."
    assert list(translation.source_words) == expected.split()
    assert len(translation.attention) == len(translation.target_words)
    given = translator.score([("Der Hund.", "The dog ÿ.")])[0]
    assert given.target_subwords[-2:] == (("▁<unk>", ".") if kind == "word" else ("<unk>", "."))
    assert given.log_probability < 0
    with pytest.raises(InputError, match="which is not in the target vocabulary"):
        translator.translate(["Der Hund."], prefix=["The ÿ"])


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            ["dataset.min_frequency=2"],
            "dataset.min_frequency=2 is for dataset.tokenizer=word and char, and dataset.tok",
        ),
        (
            ["dataset.tokenizer=char", "dataset.character_coverage=0.99"],
            "with dataset.tokenizer=char use dataset.min_fr",
        ),
        (["dataset.tokenizer=words"], "dataset.tokenizer: no such choice 'words', did you mean word?"),
        (["dataset.tokenizer=word", "dataset.min_frequency=0"], "dataset.min_frequency: "),
        (["dataset.tokenizer=word", "dataset.min_frequency=9999"], "no word that occurs 9999 times or more"),
    ],
)
def test_what_makes_no_sense_is_refused(warm: Warm, tmp_path: Path, options: list[str], sentence: str) -> None:
    write_corpus(tmp_path)
    ended = warm("train", *SMALL, *TEXT, *options, folder=tmp_path, status=2)
    assert sentence in ended.told
    assert ended.told.count("\n") == 1


def test_a_text_without_unknown_words_warns_of_those_to_come(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    (tmp_path / "dev.de").write_text((tmp_path / "dev.de").read_text().replace("Apfel", "Ananas"))
    run = [*SMALL, *TEXT, "dataset.tokenizer=word", "training.steps=2", "search=greedy", "hydra.run.dir=run"]
    log = warm("train", *run, folder=tmp_path, status=0).printed.decode()
    assert (
        "warning: everything in the training text is in the vocabulary, so the model does not learn what <unk>" in log
    )
