"""Threads share a translator, and their settings stay their own."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch

import seq2seq
from seq2seq.nn.model import Model
from seq2seq.runtime.precision import set_precision

pytestmark = pytest.mark.usefixtures("unchecked")

TEXTS = ["Der Junge schlief.", "Die Frau kauft dem Kind einen Apfel.", "Warum hat der Lehrer nicht geschlafen?", ""]


def numbers(translation: seq2seq.Translation) -> tuple[object, ...]:
    return translation.text, round(translation.log_probability, 3), translation._repr_html_(), translation.alignment


def run_in_threads(work: Callable[[int], list[tuple[object, ...]]], threads: int) -> list[list[tuple[object, ...]]]:
    """The result of each thread; all begin at the same time."""
    barrier = threading.Barrier(threads)

    def start(number: int) -> list[tuple[object, ...]]:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(start, range(threads)))


@pytest.mark.slow
def test_eight_threads_use_one_translator(translator: seq2seq.Translator) -> None:
    def work(number: int) -> list[tuple[object, ...]]:
        results = []
        for i in range(len(TEXTS)):
            text = TEXTS[(number + i) % len(TEXTS)]
            one = translator.translate(text, beam_size=1 + number % 3)
            scored = translator.attend(text, "The boy sees a girl.")
            assert one.figure().axes
            tree = translator.search_tree(text, beam_size=1 + number % 3, prefix=["▁The"][: i % 2])
            results += [numbers(one), numbers(scored), (round(sum(one.token_log_probabilities), 3),)]
            results += [
                numbers(tree.translation),
                (len(tree.nodes), one.candidates(1)[:1] and one.candidates(1)[0][0][0]),
            ]
        return results

    assert run_in_threads(work, 8) == [work(number) for number in range(8)]


def test_threads_use_two_translators(translator: seq2seq.Translator, checkpoint: Path) -> None:
    translators = [translator, seq2seq.load(checkpoint, device="cpu")]

    def work(number: int) -> list[tuple[object, ...]]:
        return [numbers(one) for one in translators[number % 2].translate(TEXTS * 3, beam_size=2)]

    first, *others = run_in_threads(work, 4)
    assert others == [first] * 3


@pytest.mark.parametrize("flushed", [False, True])
def test_a_thread_keeps_its_treatment_of_denormal_numbers(translator: seq2seq.Translator, flushed: bool) -> None:
    tiny = torch.full((2,), 1e-30)
    torch.set_flush_denormal(flushed)
    stream = translator.translate(iter(TEXTS))
    next(stream)
    assert bool((tiny * 1e-10).any()) is not flushed
    translator.attend(TEXTS[0], "The boy.")
    assert bool((tiny * 1e-10).any()) is not flushed


@pytest.mark.usefixtures("kept_precision")
def test_no_product_is_rounded_and_the_callers_precision_is_kept(
    translator: seq2seq.Translator, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[str] = []
    encode = Model.encode

    def watched(model: Model, *arguments: Any) -> Any:
        found.append(torch.backends.cuda.matmul.fp32_precision)
        return encode(model, *arguments)

    monkeypatch.setattr(Model, "encode", watched)
    set_precision("tf32")
    one = translator.translate(TEXTS[0])
    calls: list[Callable[[], object]] = [
        lambda: next(translator.translate(iter(TEXTS[:1]))),
        lambda: one.token_log_probabilities,
        lambda: one.candidates(1),
        lambda: translator.search_tree(TEXTS[0]),
        lambda: translator.attend(TEXTS[0], "The boy."),
    ]
    for call in calls:
        found.clear()
        call()
        assert set(found) == {"ieee"}
        assert torch.backends.cuda.matmul.fp32_precision == "tf32"
