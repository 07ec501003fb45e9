"""`score.py`: the log-probability of given translations, from files and from standard input."""

from pathlib import Path

import pytest

import seq2seq
from tests.support.programs import ROOT
from tests.support.warm import Warm

OLD = ROOT / "tests" / "data" / "old_run"
BEST = OLD / "run" / "checkpoints" / "best"
OPTIONS = [f"checkpoint={BEST}", "device=cpu", "device.threads=1"]
SOURCES = (OLD / "sentences.de").read_text(encoding="utf-8").splitlines()
TARGETS = [line.split("\t")[0] for line in (OLD / "translated.en").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the pairs as two files."""
    path = tmp_path_factory.mktemp("score")
    for name, lines in (("my.de", SOURCES), ("my.en", TARGETS)):
        (path / name).write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def scored() -> list[seq2seq.Translation]:
    """The pairs as the library scores them."""
    return seq2seq.load(BEST, device="cpu").score([*zip(SOURCES, TARGETS, strict=True)])


def test_files_and_standard_input_have_the_numbers_of_the_library(
    warm: Warm, folder: Path, scored: list[seq2seq.Translation]
) -> None:
    files = warm("score", *OPTIONS, "source=my.de", "target=my.en", folder=folder, status=0)
    assert files.told == ""
    pairs = "".join(f"{source}\t{target}\r\n" for source, target in zip(SOURCES, TARGETS, strict=True)).encode()
    piped = warm("score", *OPTIONS, folder=folder, given=pairs, status=0)
    for ended in (files, piped):
        values = [float(line) for line in ended.printed.decode().splitlines()]
        assert values == pytest.approx([one.log_probability for one in scored], abs=2e-3)
    (one,) = warm("score", *OPTIONS, folder=folder, given=pairs.split(b"\n")[2], status=0).printed.split()
    assert float(one) == pytest.approx(scored[2].log_probability, abs=2e-3)  # without the others


def test_columns(warm: Warm, folder: Path, scored: list[seq2seq.Translation]) -> None:
    columns = ["scores=true", "alignments=true", "units=true", "tokens=true"]
    search = ["search.length_form=wu", "search.length_penalty=0.6", "search.coverage_penalty=0.2"]
    ended = warm("score", *OPTIONS, *columns, *search, "source=my.de", "target=my.en", folder=folder, status=0)
    rows = [line.split("\t") for line in ended.printed.decode().splitlines()]
    linked = 0
    for row, one in zip(rows, scored, strict=True):
        score, total, alignment, _, units, subwords, values = row
        assert (float(score) == pytest.approx(float(total), abs=1e-3)) == (not one.text)
        assert float(total) == pytest.approx(one.log_probability, abs=2e-3)
        assert subwords.split(" ") == [*one.target_subwords, "</s>"]
        assert [float(value) for value in values.split(" ")] == pytest.approx(one.token_log_probabilities, abs=2e-3)
        assert units == " ".join(one.text.split())
        linked += len(alignment.split())
    assert linked > 10


def test_what_a_search_finds_has_its_score(warm: Warm, folder: Path) -> None:
    search = ["search.length_form=wu", "search.coverage_penalty=0.5"]
    text = (folder / "my.de").read_bytes()
    found = warm("translate", *OPTIONS, *search, "scores=true", folder=folder, given=text, status=0).printed.decode()
    rows = [line.split("\t") for line in found.splitlines()]
    pairs = "".join(f"{source}\t{row[1]}\n" for source, row in zip(SOURCES, rows, strict=True))
    ended = warm("score", *OPTIONS, *search, "scores=true", folder=folder, given=pairs.encode(), status=0)
    scores = [float(line.split("\t")[0]) for line in ended.printed.decode().splitlines()]
    equal = [score == pytest.approx(float(row[0]), abs=2e-3) for score, row in zip(scores, rows, strict=True) if row[1]]
    assert sum(equal) > len(equal) / 2  # a text may have other subwords than the search found


def test_an_ensemble_scores(warm: Warm, folder: Path, scored: list[seq2seq.Translation]) -> None:
    checkpoints = f"checkpoint=[{BEST},{OLD / 'run' / 'checkpoints' / 'last'}]"
    files = ["source=my.de", "target=my.en", "alignments=true"]
    ended = warm("score", checkpoints, *OPTIONS[1:], *files, folder=folder, status=0)
    assert ended.told == "attention is the mean of the 2 models\n"
    assert len(ended.printed.splitlines()) == len(scored)


def test_pairs_that_cannot_be_scored_are_named_and_left_empty(warm: Warm, folder: Path) -> None:
    pairs = b"Ja.\tYes.\nJa.\nJa.\tYes.\tNo.\n\xff\tYes.\n" + b"x" * 9000 + b"\tYes.\nJa.\t" + b"x" * 9000 + b"\n\t\n"
    ended = warm("score", *OPTIONS, folder=folder, given=pairs, status=1)
    lines = ended.printed.decode().splitlines()
    assert [bool(line) for line in lines] == [True, False, False, False, False, False, True]
    messages = ended.told.splitlines()
    assert messages[0] == "line 2: 0 tabs; expected one, between the source and the translation; left empty"
    assert messages[1].startswith("line 3: 2 tabs; expected one")
    assert "line 4: byte 0xff" in messages[2]
    assert messages[3].startswith("line 5: a source of ")
    assert messages[4].startswith("line 6: a target of ")
    assert len(messages) == 5
    cut = warm("score", *OPTIONS, "search.too_long=truncate", folder=folder, given=pairs, status=1)
    assert cut.printed.splitlines()[4]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["source=my.de"], "source=FILE and target=FILE must be set together"),
        (["source=my.de", "target=nowhere.en"], "nowhere.en"),
        (["source=my.de", f"target={OLD}/README.md"], "lines but"),
        (["search.size=3"], "search.size: no such option"),
        (["search.length_penalty=-1"], "search.length_penalty: "),
        (["search.length_form=linear"], "search.length_form: no such choice 'linear', choose one of power, wu"),
        (["my.de"], "files to score are given as source=FILE target=FILE"),
    ],
)
def test_mistakes_are_one_sentence(warm: Warm, folder: Path, options: list[str], words: str) -> None:
    assert words in warm.refused("score", *OPTIONS, *options, folder=folder)


def test_an_intervention_scores_as_in_the_library(warm: Warm, folder: Path) -> None:
    files = ["source=my.de", "target=my.en", "attention.intervene=permute", "attention.seed=7"]
    ended = warm("score", *OPTIONS, *files, folder=folder, status=0)
    assert ended.told == "attention is changed: permute (seed=7)\n"
    changed = seq2seq.load(BEST, device="cpu").intervene("permute", seed=7)
    wanted = [one.log_probability for one in changed.score([*zip(SOURCES, TARGETS, strict=True)])]
    assert [float(line) for line in ended.printed.decode().splitlines()] == pytest.approx(wanted, abs=2e-3)


def test_one_intervention_at_a_time(warm: Warm, folder: Path) -> None:
    for program in ("translate", "score"):
        files = ["source=my.de", "target=my.en"] if program == "score" else []
        told = warm.refused(program, f"checkpoint={BEST}", *files, "attention.intervene=[hard,uniform]", folder=folder)
        assert "attention.intervene: expected one intervention, found 2; evaluate.py takes several" in told
