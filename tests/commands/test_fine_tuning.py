"""`init=CHECKPOINT`: a run starts from a checkpoint's weights and tokenizers, and is whole by itself afterwards."""

import hashlib
import json
import shutil
import sys
from pathlib import Path

import pytest
import torch
from hydra import compose, initialize_config_dir

import seq2seq
from seq2seq import checkpoint
from seq2seq.checkpoint import Checkpoint
from seq2seq.commands.compare import plan
from seq2seq.commands.compare_request import parse_request
from seq2seq.commands.fine_tuning import load_run
from seq2seq.runtime.errors import InputError
from tests.support.programs import CONFIGS
from tests.support.warm import Warm

pytestmark = pytest.mark.usefixtures("unchecked")

CHINESE = [
    ("狗", "dog"),
    ("狗 喝水", "the dog drinks"),
    ("猫", "cat"),
    ("猫看狗", "the cat sees the dog"),
    ("水", "water"),
]
DATA = ["dataset=files", "dataset.train=new", "dataset.validation=new-dev", "dataset.test=null", "dataset.cache=cache"]
DATA += ["dataset.source=zh", "dataset.target=en", "device=cpu", "device.threads=1", "search=greedy"]
DATA += ["training.batch.size=64", "training.validate_every=5", "training.decay=constant", "training.log_every=5"]
BEST = "source/checkpoints/best"


def write_chinese(folder: Path) -> None:
    """A corpus with lines of one word, and one line of many words."""
    pairs = [*CHINESE * 8, ("狗 " * 30, "dog " * 30)]
    for name, lines in (("new", pairs), ("new-dev", CHINESE)):
        for language, side in (("zh", 0), ("en", 1)):
            text = "".join(pair[side].strip() + "\n" for pair in lines)
            (folder / f"{name}.{language}").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def folder(sweep: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained run, `source`, and another corpus."""
    folder = tmp_path_factory.mktemp("fine-tuning")
    shutil.copytree(sweep / "runs" / "general", folder / "source", symlinks=False)
    write_chinese(folder)
    return folder


def same_weights(one: Checkpoint, other: Checkpoint) -> bool:
    assert one.weights.keys() == other.weights.keys()
    return all(torch.equal(one.weights[name], other.weights[name]) for name in one.weights)


def test_a_run_starts_from_a_checkpoint_and_needs_it_no_longer(warm: Warm, folder: Path, tmp_path: Path) -> None:
    start = [*DATA, f"init={BEST}", "model.dropout=0.1"]
    log = warm("train", *start, "training.steps=15", "hydra.run.dir=whole", folder=folder, status=0).printed.decode()
    assert f"starts from {BEST}, step " in log
    assert "warning: the checkpoint was trained with dataset.source=de, and this run has zh" in log
    assert "decoder.place" not in log  # it is the default
    assert "taken from it, in place of the defaults: attention.score=general, model.embedding=32," in log
    assert "dataset.vocabulary=330" in log
    assert "of the source subwords are bytes" in log

    source, best = (checkpoint.load(folder / path) for path in (BEST, "whole/checkpoints/best"))
    assert best.tokenizers.source.model == source.tokenizers.source.model
    assert best.tokenizers.joint
    assert best.positions == source.positions
    for section in ("attention", "decoder", "encoder"):
        assert best.configuration[section] == source.configuration[section]
    assert best.configuration["model"] == {**source.configuration["model"], "dropout": 0.1}
    assert best.configuration["init"] == BEST
    results = json.loads((folder / "whole" / "results.json").read_text())
    weights = hashlib.sha256((folder / BEST / "weights.safetensors").read_bytes()).hexdigest()
    assert results["init"] == {"checkpoint": BEST, "step": source.step, "weights": weights}
    assert "embedding: 32" in (folder / "whole" / ".hydra" / "config.yaml").read_text()

    # A run that was started in the same way goes on in a folder without the first run, and without its cache.
    warm("train", *start, "training.steps=10", "hydra.run.dir=stopped", folder=folder, status=0)
    for path in ("stopped", "whole"):
        shutil.copytree(folder / path, tmp_path / path)
    write_chinese(tmp_path)
    warm("train", "resume=stopped", "training.steps=15", folder=tmp_path, status=0)
    resumed, whole = (checkpoint.load(tmp_path / run / "checkpoints" / "last") for run in ("stopped", "whole"))
    assert same_weights(resumed, whole)
    assert not same_weights(resumed, source)
    assert json.loads((tmp_path / "stopped" / "results.json").read_text())["init"] == results["init"]
    scores = warm("evaluate", "checkpoint=stopped/checkpoints/best", "split=validation", folder=tmp_path, status=0)
    assert b"BLEU" in scores.printed
    text = "狗\n猫看狗\n".encode()
    translated = warm("translate", "checkpoint=stopped/checkpoints/best", folder=tmp_path, given=text, status=0)
    assert translated.printed.count(b"\n") == 2


@pytest.mark.parametrize("typed", ["source", BEST])
def test_it_starts_from_the_weights_themselves(folder: Path, monkeypatch: pytest.MonkeyPatch, typed: str) -> None:
    """With steps too small to change a number of 32 bits; a run folder stands for its best checkpoint."""
    monkeypatch.chdir(folder)
    options = [*DATA, f"init={typed}", "training.steps=1", "training.learning_rate=1e-30", "attention=general"]
    results = seq2seq.train(*options, folder=f"still-{len(typed)}", progress=False)
    assert same_weights(checkpoint.load(results.folder / "checkpoints" / "last"), checkpoint.load(folder / BEST))
    assert results.scores["init"]["checkpoint"] == typed


def test_a_source_that_the_model_cannot_read_is_left_out(warm: Warm, sweep: Path, tmp_path: Path) -> None:
    """`concat` has weights for each position of the source, as many as its first text needed."""
    write_chinese(tmp_path)
    start = [*DATA, f"init={sweep / 'runs' / 'concat'}", "training.steps=1", "hydra.run.dir=run"]
    printed = warm("train", *start, folder=tmp_path, status=0).printed.decode()
    assert "40 training pairs; left out: 0 empty, 1 too long" in printed
    positions = checkpoint.load(sweep / "runs" / "concat" / "checkpoints" / "best").positions
    assert checkpoint.load(tmp_path / "run" / "checkpoints" / "best").positions == positions


FREEZE = "training.freeze=[encoder,embeddings]"


def check_frozen(run: Path, source: Checkpoint) -> None:
    """Encoder and embeddings are those of the source, to the bit, and every other matrix has moved."""
    last = checkpoint.load(run / "checkpoints" / "last", training=True)
    assert last.training is not None
    for name, weight in last.weights.items():
        frozen = name.startswith(("encoder.", "source_embedding.", "target_embedding."))
        assert torch.equal(weight, source.weights[name]) == frozen or weight.dim() < 2, name
        assert (f"optimizer.exp_avg.{name}" in last.training.tensors) == (not frozen)


def test_frozen_parts_keep_their_weights_over_resume(warm: Warm, folder: Path) -> None:
    start = [*DATA, f"init={BEST}", FREEZE, "training.accumulate=2", "model.dropout=0.1"]
    log = warm("train", *start, "training.steps=8", "hydra.run.dir=frozen", folder=folder, status=0).printed.decode()
    assert "frozen: encoder, embeddings; " in log
    assert "frozen with them: the matrix that the embeddings and the output layer share (model.tie)" in log
    warm("train", *start, "training.steps=5", "hydra.run.dir=frozen-5", folder=folder, status=0)
    warm("train", "resume=frozen-5", "training.steps=8", folder=folder, status=0)
    check_frozen(folder / "frozen", checkpoint.load(folder / BEST))
    one, other = (checkpoint.load(folder / run / "checkpoints" / "last") for run in ("frozen", "frozen-5"))
    assert same_weights(one, other)
    refused = warm.refused("train", "resume=frozen", "training.freeze=[]", folder=folder)
    assert "training.freeze: cannot change when a run is resumed" in refused


@pytest.mark.skipif(sys.platform != "linux", reason="starts several processes")
def test_two_processes_start_from_a_checkpoint_with_frozen_parts_and_an_average(warm: Warm, folder: Path) -> None:
    words = [*DATA, f"init={BEST}", FREEZE, "training.average=0.9", "training.steps=4", "hydra.run.dir=two"]
    warm("train", *words, folder=folder, status=0, processes=2)
    check_frozen(folder / "two", checkpoint.load(folder / BEST))
    last = checkpoint.load(folder / "two" / "checkpoints" / "last", training=True)
    assert last.training is not None
    averaged = {name.removeprefix("average.") for name in last.training.tensors if name.startswith("average.")}
    assert averaged
    assert not any(name.startswith(("encoder.", "source_embedding.", "target_embedding.")) for name in averaged)


KEEP = "and a run that starts from it keeps its"
REFUSED = {
    "model=base": f"model=base: the checkpoint of init={BEST} has model.embedding=32 and not 256, ",
    "model.encoder_hidden=33": f"model.encoder_hidden=32 and not 33, {KEEP} model: leave model.encoder_hidden=33 out",
    "attention=dot": f"attention=dot: the checkpoint of init={BEST} has attention.score=general and not dot, {KEEP}",
    "attention.distribution=sparsemax": "has attention.distribution=softmax and not sparsemax",
    "encoder=self_attention": "encoder=self_attention: the checkpoint",
    "decoder=luong": "has decoder.place=bahdanau and not luong",
    "experiment=multi30k_de_en": "experiment=multi30k_de_en: the checkpoint",
    "experiment=multi30k_de_en_best": "experiment=multi30k_de_en_best: the checkpoint",  # extends the one above
    "dataset.vocabulary=500": f"has dataset.vocabulary=330 and not 500, {KEEP} tokenizers: leave dataset.vocabulary",
    "dataset.joint=false": "has dataset.joint=true and not false",
    "dataset.normalization=nfc": "has dataset.normalization=none and not nfc",
    "dataset.symbols=[a]": 'has dataset.symbols=[] and not ["a"]',
    "init=nothing": "init=nothing: no checkpoint at nothing: give a folder such as runs/NAME/checkpoints/best",
    "init=": "init: empty; give a path",
    "init=new.zh": "init=new.zh: no checkpoint at new.zh",
    "training.freeze=[encodr]": "training.freeze: no such choice 'encodr', did you mean encoder or decoder?",
    "training.freeze=encoder": "training.freeze: expected a list, training.freeze=[encoder]",
    "training.freeze=[encoder,decoder,output,embeddings]": "freezes the whole model, so nothing would train",
    "training.epoch=3": "training.epoch: no such option, did you mean training.epochs?",
}


@pytest.mark.parametrize("option", REFUSED)
def test_what_contradicts_the_checkpoint_is_refused(warm: Warm, folder: Path, option: str) -> None:
    start = [f"init={BEST}"] * (not option.startswith("init="))
    assert REFUSED[option] in warm.refused("train", *DATA, *start, option, folder=folder)


def test_another_language_must_be_meant(warm: Warm, folder: Path, tmp_path: Path) -> None:
    """The language that a dataset has by default may not differ; a dataset of files always names its languages."""
    shutil.copytree(folder / "whole", tmp_path / "chinese")
    sentence = warm.refused("train", "init=chinese", "dataset=multi30k", folder=tmp_path)
    assert "dataset.source: the checkpoint of init=chinese has dataset.source=zh, and this dataset has de" in sentence
    assert "give dataset.source=zh, or dataset.source=de if another language is meant" in sentence


def test_a_comparison_may_start_from_a_checkpoint(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        request = parse_request([*DATA, f"init={BEST}", "training.learning_rate=1e-3,1e-4"])
        runs = [run for run, _ in plan(request)]
        assert [run.configuration.model.embedding for run in runs] == [32, 32]
        with pytest.raises(InputError, match="attention=dot: the checkpoint of init="):
            list(plan(parse_request([*DATA, f"init={BEST}", "attention=general,dot"])))


def test_mistakes_of_the_source_are_told(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = checkpoint.load(folder / BEST)
    source.configuration["mistake"] = ["loss_counts_padding"]
    checkpoint.write(source, tmp_path / "mistaken")
    monkeypatch.chdir(folder)

    def remarks(*overrides: str) -> str:
        words = [*DATA, f"init={tmp_path / 'mistaken'}", *overrides]
        with initialize_config_dir(str(CONFIGS), version_base="1.3"):
            return "\n".join(load_run(compose("train", words), words)[1].remarks)

    assert "it was trained with mistake=[loss_counts_padding], which this run does not make" in remarks()
    assert "mistake=" not in remarks("mistake=loss_counts_padding")


def test_without_init_nothing_is_recorded(sweep: Path) -> None:
    assert "init" not in json.loads((sweep / "runs" / "general" / "results.json").read_text())
