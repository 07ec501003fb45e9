"""Text that was moved, changed, or never was there: what can still be scored, and what is said of the rest."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seq2seq.commands.dataset_location import start_folders
from tests.support.programs import SIZES, SMALL, TEXT, write_corpus
from tests.support.strangers import dataset, listing, rewrite
from tests.support.warm import Ended, Warm

RUN = "runs/both/attention=general"
BEST = f"'{RUN}/checkpoints/best'"
OWN = "source=FILE target=FILE scores your own pair of files"


def as_it_is(_: Path) -> None:
    """Changes nothing."""


@pytest.fixture
def project(sweep: Path, tmp_path: Path) -> Path:
    """A folder with the corpus and a run, started in it."""
    (tmp_path / "project" / RUN).parent.mkdir(parents=True)
    write_corpus(tmp_path / "project")
    shutil.copytree(sweep / RUN, tmp_path / "project" / RUN)
    record(tmp_path / "project", tmp_path / "project")
    return tmp_path / "project"


def record(project: Path, start: Path) -> None:
    """Makes the run in the project one that was started in another folder, of which it lies as in this one."""
    path = project / RUN / ".hydra" / "hydra.yaml"
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        for name, value in (("    cwd: ", start), ("    output_dir: ", start / RUN)):
            if line.startswith(name):
                lines[number] = f"{name}{json.dumps(str(value))}"
    path.write_text("\n".join(lines) + "\n")


def results(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "results.json").read_text())
    return found


def evaluate(warm: Warm, folder: Path, checkpoint: str, *options: str) -> dict[str, Any]:
    """`evaluation.json` of an evaluation that has nothing to complain of."""
    ended = warm("evaluate", f"checkpoint={checkpoint}", "device=cpu", "output=scored", *options, folder=folder)
    assert (ended.status, ended.told) == (0, ""), ended.told
    found: dict[str, Any] = json.loads((folder / "scored" / "evaluation.json").read_text())
    return found


def refusal(ended: Ended) -> str:
    """The sentence."""
    assert (ended.status, ended.printed, ended.told.count("\n")) == (2, b"", 1), ended
    assert ended.told.startswith("error: ")
    return ended.told.rstrip("\n")


def as_tables(project: Path) -> None:
    """Makes the corpus one of tab-separated files, and the run one of that."""
    for name in SIZES:
        columns = [(project / f"{name}.{language}").read_text().splitlines() for language in ("de", "en")]
        rows = ["\t".join(pair) + "\n" for pair in zip(*columns, strict=True)]
        (project / f"{name}.tsv").write_text("".join(rows))
    paths = {"train": "train.tsv", "validation": "dev.tsv", "test": "test.tsv"}
    dataset(project / RUN / "checkpoints" / "best", name="tsv", **paths)


# --- moved ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("split", "kept"), [("test", "test"), ("validation", "dev")])
@pytest.mark.parametrize("spoil", [as_it_is, as_tables], ids=["files", "tsv"])
def test_evaluation_reads_what_it_scores_and_nothing_else(
    warm: Warm, project: Path, spoil: Callable[[Path], None], split: str, kept: str
) -> None:
    spoil(project)
    for path in [*project.glob("*.de"), *project.glob("*.en"), *project.glob("*.tsv")]:
        if path.stem != kept:
            path.unlink()
    assert evaluate(warm, project, BEST, f"split={split}")[split] == results(project / RUN)[split]


@pytest.mark.parametrize("kind", ["files", "tsv"])
def test_another_test_split_of_the_same_kind(warm: Warm, project: Path, kind: str) -> None:
    if kind == "tsv":
        as_tables(project)
    other = project.parent / "other"
    other.mkdir()
    for path in [*project.glob("*.de"), *project.glob("*.en"), *project.glob("*.tsv")]:
        path.rename(other / path.name)
    end = ".tsv" if kind == "tsv" else ""
    found = evaluate(warm, project, BEST, f"dataset.test=../other/dev{end}")
    assert found["test"] == results(project / RUN)["validation"]
    said = refusal(warm("evaluate", f"checkpoint={BEST}", "dataset.test=nowhere", "device=cpu", folder=project))
    assert "nowhere" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["split=validation"], "dataset.test=dev: split=validation would be scored in its place"),
        (["source=dev.de", "target=dev.en"], "dataset.test=dev: source=FILE and target=FILE would be scored in its"),
    ],
)
def test_two_things_to_score_are_one_too_many(warm: Warm, project: Path, options: list[str], words: str) -> None:
    assert words in refusal(warm("evaluate", f"checkpoint={BEST}", "dataset.test=dev", *options, folder=project))


def test_the_built_in_corpus_has_one_test_split(warm: Warm, project: Path) -> None:
    dataset(project / RUN / "checkpoints" / "best", name="grammar", preset="tiny", seed=5)
    said = refusal(warm("evaluate", f"checkpoint={BEST}", "dataset.test=dev", "device=cpu", folder=project))
    assert said == f"error: dataset.test=dev: the built-in corpus has no other; {OWN}"


def test_multi30k_takes_the_name_of_a_test_set(warm: Warm, project: Path) -> None:
    best = project / RUN / "checkpoints" / "best"
    dataset(best, name="multi30k", folder="flickr", test="test_2016_flickr")
    (project / "flickr").mkdir()
    words = {"": f"{project}/flickr/test_2016_flickr.de.gz is not there", "test_2017_flickr": "test_2017_flickr.de.gz"}
    words["test_2018_flickr"] = "no test set 'test_2018_flickr' for de and en: choose one of test_2016_flickr"
    for name, sentence in words.items():
        options = [f"dataset.test={name}"] if name else []
        ended = warm("evaluate", f"checkpoint='{best}'", *options, "device=cpu", folder=project.parent)
        assert sentence in refusal(ended)


# --- another folder ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spoil", [as_it_is, as_tables], ids=["files", "tsv"])
def test_paths_begin_where_the_run_was_started(warm: Warm, project: Path, spoil: Callable[[Path], None]) -> None:
    """Also where the current folder has other text of the same name."""
    spoil(project)
    elsewhere = project.parent / "elsewhere"
    elsewhere.mkdir()
    wanted = results(project / RUN)["test"]
    assert evaluate(warm, elsewhere, f"'{project}/{RUN}/checkpoints/best'")["test"] == wanted
    for name in ("test.de", "test.en", "test.tsv"):
        (elsewhere / name).write_text("Der Hund.\tThe dog.\n")
    assert evaluate(warm, elsewhere, f"'{project}/{RUN}/checkpoints/best'")["test"] == wanted


def test_a_project_is_moved_as_a_whole(warm: Warm, project: Path) -> None:
    """Or copied: the text beside the copy is the one that counts."""
    copied = Path(shutil.copytree(project, project.parent / "a copy"))
    for language in ("de", "en"):
        shutil.copy(copied / f"dev.{language}", copied / f"test.{language}")
    found = evaluate(warm, project, f"'{copied}/{RUN}/checkpoints/best'")
    assert found["test"] == results(project / RUN)["validation"]
    shutil.move(copied / RUN, project.parent / "run")  # alone: what is left is where it was started
    found = evaluate(warm, project.parent, "run/checkpoints/best")
    assert found["test"] == results(project / RUN)["test"]


def test_a_checkpoint_alone_is_scored_where_its_text_is(warm: Warm, project: Path) -> None:
    shutil.move(project / RUN / "checkpoints" / "best", project.parent / "best")
    assert evaluate(warm, project, f"{project.parent}/best")["test"] == results(project / RUN)["test"]
    said = refusal(warm("evaluate", "checkpoint=best", "device=cpu", folder=project.parent))
    where = "its test split, test, is relative to the folder where its run was started: go there"
    assert said == f"error: checkpoint best: {where}; or dataset.test=PREFIX scores another, and {OWN}"


@pytest.mark.parametrize("split", ["test", "validation"])
def test_text_that_is_nowhere_is_said_with_where_it_was_looked_for(warm: Warm, project: Path, split: str) -> None:
    for path in (*project.glob("dev.*"), *project.glob("test.*")):
        path.unlink()
    best = f"{project}/{RUN}/checkpoints/best"
    before = listing(project)
    ended = warm("evaluate", f"checkpoint='{best}'", f"split={split}", "device=cpu", folder=project.parent)
    path = {"test": "test", "validation": "dev"}[split]
    where = f"neither in {project}, where its run was started, nor in the folder you are in"
    instead = f"dataset.test=PREFIX scores another, and {OWN}"
    assert refusal(ended) == f"error: checkpoint {best}: its {split} split, {path}, is {where}; {instead}"
    assert listing(project) == before


def test_an_absolute_path_is_said_as_it_is(warm: Warm, project: Path) -> None:
    dataset(project / RUN / "checkpoints" / "best", name="tsv", train="/t", validation="/v", test="/nowhere/my.tsv")
    said = refusal(warm("evaluate", f"checkpoint={BEST}", "device=cpu", folder=project))
    assert f": its test split, /nowhere/my.tsv, is not there; dataset.test=FILE scores another, and {OWN}" in said


def test_where_a_run_was_started(project: Path) -> None:
    assert start_folders(project / RUN) == [project, project]
    record(project, Path("/home/somebody/else's (größer): #1"))
    assert start_folders(project / RUN) == [project, Path("/home/somebody/else's (größer): #1")]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe",
        b"hydra: [",
        b"hydra: {runtime: {cwd: 3, output_dir: 4}}",
        b"hydra: {runtime: {cwd: /a}}",
        b"hydra: !!python/object/apply:os.system ['touch pwned']",
        b"[" * 10**5,
        b"#" * 2**17 + b"\nhydra: {runtime: {cwd: /a, output_dir: /a/b}}",
        b'hydra: {runtime: {cwd: "a\\0b", output_dir: /a/b}}',
        b'hydra: {runtime: {cwd: "a\\ud800b", output_dir: /a/b}}',
    ],
    ids=lambda content: content[:50].decode(errors="replace"),
)
def test_a_record_that_is_none_says_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "hydra.yaml").write_bytes(content)
    assert start_folders(tmp_path) == []
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("kind", ["a link to the file", "a link to the folder", "a pipe", "nothing"])
def test_a_record_is_a_plain_file(project: Path, tmp_path: Path, kind: str) -> None:
    run, theirs = tmp_path / "run", project / RUN / ".hydra"
    run.mkdir()
    if kind == "a link to the folder":
        (run / ".hydra").symlink_to(theirs)
    else:
        (run / ".hydra").mkdir()
    path = run / ".hydra" / "hydra.yaml"
    if kind == "a link to the file":
        path.symlink_to(theirs / "hydra.yaml")
    if kind == "a pipe":
        os.mkfifo(path)
    assert start_folders(run) == []


# --- changed ----------------------------------------------------------------------------------------------------------


def stopped(project: Path) -> None:
    """The run before its results."""
    (project / RUN / "results.json").unlink()


@pytest.mark.parametrize(
    ("name", "split", "lines"), [("train", "train", 3), ("train", "train", 400), ("dev", "validation", 30)]
)
def test_text_that_is_not_what_it_was_is_said_before_anything_is_made_of_it(
    warm: Warm, project: Path, name: str, split: str, lines: int
) -> None:
    """Fewer lines that give fewer subwords, and more that bring other characters."""
    stopped(project)
    for language in ("de", "en"):
        text = [f"{chr(0x4E00 + number)} {number}" if lines > 100 else "Ja." for number in range(lines)]
        (project / f"{name}.{language}").write_text("\n".join(text) + "\n")
    before = listing(project)
    said = refusal(warm("train", f"resume={RUN}", folder=project))
    why = (
        f"the text has changed since this run was started (split: {split}); put the old text back, or start another run"
    )
    assert said == f"error: resume={RUN}: {why}"
    assert listing(project) == before


def test_a_run_goes_on_with_the_same_text_in_another_form(warm: Warm, project: Path) -> None:
    """As an old one does, whose checkpoint knows nothing of raw text."""
    wanted = results(project / RUN)["test"]
    for old in (False, True):
        stopped(project)
        if old:
            rewrite(project / RUN / "checkpoints" / "last", lambda description: description["state"].pop("splits"))
        text = (project / "train.de").read_bytes()
        (project / "train.de").write_bytes(b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"))
        ended = warm("train", f"resume={RUN}", folder=project)
        assert (ended.status, ended.told) == (0, "")
        assert results(project / RUN)["test"] == wanted
        (project / "train.de").write_bytes(text)
    stopped(project)
    (project / "train.de").write_bytes(text.replace(b"Hund", b"Bund"))
    ended = warm("train", f"resume={RUN}", folder=project)
    assert ended.status == 2
    assert "the text, or how it is prepared, has changed since this run was started" in ended.told


# --- never there ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["files", "tsv"])
def test_without_a_test_split_everything_else_is_done(warm: Warm, project: Path, kind: str) -> None:
    text = TEXT
    if kind == "tsv":
        as_tables(project)
        text = ["dataset=tsv", "dataset.train=train.tsv", "dataset.validation=dev.tsv", *TEXT[4:]]
    options = ["dataset.test=null", *SMALL, "attention=general", "training.steps=4", "search=beam", "search.size=2"]
    options += [option for option in text if not option.startswith("dataset.test=")]
    ended = warm("train", *options, "hydra.run.dir=run", folder=project)
    assert (ended.status, ended.told) == (0, "")
    assert "test  no scores, since there is no test split (dataset.test=null)\n" in ended.printed.decode()
    found = results(project / "run")
    assert found.keys() == {"parameters", "best", "train", "validation", "decoding"}
    assert found["decoding"]["sentences"] == found["validation"]["sentences"] == SIZES["dev"]
    assert not list((project / "run").glob("results.test*"))

    ended = warm("train", "resume=run", folder=project)
    assert (ended.status, ended.printed.decode().count("is finished")) == (0, 1)
    best = "run/checkpoints/best"
    assert evaluate(warm, project, best, "split=validation")["validation"] == found["validation"]
    said = refusal(warm("evaluate", f"checkpoint={best}", "device=cpu", folder=project))
    instead = "give split=validation, dataset.test=..., or source=FILE target=FILE"
    assert said == f"error: checkpoint {best} was trained without a test split (dataset.test=null): {instead}"
    end = ".tsv" if kind == "tsv" else ""
    assert evaluate(warm, project, best, f"dataset.test=dev{end}")["test"] == found["validation"]


def test_a_test_split_that_is_not_set_is_asked_for_with_what_would_do(warm: Warm, project: Path) -> None:
    options = [option for option in TEXT if not option.startswith("dataset.test=")]
    said = refusal(warm("train", *options, *SMALL, folder=project))
    assert said == "error: dataset.test: not set; give dataset.test=VALUE, or dataset.test=null for no test scores"


# --- tokenised --------------------------------------------------------------------------------------------------------


def test_tokenised_text_is_said_once(warm: Warm, project: Path) -> None:
    """By train.py at the end, and by evaluate.py; what sacreBLEU says at each score, in three lines, is not."""
    for path in (*project.glob("*.en"), *project.glob("*.de")):
        path.write_text(path.read_text().replace(".\n", " .\n"))
    for language in ("de", "en"):
        for name in ("dev", "test"):
            path = project / f"{name}.{language}"
            path.write_text(path.read_text() * 10)  # sacreBLEU begins at 100 translations
    options = [*TEXT, *SMALL, "attention=general", "training.steps=60", "training.learning_rate=0.01"]
    options += ["training.validate_every=60", "search=greedy", "hydra.run.dir=run"]
    trained = warm("train", *options, folder=project, status=0)
    text = (project / "run" / "results.test.en").read_text()
    assert text.count(" .\n") > 100
    (line,) = [
        line for line in trained.printed.decode().splitlines() if "tokenized" in line or "look tokenised" in line
    ]
    assert "test: 310 of 310 references and" in line
    ended = warm("evaluate", "checkpoint=run/checkpoints/best", "device=cpu", folder=project)
    assert (ended.status, ended.told.count("\n")) == (0, 1)
    assert ended.told.startswith("warning: test: 310 of 310 references and")
    files = ["source=dev.de", "target=dev.en", "split=test"]
    ended = warm("evaluate", "checkpoint=run/checkpoints/best", "device=cpu", *files, folder=project)
    assert ended.told.startswith("warning: dev.de, dev.en: 230 of 230 references and")
    assert "tokenised, such" not in ended.printed.decode()
