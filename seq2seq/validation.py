"""What is measured while training: loss, BLEU and chrF of the validation split, and pictures of a few sentences."""

from collections.abc import Sequence

import torch

from seq2seq.evaluation import encode, likelihood, quick_scores, translate
from seq2seq.nn.model import Model
from seq2seq.text.alignment import merge, words
from seq2seq.text.corpus import Pair
from seq2seq.text.tokenizer import Tokenizers
from seq2seq.translation import Translation, Translator
from seq2seq.watch.plots import Attention
from seq2seq.watch.tensorboard import Board, Sample

SHOWN = 4
"""Sentences whose translations and attention are shown, the same ones at every validation."""


class Validator:
    """Scores a model on the validation split and shows in TensorBoard what it does."""

    def __init__(
        self, model: Model, tokenizers: Tokenizers, pairs: Sequence[Pair], translator: Translator, board: Board
    ) -> None:
        self.model, self.pairs, self.translator, self.board = model, pairs, translator, board
        self.batches = encode(pairs, tokenizers, longest=translator.longest)
        by_length = sorted(range(len(pairs)), key=lambda i: (len(pairs[i].source.split()), i))
        # Sentences of ordinary length, spread from the shorter half of the split to its longer one.
        self.shown = [by_length[len(pairs) * (2 * i + 1) // (2 * SHOWN)] for i in range(min(SHOWN, len(pairs)))]

    def __call__(self, step: int, place: torch.device) -> dict[str, float]:
        """`loss` (nats a token), `perplexity`, `bleu` and `chrf` at this step."""
        found = likelihood(self.model, self.batches, place)
        hypotheses = translate(self.translator, [pair.source for pair in self.pairs])
        values = {
            "loss": found.loss,
            "perplexity": found.perplexity,
            **quick_scores(hypotheses.texts, [pair.target for pair in self.pairs]),
        }
        self.board.scalars({f"validation/{name}": value for name, value in values.items()}, step)
        self.board.translations([Sample(*self.pairs[i], hypotheses.texts[i]) for i in self.shown], step)
        for number, i in enumerate(self.shown, start=1):
            if (translation := hypotheses.best[i]) is not None and translation.target_pieces:
                self.board.heatmap(f"attention/{number}", word_attention(translation), step, title=translation.text)
        return values


def word_attention(translation: Translation) -> Attention:
    """A translation's attention between words, EOS left out on both sides."""
    source, target = words(translation.source_pieces), words(translation.target_pieces)
    weights = merge(translation.weights, source, target)
    return Attention([word.text for word in source], [word.text for word in target], weights)
