"""What is wrong gets told by the real programs: one sentence on the error stream, status 2, and nothing left behind."""

import errno
import hashlib
import json
import os
import shutil
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from seq2seq import build, checkpoint
from seq2seq.commands.exit_status import cli_errors
from seq2seq.config import Train, load
from seq2seq.runtime.errors import InputError
from seq2seq.trained_model import build_trained
from tests.support.programs import CONFIGS, SMALL, TEXT, choices
from tests.support.spoil import reseal
from tests.support.warm import Warm

Spoil = Callable[[Path], object]


@pytest.fixture
def folder(corpus: Path, tmp_path: Path) -> Path:
    """The corpus, to be spoilt."""
    return Path(shutil.copytree(corpus, tmp_path / "here"))


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def spoil_line(path: Path, number: int, line: bytes) -> None:
    lines = path.read_bytes().splitlines()
    lines[number - 1] = line
    path.write_bytes(b"\n".join(lines) + b"\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["training.epoch=3"], ["training.epoch:", "did you mean training.epochs?"]),
        (["--attention=dot"], ["--attention=dot", "attention=VALUE"]),
        (["attention=dott"], ["attention=dott", "did you mean dot?"]),
        (["training.metric=blue"], ["training.metric", "'blue'", "did you mean bleu?"]),
        (["dataset=files"], ["dataset.source, dataset.target, dataset.test, ", "not set; give each as KEY=VALUE"]),
        (["--epochs", "3"], ["--epochs: written without dashes, training.epochs=VALUE"]),
        (["--learning-rate=1"], ["--learning-rate=1: written without dashes, training.learning_rate=VALUE"]),
        (["training.betas=[0.9]"], ["training.betas: expected 2 values, found [0.9]"]),
        (["dataset.cache="], ["dataset.cache: ", "empty; give a path"]),
        (
            [
                "dataset=jsonl",
                "dataset.source=de",
                "dataset.target=en",
                "dataset.train=a",
                "dataset.hold_out=5",
                "dataset.fields=[de,de]",
            ],
            ["dataset.fields: names the field de twice"],
        ),
        (["model.dropout=${nothing}"], ["model.dropout: ", "nothing"]),
        (["model.tie=all", "dataset.joint=false"], ["model.tie=all", "dataset.joint=true"]),
    ],
    ids=lambda value: value[0] if "=" in value[0] else "",
)
def test_an_unknown_option_or_value(warm: Warm, arguments: list[str], words: list[str], tmp_path: Path) -> None:
    found = warm.refused("train", *arguments, folder=tmp_path)
    assert all(word in found for word in words), found
    assert not list(tmp_path.glob("runs/*"))


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("epochs=3", ["epochs:", "did you mean training.epochs or training.guide.epochs?"]),
        ("expriment=multi30k_de_en", ["expriment:", "did you mean experiment?"]),
        (
            "experiment=multi30k",
            ["experiment=multi30k:", "did you mean multi30k_en_de or multi30k_de_en or dataset=multi30k?"],
        ),
        ("device=gpu", ["device=gpu:", "did you mean cuda?"]),
        ("attention=luong", ["attention=luong:", "did you mean luong_dot or decoder=luong?"]),
        ("attention=sparsemax", ["attention=sparsemax:", "did you mean attention.distribution=sparsemax?"]),
        ("decoder=dot", ["decoder=dot:", "did you mean attention=dot?"]),
        ("model=huge", ["model=huge", "base, small, tiny"]),
        ("model=", ["model=", "base, small, tiny"]),
        ("experiment=null", ["null is no choice", "leave the group out"]),
        ("model=null", ["null is no choice", "leave the group out"]),
        (f"training.seed={'9' * 5000}", ["4300 digits"]),
        ("attention=dot,general", ["attention=dot,general", "-m"]),
        ("dataset.train=/my/a=b", ["dataset.train=/my/a=b", "quotes"]),
        ("attention", ["attention:", "KEY=VALUE"]),
        ("hydra.run.dri=x", ["hydra.run.dri", "--cfg hydra"]),
        ("encoder.attention.score=dot", ["encoder.attention.score", "another encoder=CHOICE has it"]),
        ("training.foo=x", ["training.foo", "training.accumulate, training.average, training.batch"]),
    ],
)
def test_what_hydra_refuses_is_told_in_our_words(
    argument: str, words: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # `cli_errors` sets it: put back what was there
    with (
        initialize_config_dir(str(CONFIGS), version_base="1.3"),
        pytest.raises(SystemExit) as ended,
        cli_errors(Train),
    ):
        compose("train", overrides=[argument])
    assert ended.value.code == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ")
    assert printed.count("\n") == 1
    assert all(word in printed for word in words), printed


@pytest.mark.parametrize(
    ("spoil", "arguments", "words"),
    [
        (lambda here: (here / "train.en").unlink(), [], ["train.en", "train.en.gz"]),
        (lambda here: (here / "dev.de").write_bytes(b""), [], ["dev.de is empty"]),
        (lambda here: append(here / "dev.de", "Noch eine.\n"), [], ["dev.de has 24", "dev.en has 23"]),
        (lambda here: spoil_line(here / "test.en", 17, b"A d\xf6g."), [], ["test.en, line 17", "0xf6", "UTF-8"]),
        (lambda _: None, ["dataset.vocabulary=9000"], ["dataset.vocabulary is 9000", "at most"]),
        (lambda _: None, ["dataset.train=."], ["found neither .de nor .de.gz"]),
    ],
    ids=["missing", "empty", "line counts", "not UTF-8", "vocabulary", "no name"],
)
def test_text_that_will_not_do(warm: Warm, folder: Path, spoil: Spoil, arguments: list[str], words: list[str]) -> None:
    spoil(folder)
    found = warm.refused("train", *TEXT, *SMALL, *arguments, folder=folder)
    assert all(word in found for word in words), found


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_what_a_failed_start_finds_in_its_folder_stays(warm: Warm, tmp_path: Path) -> None:
    notes = tmp_path / "mine" / "train.log"
    notes.parent.mkdir()
    notes.write_text("my notes\n")
    wrong = "training.learning_rate=-1"
    (tmp_path / "logged").mkdir()
    (tmp_path / "logged" / "train.log").write_text("10:00:00 my notes\n")
    (tmp_path / "other-hydra" / ".hydra").mkdir(parents=True)
    (tmp_path / "other-hydra" / ".hydra" / "mine.yaml").write_text("a: 1\n")
    for place in ("logged", "other-hydra"):
        warm.refused("train", wrong, f"hydra.run.dir={place}", folder=tmp_path)
    assert (tmp_path / "logged" / "train.log").read_text().startswith("10:00:00 my notes\n")
    assert (tmp_path / "other-hydra" / ".hydra" / "mine.yaml").read_text() == "a: 1\n"
    for place, started_in in ((".", notes.parent), ("mine", tmp_path), ("empty", tmp_path), ("link", tmp_path)):
        if place == "link":
            (tmp_path / "other").mkdir()
            (tmp_path / "link").symlink_to("other")
        told = warm.refused("train", wrong, f"hydra.run.dir={place}", folder=started_in)
        assert "training.learning_rate: should be greater than 0" in told
    assert notes.read_text().startswith("my notes\n")
    assert not (tmp_path / "empty").exists()
    assert list((tmp_path / "other").iterdir()) == []


def test_a_failed_start_leaves_the_current_folder(warm: Warm, tmp_path: Path) -> None:
    warm.refused("train", "training.learning_rate=-1", "hydra.run.dir=.", folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_text_of_which_nothing_can_be_validated(warm: Warm, folder: Path) -> None:
    ended = warm("train", *TEXT, *SMALL, "search.longest_source=2", "hydra.run.dir=run", folder=folder, status=2)
    assert ended.told.startswith("error: validation: all 23 pairs are too long to read; raise search.longest_source")
    assert not (folder / "run").exists()


def test_a_gpu_where_there_is_none(warm: Warm, folder: Path) -> None:
    assert "device=cuda" in warm.refused("train", *TEXT, "device=cuda", folder=folder)


def test_a_folder_that_holds_a_run(warm: Warm, sweep: Path, tmp_path: Path) -> None:
    here = Path(shutil.copytree(sweep, tmp_path / "here"))
    found = warm.refused("train", *TEXT, *SMALL, "training.seed=9", "hydra.run.dir=runs/general", folder=here)
    assert "runs/both/" in found or "runs/general" in found
    assert "hydra.run.dir=" in found


def change(key: str, value: object) -> Spoil:
    def spoil(checkpoint: Path) -> None:
        path = checkpoint / "checkpoint.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
        reseal(checkpoint)

    return spoil


@pytest.mark.parametrize(
    ("program", "spoil", "words"),
    [
        ("evaluate", shutil.rmtree, ["no checkpoint at spoilt", "checkpoints/best"]),
        ("translate", lambda here: (here / "checkpoint.json").unlink(), ["spoilt is not a checkpoint"]),
        ("evaluate", change("format", 4), ["spoilt", "format 4", "formats 1 to 3"]),
        ("translate", lambda here: os.truncate(here / "weights.safetensors", 999), ["spoilt is damaged"]),
    ],
    ids=["nothing", "another folder", "another format", "weights cut short"],
)
def test_a_checkpoint_that_is_none(
    warm: Warm, sweep: Path, tmp_path: Path, program: str, spoil: Spoil, words: list[str]
) -> None:
    spoil(Path(shutil.copytree(sweep / "runs/general/checkpoints/best", tmp_path / "spoilt")))
    found = warm.refused(program, "checkpoint=spoilt", folder=tmp_path)
    assert all(word in found for word in words), found


def ask_for(value: object, *path: str) -> Spoil:
    """A configuration that asks for something else."""

    def spoil(checkpoint: Path) -> None:
        file = checkpoint / "checkpoint.json"
        values = json.loads(file.read_text())
        section = values["configuration"]
        for name in path[:-1]:
            section = section[name]
        section[path[-1]] = value
        file.write_text(json.dumps(values))
        reseal(checkpoint)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (change("configuration", {"attention": {"score": "evil"}}), ["attention.score", "'evil'"]),
        (ask_for("os.system", "attention", "_target_"), ["attention._target_", "no such option"]),
        (ask_for("os.system", "_target_"), ["_target_", "no such option"]),
        (
            ask_for(60_000, "model", "embedding"),
            ["does not fit its own configuration", "decoder.attention.linear.weight"],
        ),
        (ask_for(60_000, "model", "encoder_hidden"), ["does not fit its own configuration"]),
        (ask_for(10**12, "model", "encoder_hidden"), ["model.encoder_hidden"]),
        (ask_for(10**30, "model", "embedding"), ["model.embedding", "65536"]),
        (ask_for(10**9, "encoder", "layers"), ["encoder.layers"]),
        (ask_for(100, "encoder", "layers"), ["does not fit its own configuration", "encoder.gru"]),
        (ask_for(10**9, "dataset", "vocabulary"), ["dataset.vocabulary"]),
        (ask_for("none", "model", "tie"), ["output.weight is None"]),
        (ask_for("../../etc", "dataset", "target"), ["dataset.target"]),
        (change("configuration", []), []),
        (change("positions", None), ["damaged"]),
        (lambda here: (here / "checkpoint.json").write_bytes(b"\x80\x04."), ["damaged"]),
        (lambda here: (here / "weights.safetensors").write_bytes(b"\x80\x04."), ["damaged"]),
        (lambda here: (here / "source.model").write_bytes(b"junk"), ["damaged"]),
    ],
)
def test_a_damaged_checkpoint(sweep: Path, tmp_path: Path, spoil: Spoil, words: list[str]) -> None:
    folder = Path(shutil.copytree(sweep / "runs/general/checkpoints/best", tmp_path / "spoilt"))
    spoil(folder)
    with pytest.raises(InputError) as cli_errors:
        build_trained(checkpoint.load(folder), folder)
    assert all(word in str(cli_errors.value) for word in [str(folder), *words]), cli_errors.value


def test_positions_are_checked_before_there_is_memory_for_them(sweep: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(sweep / "runs/concat/checkpoints/best", tmp_path / "spoilt"))
    for positions, words in ((10**11, "does not fit its own configuration"), (10**30, "impossible size")):
        change("positions", positions)(folder)
        with pytest.raises(InputError, match=words):
            build_trained(checkpoint.load(folder), folder)


@pytest.mark.parametrize(
    "weights",
    [
        {"shape": [25_000_000_000], "data_offsets": [0, 100_000_000_000]},
        {"shape": [2**62, 2**62], "data_offsets": [0, 4]},
    ],
)
def test_a_header_that_promises_too_much(sweep: Path, tmp_path: Path, weights: dict[str, object]) -> None:
    folder = Path(shutil.copytree(sweep / "runs/general/checkpoints/best", tmp_path / "spoilt"))
    header = json.dumps({"output.bias": {"dtype": "F32", **weights}}).encode()
    content = struct.pack("<Q", len(header)) + header + bytes(4)
    (folder / "weights.safetensors").write_bytes(content)
    files = json.loads((folder / "checkpoint.json").read_text())["files"]
    change("files", files | {"weights.safetensors": hashlib.sha256(content).hexdigest()})(folder)
    with pytest.raises(InputError, match="spoilt is damaged: SafetensorError"):
        checkpoint.load(folder)


@pytest.mark.parametrize("rule", choices("attention"))
def test_a_model_without_numbers_is_the_model(sweep: Path, rule: str) -> None:
    """Names and shapes, of which a checkpoint is refused before there is memory for it."""
    found = checkpoint.load(sweep / "runs/general/checkpoints/best")
    names = [f"attention={rule}", "encoder=self_attention", "model=tiny", "model.decoder_hidden=64"]
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        values = OmegaConf.to_container(compose("train", names), resolve=True)
    configuration = load(Train, values)
    real = build.model(configuration, found.tokenizers, positions=17)
    fitting = found._replace(configuration=values, weights=dict(real.named_parameters()), positions=17)
    _, built = build_trained(fitting, Path("here"))
    for name, parameter in built.named_parameters():
        assert torch.equal(parameter, fitting.weights[name])


@pytest.mark.parametrize(
    ("program", "arguments", "words"),
    [
        ("evaluate", [], ["checkpoint", "not set"]),
        ("evaluate", ["checkpoint={}", "source=test.de", "target=dev.en"], ["test.de has 31", "dev.en has 23"]),
        ("evaluate", ["checkpoint={}", "source=a", "target=b", "split=validation"], ["split=validation: source=FILE"]),
        ("evaluate", ["checkpoint=."], [". is not a checkpoint"]),
        ("translate", ["checkpoint=/"], ["/ is not a checkpoint"]),
        ("evaluate", ["checkpoint={}", "search.sise=3"], ["search.sise", "did you mean search.size?"]),
        ("translate", ["checkpoint={}", "plot=picture.bmp"], ["picture.bmp", ".png"]),
        (
            "translate",
            ["test.de"],
            ["test.de: expected", "`python translate.py checkpoint=runs/NAME/checkpoints/best < t"],
        ),
        ("translate", ["it's.de", "checkpoint={}"], ["checkpoints/best < 'it'\"'\"'s.de'`"]),
        ("translate", ["{}"], ["general/checkpoints/best: expected KEY=VALUE; a checkpoint is given as checkpoint=/"]),
        ("evaluate", ["{}"], ["general/checkpoints/best: expected KEY=VALUE; a checkpoint is given as checkpoint=/"]),
        ("evaluate", ["test.de", "test.en"], ["test.de: expected KEY=VALUE", "source=FILE target=FILE"]),
        ("train", ["cache"], ["cache: expected KEY=VALUE; `resume=cache` resumes a run"]),
    ],
    ids=[
        *("no checkpoint", "line counts", "two things to score", "here", "root", "no such option", "no such format"),
        *("text alone", "quotes", "a checkpoint alone", "a checkpoint alone", "files alone", "a folder alone"),
    ],
)
def test_the_other_programs(
    warm: Warm, sweep: Path, folder: Path, program: str, arguments: list[str], words: list[str]
) -> None:
    (folder / "cache").mkdir()
    best = str(sweep / "runs/general/checkpoints/best")
    found = warm.refused(program, *(argument.format(best) for argument in arguments), folder=folder)
    assert all(word in found for word in words), found


def test_what_the_system_refuses_is_one_sentence_whichever_thread_meets_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """TensorBoard's writer meets a full disk first, and hands it on to whoever writes next."""
    monkeypatch.setattr(sys, "argv", ["train.py"])
    full = OSError(errno.ENOSPC, "No space left on device", "there")

    def write() -> None:
        raise full

    (tmp_path / "checkpoints" / "last").mkdir(parents=True)
    thread = threading.Thread(target=write)

    def program() -> None:
        with cli_errors(Train, folder=tmp_path):
            thread.start()
            thread.join()
            raise full

    with pytest.raises(SystemExit) as ended:
        program()
    assert ended.value.code == 1
    go_on = f"to continue, run `python train.py resume={tmp_path}`"
    assert capsys.readouterr().err == f"error: there: no space left on device: {go_on}\n"
