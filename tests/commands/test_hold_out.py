"""Splits cut from the training text, several files for each split, standard input: through the real programs."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from seq2seq import build_text, checkpoint
from seq2seq.config import Train
from seq2seq.text.corpus import InMemory, Pair
from seq2seq.text.hold_out import Cut, Rest
from seq2seq.trained_model import trained_configuration
from tests.support.programs import SMALL
from tests.support.warm import Warm

COMMON = ["dataset=tsv", "dataset.source=zh", "dataset.target=en", "dataset.cache=cache", "dataset.vocabulary=300"]
RUN = [*SMALL, "training.steps=3", "search=greedy", *COMMON]
ALL = ["dataset.validation=all.tsv", "dataset.test=null"]
ON_CPU = ["device=cpu", "device.threads=1"]
SUBJECTS = ["猫", "狗", "马", "鸟", "鱼", "孩子", "老师", "学生"]
VERBS = ["看见", "喜欢", "找到", "听见", "记得"]
TEXT = [(f"{one}{verb}{other}。", f"{i} {j} {k}.") for i, one in enumerate(SUBJECTS) for j, verb in enumerate(VERBS)
        for k, other in enumerate(SUBJECTS)]  # fmt: skip


def write(path: Path, pairs: Sequence[tuple[str, str]]) -> None:
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")


def results(folder: Path) -> dict[str, Any]:
    scores: dict[str, Any] = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    return scores


def test_one_file_becomes_a_trained_and_scored_model(warm: Warm, tmp_path: Path) -> None:
    write(tmp_path / "all.tsv", [*TEXT, *TEXT[:40], ("", "no source")])
    options = ["dataset.train=all.tsv", "dataset.hold_out=25", "hydra.run.dir=run", "training.decay=constant"]
    log = warm("train", *RUN, *options, folder=tmp_path, status=0).printed.decode()
    assert "cut from the training text: 25 pairs for validation and 25 pairs for test" in log
    repeated = int(log.partition("; ")[2].partition(" more pairs with the same source are left out")[0])
    assert 0 < repeated < 40
    assert f"{len(TEXT) + 40 - 50 - repeated} training pairs; left out: 1 empty, 0 too long" in log
    assert "are in the training text" not in log
    references = (tmp_path / "run" / "results.test.en").read_text().splitlines()
    assert len(references) == 25
    trained = results(tmp_path / "run")
    for split in ("validation", "test"):
        (tmp_path / "elsewhere").mkdir(exist_ok=True)
        evaluated = ["checkpoint=../run/checkpoints/best", f"split={split}", "output=.", *ON_CPU]
        warm("evaluate", *evaluated, folder=tmp_path / "elsewhere", status=0)
        scores = json.loads((tmp_path / "elsewhere" / "evaluation.json").read_text())[split]
        assert scores["bleu"] == trained[split]["bleu"]
    more = warm("train", "resume=run", "training.steps=5", folder=tmp_path, status=0).printed.decode()
    assert "cut from the training text: 25 pairs for validation" in more
    shutil.copytree(tmp_path / "run" / "checkpoints" / "best", tmp_path / "passed" / "checkpoints" / "best")
    alone = ["checkpoint=passed/checkpoints/best", "output=alone", *ON_CPU]
    assert "nothing can tell whether the model has learned it" in remark_of(warm, alone, tmp_path)
    assert "can tell" not in remark_of(warm, ["checkpoint=run", "output=alone", *ON_CPU], tmp_path)
    write(tmp_path / "all.tsv", TEXT[::-1])
    assert "text" in warm.refused("train", "resume=run", "training.steps=7", folder=tmp_path)
    assert "can tell" not in remark_of(warm, ["checkpoint=run", "output=alone", *ON_CPU], tmp_path)  # the same are cut
    write(tmp_path / "all.tsv", TEXT[:200])
    for split in ("validation", "test"):
        told = warm.refused("evaluate", "checkpoint=run", f"split={split}", *ON_CPU, folder=tmp_path)
        assert (
            f"{tmp_path / 'run'} held out other pairs for {split}, or none, since its training text has changed" in told
        )


def remark_of(warm: Warm, words: Sequence[str], folder: Path) -> str:
    """What an evaluation prints."""
    return warm("evaluate", *words, folder=folder, status=0).printed.decode()


def test_a_test_split_of_ones_own_is_not_cut(warm: Warm, tmp_path: Path) -> None:
    """And several files are one split; their sentences that are in the training text are counted."""
    write(tmp_path / "all.tsv", TEXT[:300])
    cut = Cut(InMemory([Pair(*pair) for pair in TEXT[:300]], "train"), 20, ["validation"])
    first, second, *_ = Rest(cut)
    write(tmp_path / "a.tsv", [first, (second.source, "another translation"), TEXT[301]])
    write(tmp_path / "b.tsv", [TEXT[302], ("", "")])
    options = ["dataset.train=all.tsv", "dataset.hold_out=20", "dataset.test=[a.tsv,b.tsv]", "hydra.run.dir=run"]
    log = warm("train", *RUN, *options, folder=tmp_path, status=0).printed.decode()
    assert "cut from the training text: 20 pairs for validation\n" in log
    assert "test: of its 4 pairs, the training text has 1, and 1 source with other translations\n" in log
    assert len((tmp_path / "run" / "results.test.en").read_text().splitlines()) == 5
    again = ["checkpoint=run/checkpoints/best", "dataset.test=[b.tsv,a.tsv]", "output=again", *ON_CPU]
    printed = warm("evaluate", *again, folder=tmp_path, status=0).printed.decode()
    assert printed.startswith("b.tsv, a.tsv: 5 sentences")
    source, target = ("".join(f"{pair[side]}\n" for pair in TEXT[:9]) for side in (0, 1))
    (tmp_path / "my.en").write_text(target)
    (tmp_path / "my.zh").write_text(source)
    scores = []
    for name in ("my.zh", "-"):
        files = [f"source={name}", "target=my.en", f"output=from{name}", "checkpoint=run/checkpoints/best", *ON_CPU]
        ended = warm("evaluate", *files, folder=tmp_path, given=source.encode(), status=0)
        assert ended.printed.decode().startswith(f"{name.replace('-', 'standard input')}, my.en: 9 sentences")
        scores.append(json.loads((tmp_path / f"from{name}" / "evaluation.json").read_text())["files"]["bleu"])
    assert scores[0] == scores[1]
    ended = warm("evaluate", *files, folder=tmp_path, given=b"one\n\xff\n")
    assert (ended.status, ended.told) == (
        2,
        "error: standard input, line 2: byte 0xff at position 0 of the line is not UTF-8; convert the file to UTF-8\n",
    )
    ended = warm("evaluate", *files, folder=tmp_path, given=b"one\n")
    assert (ended.status, "standard input has 1 lines but my.en has 9" in ended.told) == (2, True)
    assert "the same text" in warm.refused("evaluate", *files[2:], "source=-", "target=-", folder=tmp_path)


def options(run: Path) -> Train:
    """The options of a run."""
    return trained_configuration(checkpoint.load(run / "checkpoints" / "best"), run)


def test_both_directions_and_then_each(warm: Warm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run in both directions starts a run in either, and what is cut from its text is the same in all three."""
    write(tmp_path / "all.tsv", TEXT)
    text = ["dataset.train=all.tsv", "dataset.hold_out=25", "training.decay=constant"]
    both = [*text, "dataset.both_directions=true", "hydra.run.dir=both"]
    log = warm("train", *RUN, *both, folder=tmp_path, status=0).printed.decode()
    assert "cut from the training text: 25 pairs for validation and 25 pairs for test" in log
    assert "each training pair is learned in both directions" in log
    assert f"{2 * (len(TEXT) - 50)} training pairs; left out: 0 empty, 0 too long" in log
    assert "the training text has" not in log
    for source, target in (("zh", "en"), ("en", "zh")):
        languages = [f"dataset.source={source}", f"dataset.target={target}", "dataset.columns=[1,2]"]
        if source == "en":
            languages[-1] = "dataset.columns=[2,1]"
        one = ["init=both", *text, "dataset=tsv", *languages, "dataset.cache=cache", "training.steps=3", *ON_CPU]
        log = warm("train", *one, f"hydra.run.dir={source}", folder=tmp_path, status=0).printed.decode()
        assert f"{len(TEXT) - 50} training pairs" in log
        assert "both directions" not in log
        assert "warning" not in log
        lines = (tmp_path / source / f"results.test.{target}").read_text(encoding="utf-8").splitlines()
        assert len(lines) == 25
    other = ["init=both", *text, "dataset.hold_out=30", *COMMON, "training.steps=3", *ON_CPU, "hydra.run.dir=other"]
    other = [word for word in other if word not in ("dataset.hold_out=25", "dataset.vocabulary=300")]
    log = warm("train", *other, folder=tmp_path, status=0).printed.decode()
    for name in ("validation", "test"):
        assert f"nothing shows that the run of init= held out the same pairs for {name}, so it may have" in log
    told = warm.refused("evaluate", "checkpoint=[zh,other]", "output=mixed", *ON_CPU, folder=tmp_path)
    assert f"{tmp_path / 'other'} held out other pairs for test, or none" in told
    monkeypatch.chdir(tmp_path)
    learned, onward, back = (build_text.corpus(options(Path(run)).dataset).splits() for run in ("both", "zh", "en"))
    for name in ("validation", "test"):
        cut = [*learned[name]]
        assert cut == [*onward[name]] == [pair.exchanged for pair in back[name]]
        assert not {*cut, *(pair.exchanged for pair in cut)} & {*learned["train"]}


def test_a_student_learns_from_translations_of_its_training_text(warm: Warm, tmp_path: Path) -> None:
    """evaluate.py translates what was learned, whatever was cut from it, and dataset.distilled takes it."""
    write(tmp_path / "all.tsv", [*TEXT, ("", "no source")])
    text = [*RUN, "dataset.train=all.tsv", "dataset.hold_out=25", "training.decay=constant"]
    warm("train", *text, "hydra.run.dir=one", folder=tmp_path, status=0)
    warm("train", *text, "training.seed=2", "hydra.run.dir=two", folder=tmp_path, status=0)
    learned = len(TEXT) - 50
    teach = ["checkpoint=[one,two]", "split=train", "output=teachers", *ON_CPU]
    assert f"train: {learned + 1} sentences" in warm("evaluate", *teach, folder=tmp_path, status=0).printed.decode()
    lines = (tmp_path / "teachers" / "hypotheses.train.en").read_text(encoding="utf-8").split("\n")
    assert (len(lines), lines[learned]) == (learned + 2, "")  # the pair without a source, and the end of the file
    student = [*text, "dataset.distilled=teachers/hypotheses.train.en", "hydra.run.dir=student"]
    log = warm("train", *student, folder=tmp_path, status=0).printed.decode()
    assert "each training source is learned with its line of teachers/hypotheses.train.en as well" in log
    empty = 2 + sum(not line for line in lines[:learned])
    assert f"{2 * (learned + 1) - empty} training pairs; left out: {empty} empty, 0 too long" in log
    again = warm("evaluate", *[*teach[1:2], "checkpoint=student", *ON_CPU], folder=tmp_path, status=0)
    assert f"train: {learned + 1} sentences" in again.printed.decode()
    (tmp_path / "copy.en").write_text("".join(f"{line}\n" for line in lines[:-1]), encoding="utf-8")
    twice = [*student[:-2], "dataset.distilled=[teachers/hypotheses.train.en,copy.en]", "hydra.run.dir=twice"]
    log = warm("train", *twice, folder=tmp_path, status=0).printed.decode()
    assert "warning: copy.en of dataset.distilled is the same text as teachers/hypotheses.train.en" in log
    (tmp_path / "copy.en").write_text("".join(f"{line} \n" for line in lines[:-1]), encoding="utf-8")
    told = warm.refused("train", "resume=twice", "training.steps=9", folder=tmp_path)
    assert "(split: train, distilled)" in told
    (tmp_path / "teachers" / "hypotheses.train.en").write_text("one line\n")
    told = warm.refused("train", *student[:-1], "hydra.run.dir=refused", folder=tmp_path)
    assert f"hypotheses.train.en has 1 lines, and the training text has {learned + 1} pairs" in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["dataset.both_directions=true", "training.guide.alignments=all.align", *ALL],
            "both_directions=true also learns the other",
        ),
        (
            ["dataset.distilled=all.tsv", "training.guide.alignments=all.align", *ALL],
            "dataset.distilled adds pairs without one",
        ),
        (["dataset.both_directions=true", "dataset.joint=false", *ALL], "needs one vocabulary for both languages"),
        (["dataset.hold_out=200"], "the training text needs more than 400 different pairs, and it has 320"),
        (
            ["dataset.validation=null", "dataset.test=null"],
            "dataset.validation=null: training needs a",
        ),
        (
            ["dataset.hold_out=2", "dataset.validation=a", "dataset.test=b"],
            "dataset.hold_out=2 cuts pairs for validation or test",
        ),
        (["dataset.hold_out=0"], "dataset.hold_out: "),
        (["dataset.hold_out=9", "training.guide.alignments=all.align"], "from which dataset.hold_out takes pairs"),
        (["dataset.hold_out=9", "dataset.validation=absent.tsv"], "absent.tsv"),
    ],
)
def test_what_cannot_be_cut_is_refused(warm: Warm, tmp_path: Path, options: list[str], message: str) -> None:
    write(tmp_path / "all.tsv", TEXT)
    told = warm.refused("train", *RUN, "dataset.train=all.tsv", "hydra.run.dir=run", *options, folder=tmp_path)
    assert message in told
    assert not (tmp_path / "run" / "checkpoints").exists()
