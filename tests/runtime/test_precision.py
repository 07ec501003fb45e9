"""Rounded matrix products: only in training, to TF32 on a GPU and to bfloat16 on a CPU."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from seq2seq import checkpoint
from seq2seq.commands import train_and_score as run
from seq2seq.config import Train, load
from seq2seq.nn.model import Model
from seq2seq.runtime.device import restored_settings
from seq2seq.runtime.precision import (
    exact_products,
    products,
    rounds_factors,
    set_precision,
)
from seq2seq.training import step
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.objective import Objective
from seq2seq.training.optimizer import make_optimizer
from seq2seq.training.step import updates
from tests.support.programs import ROOT, SMALL, TEXT, write_corpus
from tests.support.tiny import ragged_batch, tiny_model


@pytest.fixture
def pretended_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU trains with the precision that a GPU has."""
    monkeypatch.setattr(step, "products", lambda precision, _: products(precision, torch.device("cuda")))


def now() -> tuple[bool, bool]:
    """Whether matrix products are rounded, and those of GRUs on a GPU."""
    return torch.backends.cuda.matmul.fp32_precision == "tf32", torch.backends.cudnn.rnn.fp32_precision == "tf32"


@pytest.mark.parametrize("setting", ["auto", "float32"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_products_are_rounded_on_a_gpu_and_as_before_afterwards(device: str, setting: str) -> None:
    rounded = setting == "auto" and device == "cuda"
    before = now()
    with suppress(KeyboardInterrupt), products(setting, torch.device(device)):
        assert now() == (rounded, rounded)
        raise KeyboardInterrupt
    assert now() == before


SETTINGS = {
    "none": "",
    "newer, of products": "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
    "newer, of GRUs": "torch.backends.cudnn.rnn.fp32_precision = 'ieee'",
    "newer, of all": "torch.backends.fp32_precision = 'tf32'",
    "older, of products": "torch.set_float32_matmul_precision('medium')",
    "older, of GRUs": "torch.backends.cudnn.allow_tf32 = False",
}


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)
def test_settings_of_the_caller_are_read_and_restored(setting: str) -> None:
    """In a process of its own: what an older setting was cannot be read once a newer one was set."""
    program = f"""
import torch
from seq2seq.runtime.device import arithmetic_of_programs, restored_settings, set_up_device
from seq2seq.runtime.precision import products

def settings():
    readable = []
    for older in (torch.get_float32_matmul_precision, lambda: torch.backends.cudnn.allow_tf32):
        try:
            readable.append(older())
        except RuntimeError:
            readable.append("not readable")
    kinds = torch.backends.mkldnn.matmul, torch.backends.cuda.matmul, torch.backends.cudnn.rnn
    return [kind.fp32_precision for kind in kinds], readable

{setting}
before = settings()
with restored_settings():
    set_up_device(1)
    assert settings()[0] == ["ieee"] * 3
    with products("auto", torch.device("cuda")):
        assert settings()[0] == ["ieee", "tf32", "tf32"]
    assert settings()[0] == ["ieee"] * 3
assert settings() == before
with arithmetic_of_programs():
    assert settings()[0] == ["ieee"] * 3
assert settings() == before
"""
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.usefixtures("kept_precision")
@pytest.mark.parametrize("first", [exact_products, restored_settings])
@pytest.mark.parametrize("second", [exact_products, restored_settings])
@pytest.mark.parametrize("nested", [True, False])
def test_the_block_that_ends_last_restores_the_precision(first: Any, second: Any, nested: bool) -> None:
    """Blocks of two threads, of which either one may end first."""
    set_precision("tf32")
    outer, inner = first(), second()
    outer.__enter__()
    inner.__enter__()
    set_precision("ieee")  # as `set_up_device` does
    with products("auto", torch.device("cuda")):
        assert now() == (True, True)
    for block in (inner, outer) if nested else (outer, inner):
        assert now() == (False, False)
        block.__exit__(None, None, None)
    assert now() == (True, True)


@pytest.mark.usefixtures("pretended_gpu")
@pytest.mark.parametrize("setting", ["auto", "float32"])
def test_training_rounds_and_what_comes_between_steps_does_not(setting: str) -> None:
    model = tiny_model()
    calls: list[tuple[str, bool]] = []
    model.encoder.register_forward_pre_hook(lambda *_: calls.append(("forward", now()[0])))
    next(model.encoder.parameters()).register_hook(lambda _: calls.append(("backward", now()[0])))
    optimizer = make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = Schedule(peak=0.01, warmup=0, total=2, decay="constant")
    groups = [[ragged_batch()], [ragged_batch()]]
    for _ in updates(
        model, optimizer, groups, schedule=schedule, objective=Objective(0.1), clip=1.0, precision=setting
    ):
        assert not now()[0]
    assert calls == [("forward", setting == "auto"), ("backward", setting == "auto")] * 2


@pytest.mark.slow
@pytest.mark.usefixtures("pretended_gpu")
@pytest.mark.parametrize("setting", ["auto", "float32"])
def test_a_run_rounds_in_training_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    calls = set()
    encode = Model.encode

    def watched(model: Model, *arguments: Any) -> Any:
        calls.add((model.training, now()[0]))
        return encode(model, *arguments)

    monkeypatch.setattr(Model, "encode", watched)
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path)
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        values = compose("train", [*TEXT, *SMALL, "training.steps=2", f"device.precision={setting}"])
    run.train(load(Train, OmegaConf.to_container(values, resolve=True, throw_on_missing=True)), tmp_path / "run")
    assert calls == {(True, setting == "auto"), (False, False)}


@pytest.mark.slow
def test_a_run_with_bfloat16_factors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training rounds, and validation and search do not."""
    calls = set()
    encode = Model.encode

    def watched(model: Model, *arguments: Any) -> Any:
        calls.add((model.training, rounds_factors()))
        return encode(model, *arguments)

    monkeypatch.setattr(Model, "encode", watched)
    monkeypatch.setattr("seq2seq.runtime.products.bfloat16_is_fast", lambda: True)
    monkeypatch.chdir(tmp_path)
    write_corpus(tmp_path)
    options = [*TEXT, *SMALL, "training.steps=4", "training.validate_every=2", "device.precision=bfloat16"]
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        values = compose("train", options)
    configuration = load(Train, OmegaConf.to_container(values, resolve=True, throw_on_missing=True))
    run.train(configuration, tmp_path / "run")
    assert calls == {(True, True), (False, False)}
    assert checkpoint.load(tmp_path / "run/checkpoints/last").configuration["device"]["precision"] == "bfloat16"
