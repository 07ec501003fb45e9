"""A model small enough to test, all of whose sizes differ, and ragged batches for it."""

import itertools
import random
from collections.abc import Sequence
from typing import Any

import torch

from seq2seq.attention.distributions import DISTRIBUTIONS, HardOptions
from seq2seq.attention.interventions import INTERVENTIONS
from seq2seq.attention.layer import Rule
from seq2seq.attention.scores import SCORES
from seq2seq.nn.decoder import DECODERS
from seq2seq.nn.decoder_base import Decoder, DecoderSizes
from seq2seq.nn.encoder import Encoder, RecurrentEncoder, SelfAttentionEncoder
from seq2seq.nn.model import Model
from seq2seq.text.batches import Batch, batch_pairs

LSTM = "_lstm"
"""The end of the name of a place in a model of LSTMs."""
DEEP = "_deep"
"""The end of the name of a place with two layers, before that of LSTMs."""
PLACES = sorted(DECODERS)
LSTM_PLACES = [place + LSTM for place in PLACES]
DEEP_PLACES = ["luong" + DEEP, "luong" + DEEP + LSTM]
RULES = sorted(SCORES)
EVERY = [
    (place, rule)
    for place, rule in itertools.product(PLACES, RULES)
    if not (place == "luong" and SCORES[rule].follows_history)
]
"""Each rule in each place of the decoder, but for what `seq2seq.config` refuses."""
EVERYWHERE = [
    (place, rule, distribution)
    for place, rule, distribution in itertools.product([*PLACES, "self_attention"], RULES, DISTRIBUTIONS)
    if not (SCORES[rule].is_uniform and DISTRIBUTIONS[distribution].is_hard)
    and not (place == "self_attention" and DISTRIBUTIONS[distribution].follows_target)
    and not (place in ("luong", "self_attention") and SCORES[rule].follows_history)
]
"""Each rule with each distribution in each place, the encoder too, but for what `seq2seq.config` refuses."""
WITH_LSTM = [
    (place, rule, "softmax")
    for place, rule in itertools.product([*LSTM_PLACES, "self_attention" + LSTM], ["general", "concat"])
]
"""A content-based and a location-based rule in each place of a model of LSTMs."""
WITH_LAYERS = [(place, rule, "softmax") for place, rule in itertools.product(DEEP_PLACES, ["general", "concat"])]
"""The same in decoders of two layers."""
EVERYWHERE += WITH_LSTM + WITH_LAYERS


def _pairwise(combinations: Sequence[tuple[str, ...]]) -> set[tuple[str, ...]]:
    """Some of the combinations, chosen greedily, so that every pair of two choices that occurs is among them."""

    def pairs(combination: tuple[str, ...]) -> set[tuple[object, ...]]:
        return set(itertools.combinations(enumerate(combination), 2))

    missing = set().union(*map(pairs, combinations))
    chosen = set()
    while missing:
        best = max(combinations, key=lambda combination: len(pairs(combination) & missing))
        chosen.add(best)
        missing -= pairs(best)
    return chosen


INTERVENED = [
    (place, rule, intervention)
    for (place, rule), intervention in itertools.product(EVERY, INTERVENTIONS)
    if intervention != "head" or rule == "multihead"
]
"""Each rule in each place of the decoder with each intervention."""

PAIRWISE = _pairwise(EVERYWHERE) | _pairwise(INTERVENED)
"""Of `EVERYWHERE` and `INTERVENED`, enough for every pair of a place, a rule and a distribution or intervention."""

EMBEDDING, VALUE, HIDDEN, POSITIONS = 10, 12, 14, 16
SOURCE_VOCABULARY, TARGET_VOCABULARY = 29, 23


def tiny_rule(rule: str, distribution: str = "softmax") -> Rule:
    """An attention by name, with two heads where it has several."""
    hard = HardOptions("gumbel", temperature=0.7 if distribution == "hard" else 1.0, soft=0.0)
    return Rule(SCORES[rule], DISTRIBUTIONS[distribution], heads=2, window=2, hard=hard)


def tiny_decoder(
    place: str,
    rule: str,
    distribution: str = "softmax",
    *,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    seed: int = 1,
) -> tuple[Decoder, DecoderSizes]:
    """A decoder alone, with fresh weights that the seed decides."""
    torch.manual_seed(seed)
    hidden = VALUE if SCORES[rule].needs_equal_widths else HIDDEN
    name, cell = place.removesuffix(LSTM), "lstm" if place.endswith(LSTM) else "gru"
    layers = 2 if name.endswith(DEEP) else 1
    widths = DecoderSizes(EMBEDDING, VALUE, hidden, positions=POSITIONS, cell=cell, layers=layers)
    rule_of_decoder = tiny_rule(rule, distribution)
    return DECODERS[name.removesuffix(DEEP)](
        rule_of_decoder, widths, dropout=dropout, recurrent_dropout=recurrent_dropout
    ), widths


def tiny_model(
    place: str = "bahdanau",
    rule: str = "additive",
    distribution: str = "softmax",
    *,
    tie: str = "none",
    dropout: float = 0.0,
    word_dropout: tuple[float, float] = (0.0, 0.0),
    recurrent_dropout: float = 0.0,
    seed: int = 1,
) -> Model:
    """A model with fresh weights that the seed decides; in place `self_attention` the rule is the encoder's."""
    torch.manual_seed(seed)
    chances: Any = {"dropout": dropout, "recurrent_dropout": recurrent_dropout}
    ending = LSTM if place.endswith(LSTM) else ""
    recurrent = RecurrentEncoder(
        embedding_size=EMBEDDING, hidden_size=VALUE // 2, layers=1, **chances, cell="lstm" if ending else "gru"
    )
    encoder: Encoder = recurrent
    if place == "self_attention" + ending:
        decoder, _ = tiny_decoder("luong" + ending, "general", **chances, seed=seed)
        encoder = SelfAttentionEncoder(recurrent, tiny_rule(rule, distribution), positions=POSITIONS)
    else:
        decoder, _ = tiny_decoder(place, rule, distribution, **chances, seed=seed)
    return Model(
        encoder,
        decoder,
        source_vocabulary=TARGET_VOCABULARY if tie == "all" else SOURCE_VOCABULARY,
        target_vocabulary=TARGET_VOCABULARY,
        embedding_size=EMBEDDING,
        embedding_scale=3.0,
        tie=tie,
        dropout=dropout,
        word_dropout=word_dropout,
        positions=POSITIONS,
    )


def sentences(lengths: list[int], vocabulary: int = TARGET_VOCABULARY, *, seed: int) -> list[list[int]]:
    """Random sentences of ordinary ids, of these lengths."""
    draw = random.Random(seed)
    return [[draw.randrange(4, vocabulary) for _ in range(length)] for length in lengths]


def ragged_batch(*, seed: int = 5) -> Batch:
    """Five pairs: the shortest source is EOS alone, and no side's lengths are sorted."""
    return batch_pairs(sentences([4, 0, 7, 1, 3], seed=seed), sentences([2, 3, 1, 6, 5], seed=seed + 1))
