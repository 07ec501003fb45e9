"""A run that an older version made is evaluated, translated with and resumed as that version did it."""

import itertools
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.programs import ROOT
from tests.support.warm import Warm

OLD = ROOT / "tests" / "data" / "old_run"
"""See its README.md. `best` and `last` are of format 2."""

ADDED = {"tokenizer", "min_length", "no_repeat_ngram", "length_form", "coverage_penalty"}
ADDED |= {"method", "temperature", "top_k", "top_p", "seed", "rank_by", "groups", "diversity", "word_recall"}
"""Keys that the older version did not write."""
DIFFERENT = ("_interval", "signature", "seconds", "_per_second")
"""Keys whose values may differ: intervals are computed in another way since, a signature has sacreBLEU's version."""
TEXT_SCORES = ("bleu", "chrf", "ter", "exact")
LINES = [f"source={OLD / 'sentences.de'}", f"target={OLD / 'translated.en'}"]
"""A few lines to evaluate, where a test does not ask for the scores of the test split."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a copy of the run."""
    path = tmp_path_factory.mktemp("old")
    shutil.copytree(OLD / "run", path / "run")
    return path


def numbers(expected: Any, actual: Any, name: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Each number that the older version wrote, by its key, and today's."""
    if isinstance(expected, dict):
        assert actual.keys() - ADDED == expected.keys(), name
        for key, value in expected.items():
            yield from numbers(value, actual[key], f"{name}.{key}")
    elif not name.endswith(DIFFERENT):
        yield name, expected, actual


def compare(name: str, path: Path, *, tolerance: float, text_tolerance: float) -> None:
    """Compares a JSON file. Processors round differently, so numbers agree within a tolerance."""
    expected, actual = json.loads((OLD / name).read_text()), json.loads((path / name).read_text())
    compared = list(numbers(expected, actual))
    assert len(compared) > 100
    for key, old, new in compared:
        if isinstance(old, float):
            absolute = text_tolerance if key.endswith(TEXT_SCORES) else tolerance
            assert new == pytest.approx(old, rel=tolerance, abs=absolute), key
        else:
            assert new == old, key


def test_an_old_checkpoint_has_its_scores_and_translations(warm: Warm, folder: Path) -> None:
    options = ["device=cpu", "device.threads=1", "output=."]
    ended = warm("evaluate", "checkpoint=run/checkpoints/best", *options, folder=folder)
    assert (ended.status, ended.told) == (0, "")
    compare("evaluation.json", folder, tolerance=1e-4, text_tolerance=1e-4)
    assert (folder / "hypotheses.test.en").read_text() == (OLD / "hypotheses.test.en").read_text()


def test_an_old_checkpoint_translates_the_same_lines(warm: Warm, folder: Path) -> None:
    options = ["device=cpu", "device.threads=1", "alignments=true"]
    text = (OLD / "sentences.de").read_bytes()
    ended = warm("translate", "checkpoint=run/checkpoints/best", *options, folder=folder, given=text)
    assert (ended.status, ended.told) == (0, "")
    assert ended.printed == (OLD / "translated.en").read_bytes()
    assert len(ended.printed.splitlines()) == len(text.splitlines()) > 3


def test_an_old_run_is_resumed_to_the_same_results(warm: Warm, folder: Path) -> None:
    """19 steps. Another processor rounds differently in each, so a word of a translation may differ."""
    warm("train", "resume=run", folder=folder, status=0)
    compare("results.json", folder / "run", tolerance=5e-3, text_tolerance=0.5)
    lines, expected = ((path / "results.test.en").read_text().splitlines() for path in (folder / "run", OLD))
    assert len(lines) == len(expected) == 200
    assert sum(line != other for line, other in zip(lines, expected, strict=True)) <= 10


def test_an_old_checkpoint_translates_with_prefixes(warm: Warm, folder: Path) -> None:
    options = ["checkpoint=run/checkpoints/best", "device=cpu", "device.threads=1"]
    text = (OLD / "sentences.de").read_bytes()
    starts = ["The boy" if i % 2 else "" for i in range(len(text.splitlines()))]
    (folder / "starts.en").write_text("".join(f"{start}\n" for start in starts))
    ended = warm("translate", *options, "prefix=starts.en", folder=folder, given=text, status=0)
    plain = warm("translate", *options, folder=folder, given=text, status=0)
    lines = [(ended.printed.decode(), plain.printed.decode())]
    for line, other, start in zip(*(text.splitlines() for text in lines[0]), starts, strict=True):
        assert line.startswith(start)
        assert start or line == other


def test_an_old_checkpoint_translates_with_constraints(warm: Warm, folder: Path) -> None:
    options = ["checkpoint=run/checkpoints/best", "device=cpu", "device.threads=1", "units=true", "alignments=true"]
    constraints = ["search.min_length=30", "search.no_repeat_ngram=1", "search=beam", "search.size=3"]
    text = (OLD / "sentences.de").read_bytes()
    (folder / "starts.en").write_text("the the the\n" + "\n" * (len(text.splitlines()) - 1))
    ended = warm("translate", *options, *constraints, "prefix=starts.en", folder=folder, given=text, status=0)
    lines = ended.printed.decode().splitlines()
    assert lines[0].startswith("the the the")
    for line, source in zip(lines, text.decode().splitlines(), strict=True):
        assert (len("".join(line.split("\t")[0].split())) >= 30) == bool(source.strip() or line == lines[0])
    message = warm.refused("translate", *options, "search.min_length=-1", folder=folder)
    assert message == "error: search.min_length: should be greater than or equal to 0, found -1"


def test_an_old_checkpoint_is_part_of_an_ensemble(warm: Warm, folder: Path) -> None:
    for copy in ("one", "two"):
        shutil.copytree(OLD / "run" / "checkpoints" / "best", folder / copy)
    options = ["checkpoint=[one,two]", "device=cpu", "device.threads=1", "alignments=true"]
    text = (OLD / "sentences.de").read_bytes()
    ended = warm("translate", *options, folder=folder, given=text, status=0)
    assert ended.printed == (OLD / "translated.en").read_bytes()
    assert ended.told == "attention is the mean of the 2 models\n"
    words = warm.refused("translate", "checkpoint=run,copy", folder=folder)
    assert "'checkpoint=[run,copy]' is an ensemble of all" in words


def test_an_old_checkpoint_draws_samples(warm: Warm, folder: Path) -> None:
    options = ["checkpoint=run/checkpoints/best", "device=cpu", "device.threads=1", "scores=true", "alignments=true"]
    drawing = ["search=sample", "search.size=4", "search.n_best=4", "search.top_p=0.9", "search.temperature=1.3"]
    text = (OLD / "sentences.de").read_bytes()
    together = warm("translate", *options, *drawing, folder=folder, given=text, status=0).printed.decode()
    rows = [line.split("\t") for line in together.splitlines()]
    last = text.decode().splitlines()[-1]
    alone = warm("translate", *options, *drawing, folder=folder, given=last.encode(), status=0).printed.decode()
    own = [line.split("\t") for line in alone.splitlines()]
    assert [row[2:] for row in own] == [row[2:] for row in rows[-4:]]
    assert len({row[2] for row in own}) > 1
    other = warm("translate", *options, *drawing, "search.seed=2", folder=folder, given=last.encode(), status=0)
    assert [line.split("\t")[2] for line in other.printed.decode().splitlines()] != [row[2] for row in own]
    message = warm.refused("translate", *options, "search.temperature=1.3", folder=folder)
    assert message == ("error: search.temperature=1.3 is for sampling, and search.method=beam: set search=sample")
    ended = warm(
        "evaluate", *options[:3], "search=sample", "search.top_k=2", *LINES, "output=sampled", folder=folder, status=0
    )
    assert b"a sample" in ended.printed


def test_an_old_checkpoint_translates_with_minimum_bayes_risk(warm: Warm, folder: Path) -> None:
    options = ["checkpoint=run/checkpoints/best", "device=cpu", "device.threads=1", "scores=true", "alignments=true"]
    text = (OLD / "sentences.de").read_bytes()
    for search in (["search=sample", "search.size=6"], ["search=beam", "search.size=4", "search.min_length=5"]):
        for utility in ("chrf", "bleu"):
            chosen = [*search, f"search.rank_by={utility}", "search.n_best=2"]
            ended = warm("translate", *options, *chosen, folder=folder, given=text, status=0)
            rows = [line.split("\t") for line in ended.printed.decode().splitlines()]
            utilities = [float(row[1]) for row in rows]
            assert all(0 <= utility <= 100 for utility in utilities)
            assert len({row[0] for row in rows}) == len(text.splitlines())
            for one, other in itertools.pairwise(rows):
                assert one[0] != other[0] or float(one[1]) >= float(other[1])
    message = warm.refused("translate", *options, "search=greedy", "search.rank_by=chrf", folder=folder)
    assert message.startswith("error: search.rank_by=chrf compares several hypotheses, and search.size=1: ")
    title = "MBR by chrf of 3 samples"
    drawn = ["search=sample", "search.size=3", "search.rank_by=chrf", "output=risk"]
    assert title in warm("evaluate", *options[:3], *drawn, *LINES, folder=folder, status=0).printed.decode()


def test_an_old_checkpoint_translates_with_groups_of_beams(warm: Warm, folder: Path) -> None:
    options = ["checkpoint=run/checkpoints/best", "device=cpu", "device.threads=1", "scores=true", "search=beam"]
    text = (OLD / "sentences.de").read_bytes()

    def best(*search: str) -> list[list[str]]:
        ended = warm("translate", *options, "search.size=6", *search, folder=folder, given=text, status=0)
        return [line.split("\t") for line in ended.printed.decode().splitlines()]

    rows, beam = best("search.groups=3", "search.diversity=2", "search.n_best=6"), best("search.n_best=6")
    assert len({tuple(row[::2]) for row in rows}) == len(rows)  # no line has a translation twice
    assert len({row[0] for row in rows}) == len(text.splitlines())
    first_words = [{(row[0], row[2].partition(" ")[0]) for row in each} for each in (rows, beam)]
    assert len(first_words[0]) > len(first_words[1])
    for one, other in itertools.pairwise(rows):
        assert one[0] != other[0] or float(one[1]) >= float(other[1])
    by_risk = best("search.groups=3", "search.rank_by=chrf")
    assert len(by_risk) == len(text.splitlines())
    message = warm.refused("translate", *options, "search.size=6", "search.groups=4", folder=folder)
    assert message == "error: search.groups=4 must divide search.size=6: set search.size=8, for instance"
    message = warm.refused("translate", *options[:-1], "search=sample", "search.groups=2", folder=folder)
    assert message == "error: search.groups=2 divides a beam, and search.method=sample: set search=beam"
    ended = warm(
        "evaluate", *options[:3], "search=beam", "search.groups=5", *LINES, "output=diverse", folder=folder, status=0
    )
    assert b"beam 5 in 5 groups" in ended.printed


def test_a_run_folder_stands_for_its_best_checkpoint(warm: Warm, folder: Path) -> None:
    text = (OLD / "sentences.de").read_bytes()
    common = ["device=cpu", "device.threads=1"]
    lines = [
        warm("translate", f"checkpoint={name}", *common, folder=folder, given=text, status=0).printed
        for name in ("run", "run/checkpoints/best")
    ]
    assert lines[0] == lines[1]
    pairs = b"".join(b"%s\t%s\n" % pair for pair in zip(text.splitlines(), lines[0].splitlines(), strict=True))
    scores = [
        warm("score", f"checkpoint={name}", *common, folder=folder, given=pairs, status=0).printed
        for name in ("run", "run/checkpoints/best")
    ]
    assert scores[0] == scores[1]
    warm("evaluate", "checkpoint=run", *common, *LINES, "output=scored", folder=folder, status=0)
    message = warm.refused("score", "checkpoint=run", "search=sample", folder=folder)
    assert "give its values one by one: search.length_penalty, " in message
    message = warm.refused("translate", "checkpoint=run", "source=my.de", folder=folder)
    assert "translations go from standard input to standard output" in message
