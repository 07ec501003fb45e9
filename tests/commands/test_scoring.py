"""A checkpoint scored: the run's own figures again, for any batch size, and on a person's own files."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from seq2seq.commands.scoring import challenge_table, print_scored, score
from seq2seq.config import Evaluate, Search, load
from seq2seq.config.intervention import Interventions
from seq2seq.runtime.errors import InputError
from tests.support.programs import CPU, ROOT, SIZES

pytestmark = pytest.mark.usefixtures("unchecked")

NOTHING = dict.fromkeys(Search.model_fields)


def scored(run: Path, **options: Any) -> dict[str, Any]:
    """`evaluate.py` with these options, in this process."""
    search = {**NOTHING, **options.pop("search", {})}
    given: dict[str, Any] = {"split": "test", "source": None, "target": None, "alignments": None, "output": None}
    given["dataset"] = {"cache": "cache", "folder": None, "test": None}
    given |= {"evaluation": {"tokenize": None}, "alignment_units": "words"}
    given |= {"checkpoint": f"{run}/checkpoints/best", "device": CPU}
    given["attention"] = dict.fromkeys(Interventions.model_fields) | options.pop("attention", {})
    scored = score(load(Evaluate, {**given, **options, "search": search}))
    print_scored(scored)
    return scored.results


def results(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "results.json").read_text())
    return found


@pytest.fixture(params=["general", "concat"])
def run(request: pytest.FixtureRequest, sweep: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a trained run, with the folder that its paths start from as the current one."""
    monkeypatch.chdir(sweep)
    return Path(shutil.copytree(sweep / "runs" / request.param, tmp_path / "run"))


@pytest.mark.parametrize("batch", [1, 7, 64])
@pytest.mark.parametrize("split", ["test", "validation"])
def test_scores_are_those_of_the_run(run: Path, split: str, batch: int) -> None:
    found = scored(run, split=split, search={"batch": batch})
    assert found[split] == results(run)[split]


@pytest.mark.parametrize("batch", [1, 7, 64])
def test_greedy_search_is_what_validation_saw(run: Path, batch: int) -> None:
    found = scored(run, split="validation", search={"size": 1, "batch": batch})["validation"]
    best = results(run)["best"]
    assert {name: found[name] for name in ("bleu", "chrf")} == {name: best[name] for name in ("bleu", "chrf")}


def test_8_bit_weights_score_nearly_the_same(run: Path) -> None:
    found = scored(run, device={**CPU, "precision": "int8"})
    assert found["search"]["precision"] == "int8"
    assert "precision" not in scored(run)["search"]
    wanted = results(run)["test"]
    assert found["test"]["perplexity"] == wanted["perplexity"]
    assert found["test"]["chrf"] == pytest.approx(wanted["chrf"], abs=3)


def test_a_persons_own_files(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own = tmp_path / "own"
    own.mkdir()
    shutil.copy("test.de", own / "my.german")
    shutil.copy("test.en", own / "my.english")
    found = scored(run, source=f"{own}/my.german", target=f"{own}/my.english", output=f"{tmp_path}/deep/output")
    assert found["files"] == results(run)["test"]
    written = json.loads((tmp_path / "deep" / "output" / "evaluation.json").read_text())
    assert written == json.loads(json.dumps(found))
    hypotheses = (tmp_path / "deep" / "output" / "hypotheses.files.en").read_text()
    assert hypotheses.count("\n") == SIZES["test"]
    assert "my.german" in capsys.readouterr().out


def test_what_is_written_stands_in_the_run_folder(run: Path) -> None:
    before = set(run.rglob("*"))
    found = scored(run)
    assert set(run.rglob("*")) - before == {run / "evaluation.json", run / "hypotheses.test.en"}
    assert json.loads((run / "evaluation.json").read_text())["test"] == found["test"]


def test_sources_that_are_too_long_count_as_empty_and_are_said(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "long.de").write_text("Der Hund.\n" + "Der Hund sieht nie das Brot. " * 400 + "\n")
    (tmp_path / "long.en").write_text("The dog.\nThe dog never sees the bread.\n")
    files = {"source": f"{tmp_path}/long.de", "target": f"{tmp_path}/long.en"}
    found = scored(run, **files)["files"]
    assert (found["refused"], found["unread"]) == (1, 1)
    assert (run / "hypotheses.files.en").read_text().splitlines()[1] == ""
    assert "1 source" in capsys.readouterr().out
    found = scored(run, **files, search={"too_long": "truncate"})["files"]
    assert (found["refused"], found["unread"]) == (0, 1)
    assert "leave out 1 pairs" in capsys.readouterr().out
    assert (run / "hypotheses.files.en").read_text().splitlines()[1] != ""


def test_a_challenge_of_which_nothing_was_read_has_no_alignment_error() -> None:
    rows = {"longer": {"sentences": 3, "bleu": 0.0, "exact": 0.0, "refused": 3}}
    rows["deeper"] = {"sentences": 3, "bleu": 50.0, "exact": 1.0, "refused": 0, "aer": 0.25}
    _, longer, deeper, said = challenge_table(rows).splitlines()
    assert longer.split() == ["longer", "3", "0.00", "0.00", "–"]
    assert deeper.split() == ["deeper", "3", "50.00", "100.00", "25.00"]
    assert said.startswith("longer: 3 sources")


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_translated(run: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises((InputError, OSError), match="file"):
        scored(run, output=f"{tmp_path}/file/output")


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no folder that nobody can write to")
def test_a_folder_that_is_only_to_be_read_is_told_with_what_to_do(run: Path) -> None:
    with pytest.raises(InputError, match=r"^cannot write to /proc: .*; output=FOLDER writes elsewhere$"):
        scored(run, output="/proc")


def test_a_single_sentence_has_no_interval(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for language in ("de", "en"):
        first, *_ = Path(f"test.{language}").read_text().splitlines()
        (tmp_path / f"one.{language}").write_text(f"{first}\n")
    scored(run, source=f"{tmp_path}/one.de", target=f"{tmp_path}/one.en")
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("chrF")]
    assert line.split()[2] == "none"


def test_an_ensemble_is_scored(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = [f"{run}/checkpoints/best", f"{run}/checkpoints/best-2"]
    with pytest.raises(InputError, match=r"^output: not set; several checkpoints are an ensemble"):
        scored(run, checkpoint=both)
    found = scored(run, checkpoint=both, output=f"{tmp_path}/output", search={"no_repeat_ngram": 3})
    assert (found["checkpoint"], len(found["step"])) == (both, 2)
    one = results(run)["test"]
    assert found["test"]["perplexity"] != one["perplexity"]
    assert 1 < found["test"]["perplexity"] < 2 * one["perplexity"]
    shown = capsys.readouterr().out
    assert "attention is the mean of the 2 models" in shown
    assert all(path in shown for path in both)
    assert not (run / "evaluation.json").exists()
    assert json.loads((tmp_path / "output" / "evaluation.json").read_text())["test"] == found["test"]


def test_scores_with_changed_attention_stand_beside_the_untouched_ones(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"intervene": ["hard", "shift", "checkpoint"], "shift": -2, "checkpoint": str(run)}
    found = scored(run, attention=asked)
    wanted = results(run)["test"]
    assert found["test"] == wanted
    changed = found["interventions"]
    assert {name: each["options"] for name, each in changed.items()} == {
        "hard": {},
        "shift": {"shift": -2},
        "checkpoint": {"checkpoint": str(run)},
    }
    own = changed["checkpoint"]["test"]
    assert {name: own[name] for name in ("bleu", "exact", "word_recall")} == {
        name: wanted[name] for name in ("bleu", "exact", "word_recall")
    }
    assert own["perplexity"] == pytest.approx(wanted["perplexity"], rel=1e-5)
    assert changed["hard"]["test"]["attention"]["greatest_weight"] == 1
    assert changed["shift"]["test"]["perplexity"] != pytest.approx(wanted["perplexity"], rel=1e-3)
    assert (run / "hypotheses.test.shift.en").read_text().count("\n") == SIZES["test"]
    printed = capsys.readouterr().out
    rows = [line.split("  ")[0] for line in printed.splitlines()]
    assert rows.index("none") < rows.index("hard") < rows.index("shift (shift=-2)")


def test_an_intervention_that_this_model_does_not_have_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="this model's rule has one head"):
        scored(run, attention={"intervene": "head", "head": 0})
    other = ROOT / "tests" / "data" / "old_run" / "run" / "checkpoints" / "best"
    with pytest.raises(InputError, match="has another source vocabulary"):
        scored(run, attention={"intervene": "checkpoint", "checkpoint": str(other)})
    several = [f"{run}/checkpoints/best", f"{run}/checkpoints/last"]
    intervention = {"intervene": "checkpoint", "checkpoint": str(other)}
    with pytest.raises(InputError, match="checkpoint is for one model"):
        scored(run, checkpoint=several, output=str(tmp_path / "output"), attention=intervention)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"intervene": "hart"}, "no such choice 'hart', did you mean hard"),
        ({"intervene": ["hard", "hard"]}, "hard is given twice"),
        ({"intervene": "head"}, "attention.intervene=head needs attention.head"),
        ({"intervene": ["hard", "shift"], "seed": 3}, "attention.seed=3 is for attention.intervene=permute"),
        ({"shift": 2}, "attention.shift=2 is for attention.intervene=shift"),
        ({"intervene": "temperature", "temperature": 0.0}, "attention.temperature: should be greater"),
    ],
)
def test_options_that_do_not_fit_an_intervention_are_refused(run: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        scored(run, attention=options)
