"""What is measured while training: loss, BLEU and chrF of the validation split, and pictures of a few sentences."""

import logging
import math
from collections.abc import Callable

import torch

from seq2seq.decoding.translator import Translator
from seq2seq.evaluation.evaluator import Hypotheses, outcomes, shares, translate
from seq2seq.evaluation.metrics import Metrics
from seq2seq.evaluation.teacher_forcing import References, TeacherForcingResult
from seq2seq.nn.model import Model
from seq2seq.reporting.tensorboard import Board, Sample
from seq2seq.reporting.unit_attention import unit_attention
from seq2seq.runtime import distributed
from seq2seq.runtime.errors import InputError
from seq2seq.text.annotations import LoadedSplit
from seq2seq.text.tokenizer import Tokenizers
from seq2seq.text.units import segments

log = logging.getLogger(__name__)

SHOWN = 4
"""Sentences whose translations and attention are shown, the same ones at every validation."""


class Validator:
    """Scores a model on the validation split and shows in TensorBoard what it does."""

    def __init__(
        self,
        model: Model,
        tokenizers: Tokenizers,
        split: LoadedSplit,
        translator: Callable[[], Translator],
        metrics: Metrics,
        metric: str,
        board: Board,
    ) -> None:
        """`translator` makes one of the model as it has become; `metric` is to rank the validations.

        Where the references are too short for BLEU, the loss ranks them in its place, with a warning.
        """
        self.model, self.split, self.translator, self.metrics, self.board = model, split, translator, metrics, board
        self.metric = metric
        if metric == "bleu" and not metrics.can_measure([pair.target for pair in split.pairs]):
            self.metric = "loss"
            log.warning(
                "no reference of %s has the four tokens (%s) that BLEU needs, so the loss decides which checkpoint is "
                "best; training.metric=exact or chrf suits short text",
                split.name,
                metrics.tokenizer,
            )
        self.references = References(split, tokenizers, longest=translator().longest)
        by_length = sorted(range(len(split.pairs)), key=lambda i: (len(segments(split.pairs[i].source)), i))
        # Sentences of ordinary length, spread from the shorter half of the split to its longer one.
        count = min(SHOWN, len(by_length))
        self.shown = [by_length[len(by_length) * (2 * i + 1) // (2 * count)] for i in range(count)]

    def __call__(self, step: int, device: torch.device) -> dict[str, float]:
        """`loss` (nats a token), `perplexity`, `bleu`, `chrf`, `exact` and, where there is gold, `aer` at this step.

        Raises InputError where the loss is NaN: nothing that comes after could mend it.
        """
        reading = self.references.read(self.model, device)
        if math.isnan(reading.likelihood.total):
            raise InputError(
                f"step {step}: training went astray, the loss is no longer a number; lower training.learning_rate, "
                "set training.clip, or take more steps of training.warmup"
            )
        hypotheses = translate(self.translator(), [pair.source for pair in self.split.pairs])
        return distributed.run_on_rank0_and_broadcast(lambda: self._score(step, reading, hypotheses))

    def _score(self, step: int, reading: TeacherForcingResult, hypotheses: Hypotheses) -> dict[str, float]:
        pairs = self.split.pairs
        values = {
            "loss": reading.likelihood.loss,
            "perplexity": reading.likelihood.perplexity,
            **self.metrics.quick_scores(hypotheses.texts, [pair.target for pair in pairs]),
            **shares(outcomes(self.split, hypotheses.texts, reading, self.metrics)),
        }
        self.board.scalars({f"validation/{name}": value for name, value in values.items()}, step)
        self.board.scalars({f"attention/{name}": value for name, value in reading.diagnostics.means().items()}, step)
        self.board.translations([Sample(*pairs[i], hypotheses.texts[i]) for i in self.shown], step)
        for number, i in enumerate(self.shown, start=1):
            if (translation := hypotheses.best[i]) is not None and translation.target_pieces:
                self.board.heatmap(f"attention/{number}", unit_attention(translation), step, title=translation.text)
        return values
