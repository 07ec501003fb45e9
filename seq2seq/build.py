"""Factories: they read the configuration and make the objects, which never see it."""

import torch

from seq2seq import config
from seq2seq.attention.distributions import DISTRIBUTIONS, HardOptions
from seq2seq.attention.guide import Guide
from seq2seq.attention.layer import Rule
from seq2seq.attention.scores import SCORES
from seq2seq.decoding.ensemble import Ensemble
from seq2seq.decoding.options import SearchOptions
from seq2seq.decoding.translator import Translator
from seq2seq.nn.decoder import DECODERS
from seq2seq.nn.decoder_base import DecoderSizes
from seq2seq.nn.encoder import RecurrentEncoder, SelfAttentionEncoder
from seq2seq.nn.int8 import check_int8
from seq2seq.nn.mistakes import make_mistakes
from seq2seq.nn.model import Model
from seq2seq.runtime.memory import memory_or
from seq2seq.text.tokenizer import Tokenizers
from seq2seq.training.learning_rate import Schedule
from seq2seq.training.objective import Objective, TeacherForcing


def rule(attention: config.Attention) -> Rule:
    """The score and the distribution that the configuration names, with their options."""
    return Rule(
        SCORES[attention.score],
        DISTRIBUTIONS[attention.distribution],
        heads=attention.heads,
        window=attention.window,
        hard=HardOptions(attention.estimator, temperature=attention.temperature, soft=attention.soft),
    )


@memory_or(
    "no memory for a model of this size: lower model.embedding, model.encoder_hidden, model.decoder_hidden or "
    "dataset.vocabulary"
)
def model(configuration: config.Train, tokenizers: Tokenizers, *, positions: int) -> Model:
    """A model with random weights. `positions` is the greatest source length in tokens, including EOS."""
    sizes = configuration.model
    recurrent = RecurrentEncoder(
        embedding_size=sizes.embedding,
        hidden_size=sizes.encoder_hidden,
        layers=configuration.encoder.layers,
        dropout=sizes.dropout,
        recurrent_dropout=sizes.recurrent_dropout,
        cell=sizes.cell,
    )
    attention = configuration.encoder.attention
    encoder = recurrent if attention is None else SelfAttentionEncoder(recurrent, rule(attention), positions=positions)
    decoder_sizes = DecoderSizes(
        embedding=sizes.embedding,
        value=encoder.output_size,
        hidden=sizes.decoder_hidden,
        positions=positions,
        cell=sizes.cell,
        layers=configuration.decoder.layers,
    )
    decoder = DECODERS[configuration.decoder.place](
        rule(configuration.attention),
        decoder_sizes,
        dropout=sizes.dropout,
        recurrent_dropout=sizes.recurrent_dropout,
    )
    model = Model(
        encoder,
        decoder,
        source_vocabulary=len(tokenizers.source),
        target_vocabulary=len(tokenizers.target),
        embedding_size=sizes.embedding,
        embedding_scale=sizes.embedding_scale,
        tie=sizes.tie,
        dropout=sizes.dropout,
        word_dropout=(sizes.source_word_dropout, sizes.target_word_dropout),
        positions=positions,
    )
    make_mistakes(model, configuration.mistake)
    return model


def schedule(training: config.Training, total: int) -> Schedule:
    """The learning rates of a run of `total` steps."""
    return Schedule(peak=training.learning_rate, warmup=training.warmup, total=total, decay=training.decay)


def objective(configuration: config.Train, steps_per_epoch: int) -> Objective:
    """What training minimises."""
    options = configuration.training
    chosen, guide, teacher_forcing = options.guide, None, None
    if chosen.alignments is not None:
        last = None if chosen.epochs is None else chosen.epochs * steps_per_epoch
        guide = Guide(chosen.loss, weight=chosen.weight, last_step=last)
    share = options.teacher_forcing
    if (share.first, share.last) != (1, 1):
        teacher_forcing = TeacherForcing(share.first, share.last, options.total_steps(steps_per_epoch))
    return Objective(
        options.label_smoothing,
        r_drop=options.r_drop,
        coverage=options.coverage_loss,
        guide=guide,
        counts_padding="loss_counts_padding" in configuration.mistake,
        teacher_forcing=teacher_forcing,
    )


def translator(
    search: config.Search,
    built: Model | Ensemble,
    tokenizers: Tokenizers,
    device: torch.device,
    *,
    normalization: str,
    precision: str = "float32",
) -> Translator:
    """Translates raw text. `normalization` is that of the training text.

    `precision="int8"` searches with 8-bit weights, InputError where this machine cannot; else the search is float32.
    """
    int8 = precision == "int8"
    if int8:
        check_int8(device)
    return Translator(
        built,
        tokenizers,
        SearchOptions(**search.model_dump()),
        device=device,
        normalization=normalization,
        int8=int8,
    )
