"""What is measured while training: loss, BLEU and chrF of the validation split, and pictures of a few sentences."""

import math
from collections.abc import Callable

import torch

from seq2seq import distributed
from seq2seq.errors import InputError
from seq2seq.evaluation import Hypotheses, outcomes, quick_scores, shares, translate
from seq2seq.forcing import Reading, References
from seq2seq.nn.model import Model
from seq2seq.text.alignment import merge, words
from seq2seq.text.gold import Held
from seq2seq.text.tokenizer import Tokenizers
from seq2seq.translation import Translation, Translator
from seq2seq.watch.plots import Attention
from seq2seq.watch.tensorboard import Board, Sample

SHOWN = 4
"""Sentences whose translations and attention are shown, the same ones at every validation."""


class Validator:
    """Scores a model on the validation split and shows in TensorBoard what it does."""

    def __init__(
        self, model: Model, tokenizers: Tokenizers, split: Held, translator: Callable[[], Translator], board: Board
    ) -> None:
        """`translator` makes one of the model as it has become."""
        self.model, self.split, self.translator, self.board = model, split, translator, board
        self.references = References(split.pairs, tokenizers, longest=translator().longest)
        by_length = sorted(range(len(split.pairs)), key=lambda i: (len(split.pairs[i].source.split()), i))
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
        return distributed.once(lambda: self._score(step, reading, hypotheses))

    def _score(self, step: int, reading: Reading, hypotheses: Hypotheses) -> dict[str, float]:
        pairs = self.split.pairs
        values = {
            "loss": reading.likelihood.loss,
            "perplexity": reading.likelihood.perplexity,
            **quick_scores(hypotheses.texts, [pair.target for pair in pairs]),
            **shares(outcomes(self.split, hypotheses.texts, reading)),
        }
        self.board.scalars({f"validation/{name}": value for name, value in values.items()}, step)
        self.board.scalars({f"attention/{name}": value for name, value in reading.diagnostics.means().items()}, step)
        self.board.translations([Sample(*pairs[i], hypotheses.texts[i]) for i in self.shown], step)
        for number, i in enumerate(self.shown, start=1):
            if (translation := hypotheses.best[i]) is not None and translation.target_pieces:
                self.board.heatmap(f"attention/{number}", word_attention(translation), step, title=translation.text)
        return values


def word_attention(translation: Translation) -> Attention:
    """A translation's attention between words, EOS left out on both sides."""
    source, target = words(translation.source_pieces), words(translation.target_pieces)
    weights = merge(translation.weights, source, target)
    return Attention([word.text for word in source], [word.text for word in target], weights)
