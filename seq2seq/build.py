"""Where the configuration meets the objects: the only factories."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from seq2seq import config
from seq2seq.attention.distributions import DISTRIBUTIONS, HardOptions
from seq2seq.attention.layer import Rule
from seq2seq.attention.scores import SCORES
from seq2seq.checkpoint import Checkpoint
from seq2seq.decoding.translator import Translator
from seq2seq.nn.decoder import DECODERS, DecoderSizes
from seq2seq.nn.encoder import GRUEncoder, SelfAttentionEncoder
from seq2seq.nn.int8 import check_int8
from seq2seq.nn.model import Model
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.memory import memory_or
from seq2seq.text.corpus import Corpus
from seq2seq.text.normalization import normalized
from seq2seq.text.sources.built_in import built_in
from seq2seq.text.sources.files import files
from seq2seq.text.sources.multi30k import ADDRESS, multi30k
from seq2seq.text.sources.tsv import tsv
from seq2seq.text.store import Prepared, prepare
from seq2seq.text.tokenizer import Tokenizers
from seq2seq.training.schedule import Schedule


def corpus(dataset: config.Dataset, *, download: bool = True) -> Corpus:
    """The parallel text that the configuration names, checked by reading it when first used."""
    return normalized(_as_written(dataset, download=download), dataset.normalization)


def _as_written(dataset: config.Dataset, *, download: bool) -> Corpus:
    languages = {"source": dataset.source, "target": dataset.target}
    match dataset:
        case config.Multi30k():
            address = ADDRESS if download else None
            return multi30k(folder=dataset.folder, test=dataset.test, address=address, **languages)
        case config.Files():
            return files(train=dataset.train, validation=dataset.validation, test=dataset.test, **languages)
        case config.Tsv():
            return tsv(
                train=dataset.train,
                validation=dataset.validation,
                test=dataset.test,
                source=dataset.source,
                target=dataset.target,
                columns=dataset.columns,
                quoting=dataset.quoting,
                header=dataset.header,
            )
        case config.Grammar():
            return built_in(preset=dataset.preset, seed=dataset.seed, cache=dataset.cache)


def prepared(dataset: config.Dataset, text: Corpus) -> Prepared:
    """The tokenizers, trained on the training split only, and the encoded training split."""
    return prepare(
        text.train,
        folder=dataset.cache,
        vocabulary_size=dataset.vocabulary,
        kind=dataset.tokenizer,
        coverage=dataset.character_coverage,
        symbols=dataset.symbols,
        joint=dataset.joint,
        longest=dataset.longest,
    )


def rule(attention: config.Attention) -> Rule:
    """The classes that the configuration names, with their options."""
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
    """A model with fresh weights. `positions` is the greatest source length in tokens, EOS counted."""
    sizes = configuration.model
    gru = GRUEncoder(
        embedding_size=sizes.embedding,
        hidden_size=sizes.encoder_hidden,
        layers=configuration.encoder.layers,
        dropout=sizes.dropout,
    )
    attention = configuration.encoder.attention
    encoder = gru if attention is None else SelfAttentionEncoder(gru, rule(attention), positions=positions)
    widths = DecoderSizes(
        embedding=sizes.embedding, value=encoder.output_size, hidden=sizes.decoder_hidden, positions=positions
    )
    decoder = DECODERS[configuration.decoder.place](rule(configuration.attention), widths, dropout=sizes.dropout)
    return Model(
        encoder,
        decoder,
        source_vocabulary=len(tokenizers.source),
        target_vocabulary=len(tokenizers.target),
        embedding_size=sizes.embedding,
        embedding_scale=sizes.embedding_scale,
        tie=sizes.tie,
        dropout=sizes.dropout,
        positions=positions,
    )


def configuration(checkpoint: Checkpoint, folder: Path) -> config.Train:
    """The configuration of a checkpoint, through the one door; `folder` is for messages.

    Raises InputError where it is not that of the weights, before there is memory for what it asks.
    """
    try:
        found = config.load(config.Train, checkpoint.configuration)
    except InputError as error:
        raise InputError(f"checkpoint {folder} has a configuration that this version cannot use: {error}") from None
    try:
        with torch.device("meta"), _NoNumbers():
            sizes = model(found, checkpoint.tokenizers, positions=checkpoint.positions)
    except (RuntimeError, OverflowError, TypeError) as error:
        raise InputError(f"checkpoint {folder} describes a model of impossible size: {error}") from None
    check_weights(sizes, checkpoint, folder)
    return found


def trained(checkpoint: Checkpoint, folder: Path) -> tuple[config.Train, Model]:
    """The configuration and the model of a checkpoint; `folder` is for messages. Raises what `configuration` raises."""
    begun = configuration(checkpoint, folder)
    with _NoNumbers():
        built = model(begun, checkpoint.tokenizers, positions=checkpoint.positions)
    load_weights(built, checkpoint, folder)
    return begun, built


class _NoNumbers(TorchFunctionMode):
    """Draws no numbers for weights that a checkpoint has, or that are on "meta", where PyTorch imports 800 modules."""

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), options: dict[str, Any] | None = None
    ) -> Any:
        options = options or {}
        if getattr(function, "__module__", None) == "torch.nn.init":
            return options["tensor"]
        if function is torch.linalg.qr:
            return arguments[0], arguments[0]
        return arguments[0] if function in (Tensor.uniform_, Tensor.normal_) else function(*arguments, **options)


def check_weights(built: Model, checkpoint: Checkpoint, folder: Path) -> None:
    """Raises InputError where a name, a shape or a type differs from the model's, or a number is not finite."""
    wanted = {name: _described(parameter) for name, parameter in built.named_parameters()}
    found = {name: _described(weight) for name, weight in checkpoint.weights.items()}
    if wanted != found:
        name = min(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise InputError(
            f"checkpoint {folder} does not fit its own configuration: {name} is {found.get(name)} "
            f"where the model has {wanted.get(name)}"
        )
    if not all(weight.isfinite().all() for weight in checkpoint.weights.values()):
        raise InputError(f"checkpoint {folder} is damaged: a weight is no finite number")


def _described(tensor: Tensor) -> str:
    return f"{tuple(tensor.shape)} of {str(tensor.dtype).removeprefix('torch.')}"


@torch.no_grad()
def load_weights(built: Model, checkpoint: Checkpoint, folder: Path) -> None:
    """Copies a checkpoint's weights into the model. Raises InputError where they do not fit."""
    check_weights(built, checkpoint, folder)
    for name, parameter in built.named_parameters():
        parameter.copy_(checkpoint.weights[name])


def schedule(training: config.Training, total: int) -> Schedule:
    """The learning rate of each of `total` steps."""
    return Schedule(peak=training.learning_rate, warmup=training.warmup, total=total, decay=training.decay)


def translator(
    search: config.Search,
    built: Model,
    tokenizers: Tokenizers,
    device: torch.device,
    *,
    normalization: str,
    precision: str = "float32",
) -> Translator:
    """The model behind one call on raw text, which is normalised as the training text was.

    `precision="int8"` searches with 8-bit weights, InputError where this machine cannot; else the search is float32.
    """
    int8 = precision == "int8"
    if int8:
        check_int8(device)
    return Translator(
        built,
        tokenizers,
        device=device,
        size=search.size,
        length_penalty=search.length_penalty,
        n_best=search.n_best,
        batch=search.batch,
        longest_source=search.longest_source,
        too_long=search.too_long,
        normalization=normalization,
        int8=int8,
    )
