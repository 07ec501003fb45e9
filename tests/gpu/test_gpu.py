"""A GPU against the CPU: gradients, hypotheses, CUDA graphs, and the real programs. `scripts/gpu` runs it."""

import gc
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from seq2seq.attention.distributions import Hard, HardOptions
from seq2seq.attention.guide import Guide
from seq2seq.decoding.beam_search import beam_search
from seq2seq.decoding.penalties import Penalties
from seq2seq.decoding.search_model import for_search, next_token
from seq2seq.nn.model import Model
from seq2seq.runtime.device import choose_device, set_up_device
from seq2seq.runtime.errors import InputError
from seq2seq.text.batches import LENGTH_MULTIPLE
from seq2seq.text.epochs import Epochs
from seq2seq.text.tokenizer import BOS, EOS
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.objective import Objective, batch_loss
from seq2seq.training.optimizer import make_optimizer
from seq2seq.training.static_step import StaticBatch, StaticStep, collate_static, static_updates
from seq2seq.training.step import Update
from tests.support.programs import SIZES, TEXT, choices, command, start
from tests.support.static import linked_store, padded, store
from tests.support.tiny import EVERYWHERE, PLACES, RULES, ragged_batch, tiny_model

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

TRAIN = [*TEXT, "model=tiny", "training.batch.size=256", "training.warmup=10", "training.learning_rate=0.01"]
TRAIN += ["training.epochs=8", "training.validate_every=60", "training.log_every=20", "search=beam", "device=cuda"]


@pytest.fixture(scope="module", autouse=True)
def device() -> torch.device:
    set_up_device(1)
    return choose_device("cuda")


# --- one step ---------------------------------------------------------------------------------------------------------


def gradients(model: Model, ids: Tensor) -> list[Tensor]:
    """The loss of a padded batch and the gradient of each parameter, on the CPU."""
    loss = batch_loss(model.train(), StaticBatch.from_ids(ids), Objective(0.1)).smoothed
    parts = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
    return [loss.detach().cpu(), *(torch.zeros(()) if part is None else part.cpu() for part in parts)]


@pytest.mark.parametrize("where", sorted({place for place, _, _ in EVERYWHERE}))
def test_gradients_are_those_of_the_cpu(where: str, device: torch.device) -> None:
    """Of every score and distribution there; hard attention by the estimator that draws nothing."""
    wrong = []
    for place, rule, distribution in EVERYWHERE:
        if place != where:
            continue
        model = tiny_model(place, rule, distribution)
        for module in model.modules():
            if isinstance(module, Hard):
                module.options = HardOptions("straight_through", temperature=0.7, soft=0.0)
        ids = padded([3, 11, 7, 20]).ids
        on_cpu = gradients(model, ids)
        on_gpu = gradients(model.to(device), ids.to(device))
        errors = [float((a - b).norm() / (a.norm() + 1e-6)) for a, b in zip(on_cpu, on_gpu, strict=True)]
        if not all(error <= 1e-3 for error in errors):  # not a number is wrong, too
            wrong.append((rule, distribution, errors))
    assert not wrong


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("size", [1, 4])
def test_hypotheses_are_those_of_the_cpu(place: str, size: int, device: torch.device) -> None:
    wrong = []
    for rule in RULES:
        hypotheses = []
        for there in (torch.device("cpu"), device):
            model, batch = for_search(tiny_model(place, rule).to(there)), ragged_batch().to(there)
            with torch.inference_mode():
                memory, state = model.encode(batch.source, batch.source_mask)
                results = beam_search(
                    next_token(model),
                    torch.full((len(batch.source),), BOS, device=there),
                    state,
                    memory,
                    limits=[9] * len(batch.source),
                    end=EOS,
                    size=size,
                    penalties=Penalties(1.0),
                )
            hypotheses.append([best[0].tokens for best in results])
        if hypotheses[0] != hypotheses[1]:
            wrong.append(rule)
    assert not wrong


@pytest.mark.parametrize("distribution", ["softmax", "hard", "local_m", "local_p", "sparsemax", "entmax15"])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
def test_nothing_in_a_step_waits_for_the_device(place: str, distribution: str, device: torch.device) -> None:
    model = tiny_model(place, "general", distribution, dropout=0.3).to(device)
    step = StaticStep(model, optimizer(model), objective=Objective(0.1), clip=1.0, precision="auto", graphs=False)
    batch = padded([3, 11, 7, 20])
    host = batch._replace(ids=batch.ids.pin_memory())
    step.add_gradient(host, host.target_tokens)
    step.update(0.1)
    torch.cuda.synchronize()
    try:
        torch.cuda.set_sync_debug_mode("error")
        step.add_gradient(host, host.target_tokens)
        step.update(0.1)
    finally:
        torch.cuda.set_sync_debug_mode("default")


# --- CUDA graphs ------------------------------------------------------------------------------------------------------


def optimizer(model: Model) -> torch.optim.Optimizer:
    return make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.1)


def trained(
    place: str,
    distribution: str,
    *,
    graphs: bool,
    accumulate: int,
    device: torch.device,
    guide: Guide | None = None,
) -> tuple[Any, StaticStep]:
    """Losses and gradient norms of 16 updates with dropout, and what trained. Each bucket occurs four times or more."""
    model = tiny_model(place, "additive", distribution, dropout=0.3).to(device)
    torch.manual_seed(3)
    size, unit = 60, "tokens"
    text = store(90) if guide is None else linked_store(90)
    epochs = Epochs(text, size=size, unit=unit, accumulate=accumulate, seed=1, multiple=LENGTH_MULTIPLE)
    step = StaticStep(
        model, optimizer(model), objective=Objective(0.1, guide=guide), clip=0.5, precision="float32", graphs=graphs
    )
    groups = (
        [
            collate_static(epochs.store, indices, size=size, unit=unit, multiple=LENGTH_MULTIPLE, pin=True)
            for indices in group
        ]
        for group in epochs.indices(16)
    )
    schedule = Schedule(peak=0.01, warmup=5, total=16, decay="linear")
    done: list[Update] = list(static_updates(step, groups, schedule=schedule))
    return [(float(update.loss.smoothed), float(update.gradient_norm)) for update in done], step


@pytest.mark.parametrize("distribution", ["softmax", "hard", "local_m", "local_p", "sparsemax", "entmax15"])
@pytest.mark.parametrize("place", PLACES)
def test_graphs_train_as_single_operations_do(place: str, distribution: str, device: torch.device) -> None:
    """The same losses and weights, random numbers included: dropout, and the draws of hard attention."""
    (plain, eager), (recorded, step) = (
        trained(place, distribution, graphs=graphs, accumulate=2, device=device) for graphs in (False, True)
    )
    assert step.graphs.enabled, "a step could not be recorded"
    assert step.graphs._graphs
    assert not eager.graphs._graphs
    for one, other in zip(recorded, plain, strict=True):
        assert one == pytest.approx(other, rel=1e-3)
    assert recorded[-1][0] != recorded[0][0]


@pytest.mark.parametrize("loss", ["cross_entropy", "squared_error"])
def test_graphs_guide_the_attention_as_single_operations_do(loss: str, device: torch.device) -> None:
    """Also when guidance ends: a bucket then has another graph."""
    guide = Guide(loss, weight=1.0, last_step=8)
    (plain, _), (recorded, step) = (
        trained("luong", "softmax", graphs=graphs, accumulate=2, device=device, guide=guide) for graphs in (False, True)
    )
    assert step.graphs.enabled, "a step could not be recorded"
    assert {linked for _, linked in step.inputs} == {True, False}
    for one, other in zip(recorded, plain, strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def test_memory_that_does_not_suffice_is_told_and_survived(device: torch.device) -> None:
    model = tiny_model("luong", "general").to(device)
    step = StaticStep(model, optimizer(model), objective=Objective(0.1), clip=1.0, precision="float32", graphs=True)
    large, small = (
        collate_static(store(90), indices, size=size, unit="sentences", multiple=1, pin=True)
        for indices, size in ((torch.arange(90).numpy(), 400_000), (torch.arange(9).numpy(), 9))
    )
    torch.cuda.set_per_process_memory_fraction(0.02)
    schedule = Schedule(peak=0.01, warmup=0, total=9, decay="constant")
    try:
        with pytest.raises(InputError, match=r"step 1: no memory left for a batch of 400000 sentences"):
            list(static_updates(step, [[large]], schedule=schedule))
        gc.collect()  # the traceback may hold the tensors of the failed step
        torch.cuda.empty_cache()
        for update in static_updates(step, [[small]] * 5, schedule=schedule):
            assert update.finite
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


# --- the programs -----------------------------------------------------------------------------------------------------


def log_lines(run: Path) -> str:
    return (run / "train.log").read_text(encoding="utf-8")


DECODERS = choices("decoder")


def in_parallel(work: Iterable[Callable[[], Any]]) -> list[Any]:
    """The results of the calls. Most of the time of a program is its start, on the CPU."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda call: call(), work))


@pytest.fixture(scope="module")
def runs(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with the corpus and a run, of each decoder."""
    folders = {name: Path(shutil.copytree(corpus, tmp_path_factory.mktemp(name) / "text")) for name in DECODERS}
    in_parallel(
        partial(start, "train", *TRAIN, f"decoder={name}", "hydra.run.dir=run", folder=folder)
        for name, folder in folders.items()
    )
    return folders


@pytest.fixture(scope="module")
def used(runs: dict[str, Path]) -> dict[tuple[str, str], tuple[bytes, str]]:
    """The translations of the test split and its scores, by decoder and device."""

    def use(folder: Path, kind: str) -> tuple[bytes, str]:
        options = ("checkpoint=run/checkpoints/best", f"device={kind}")
        translations = start("translate", *options, folder=folder, given=(folder / "test.de").read_bytes()).stdout
        start("evaluate", *options, f"output={kind}", folder=folder)
        return translations, (folder / kind / "evaluation.json").read_text(encoding="utf-8")

    keys = [(name, kind) for name in DECODERS for kind in ("cpu", "cuda")] + [("luong", "auto")]
    return dict(zip(keys, in_parallel(partial(use, runs[name], kind) for name, kind in keys), strict=True))


@pytest.mark.parametrize("decoder", DECODERS)
def test_train_learns_and_scores_the_test_split(runs: dict[str, Path], decoder: str) -> None:
    run = runs[decoder] / "run"
    losses = [float(loss) for loss in re.findall(r"step .* loss ([0-9.]+)", log_lines(run))]
    assert losses[-1] < losses[0] - 1
    assert "on cuda" in log_lines(run)
    assert "without CUDA graphs" not in log_lines(run)
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    assert results["test"]["bleu"] > 5


@pytest.mark.parametrize(("decoder", "kind"), [*((name, "cuda") for name in DECODERS), ("luong", "auto")])
def test_programs_translate_and_score_as_on_the_cpu(
    used: dict[tuple[str, str], tuple[bytes, str]], decoder: str, kind: str
) -> None:
    (lines, scores), (expected_lines, expected_scores) = used[decoder, kind], used[decoder, "cpu"]
    numbers = [[float(number) for number in re.findall(r"-?\d+\.\d+", part)] for part in (scores, expected_scores)]
    assert numbers[0] == pytest.approx(numbers[1], rel=0.02, abs=0.5)
    pairs = list(zip(lines.splitlines(), expected_lines.splitlines(), strict=True))
    assert len(pairs) == SIZES["test"]
    assert sum(one == other for one, other in pairs) >= 0.9 * len(pairs)


def weights(run: Path) -> bytes:
    return (run / "checkpoints" / "last" / "weights.safetensors").read_bytes()


def test_a_run_that_was_killed_goes_on_to_the_bit(corpus: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "text"))
    options = [*TRAIN, "device.deterministic=true", "training.save_every=20", "model.dropout=0.3"]
    one, other = (
        subprocess.Popen(command("train", *options, f"hydra.run.dir={name}"), cwd=folder, stderr=subprocess.DEVNULL)
        for name in ("whole", "killed")
    )
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline and not (
        (folder / "killed" / "train.log").exists() and "step 60" in log_lines(folder / "killed")
    ):
        time.sleep(0.02)
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert not (folder / "killed" / "results.json").exists(), "the run was over before it was killed"
    assert one.wait() == 0
    start("train", "resume=killed", folder=folder)
    assert weights(folder / "killed") == weights(folder / "whole")


def test_a_run_that_was_started_on_a_cpu_goes_on(corpus: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "text"))
    options = [*TRAIN, "device=cpu", "training.decay=constant", "training.epochs=2"]
    start("train", *options, "hydra.run.dir=run", folder=folder)
    start("train", "resume=run", "device=cuda", "training.epochs=4", folder=folder)
    losses = [float(loss) for loss in re.findall(r"step .* loss ([0-9.]+)", log_lines(folder / "run"))]
    assert losses[-1] < losses[0] - 1
    assert "trained on a CPU so far and on a GPU from here on" in log_lines(folder / "run")


def test_compare_and_benchmark_run(corpus: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "text"))
    compared = ["attention=dot,general", *TRAIN, "training.steps=20", "jobs=2", "output=both"]
    measured = ["--quick", "--device", "cuda", "--only", "rates,training,decoding"]
    _, benchmark = in_parallel(
        [
            partial(start, "scripts/compare", *compared, folder=folder),
            partial(start, "scripts/benchmark", *measured, folder=folder),
        ]
    )
    assert b"Decoding" in benchmark.stdout
