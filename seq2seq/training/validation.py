"""Validation during training: loss, BLEU and chrF of the validation split, and attention of a few sentences."""

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
from seq2seq.runtime.errors import DivergenceError
from seq2seq.text.annotations import LoadedSplit
from seq2seq.text.units import segments
from seq2seq.training.average import WeightAverage

log = logging.getLogger(__name__)

SAMPLES = 4
"""The number of sentences whose translations and attention TensorBoard shows. They are the same at each validation."""


class Validator:
    """Scores a model on the validation split, and writes scores, translations and attention to TensorBoard."""

    def __init__(
        self,
        model: Model,
        references: References,
        split: LoadedSplit,
        translator: Callable[[], Translator],
        metrics: Metrics,
        metric: str,
        board: Board,
    ) -> None:
        """`references` are those of the split. `translator` makes a translator with the current weights of the model.

        `metric` ranks the validations.

        If all references are too short for BLEU, the loss replaces BLEU as the metric, with a warning.
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
        self.references = references
        by_length = sorted(range(len(split.pairs)), key=lambda i: (len(segments(split.pairs[i].source)), i))
        # Evenly spaced in the order of lengths, without the shortest and the longest sentences.
        count = min(SAMPLES, len(by_length))
        self.samples = [by_length[len(by_length) * (2 * i + 1) // (2 * count)] for i in range(count)]

    def __call__(self, step: int, device: torch.device, *, average: bool = False) -> dict[str, float]:
        """Scores: `loss` (nats per token), `perplexity`, `bleu`, `chrf`, `exact`, and `aer` if there are gold links.

        `average`: the model has the averaged weights, whose curves are `validation_average/...`, without pictures.

        Raises DivergenceError if the loss is NaN, since training cannot recover from that.
        """
        forced = self.references.read(self.model, device)
        if math.isnan(forced.likelihood.total):
            raise DivergenceError(
                f"step {step}: training diverged: the validation loss is NaN; lower training.learning_rate, set "
                "training.clip, or raise training.warmup"
            )
        hypotheses = translate(self.translator(), [pair.source for pair in self.split.pairs])
        return distributed.run_on_rank0_and_broadcast(lambda: self._score(step, forced, hypotheses, average))

    def with_average(
        self, step: int, device: torch.device, average: WeightAverage | None
    ) -> tuple[dict[str, float], dict[str, float]]:
        """The scores of the weights, and those of their average: empty without one, or where it is not better.

        Of equal values of the metric, the lower loss is better.
        """
        values = self(step, device)
        if average is None:
            return values, {}
        with average.in_model():
            averaged = self(step, device, average=True)
        sign = -1 if self.metric == "loss" else 1
        ranks = [(sign * scores[self.metric], -scores["loss"]) for scores in (averaged, values)]
        return values, averaged if ranks[0] > ranks[1] else {}

    def _score(
        self, step: int, forced: TeacherForcingResult, hypotheses: Hypotheses, average: bool
    ) -> dict[str, float]:
        pairs = self.split.pairs
        values = {
            "loss": forced.likelihood.loss,
            "perplexity": forced.likelihood.perplexity,
            **self.metrics.quick_scores(hypotheses.texts, [pair.target for pair in pairs]),
            **shares(outcomes(self.split, hypotheses.texts, forced, self.metrics)),
        }
        title = "validation_average" if average else "validation"
        self.board.scalars({f"{title}/{name}": value for name, value in values.items()}, step)
        if average:
            return values
        self.board.scalars({f"attention/{name}": value for name, value in forced.diagnostics.means().items()}, step)
        self.board.translations([Sample(*pairs[i], hypotheses.texts[i]) for i in self.samples], step)
        for number, i in enumerate(self.samples, start=1):
            if (translation := hypotheses.best[i]) is not None and translation.target_pieces:
                self.board.heatmap(f"attention/{number}", unit_attention(translation), step, title=translation.text)
        return values
