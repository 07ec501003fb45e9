"""From the configuration to the corpus and the encoded training text."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from seq2seq import config
from seq2seq.config.types import as_tuple
from seq2seq.text.annotations import AnnotatedSplit
from seq2seq.text.corpus import BothDirections, Corpus, Distilled, Split
from seq2seq.text.link_store import Alignments, alignments_of_files, gold_alignments, with_links
from seq2seq.text.normalization import NORMALIZATIONS, normalized
from seq2seq.text.sources.built_in import built_in
from seq2seq.text.sources.files import aligned_files
from seq2seq.text.sources.gettext import Gettext
from seq2seq.text.sources.huggingface import HuggingFace
from seq2seq.text.sources.json_lines import JsonLines
from seq2seq.text.sources.multi30k import ADDRESS, multi30k
from seq2seq.text.sources.own_text import corpus_of_files
from seq2seq.text.sources.tmx import Tmx
from seq2seq.text.sources.tsv import TabSeparated
from seq2seq.text.store import Prepared, encode, prepare
from seq2seq.text.subword_sampling import SideOptions, SubwordSampler
from seq2seq.text.tokenizer import Tokenizers


def corpus(dataset: config.Dataset, *, download: bool = True) -> Corpus:
    """The parallel text that the configuration names, normalised. It is read, and so checked, at first use."""
    text = _original(dataset, download=download)
    train = text.train
    if dataset.distilled is not None:
        train = Distilled(train, as_tuple(dataset.distilled), NORMALIZATIONS[dataset.normalization])
    return replace(text, train=BothDirections(train) if dataset.both_directions else train)


def _original(dataset: config.Dataset, *, download: bool) -> Corpus:
    languages = {"source": dataset.source, "target": dataset.target}
    match dataset:
        case config.Multi30k():
            address = ADDRESS if download else None
            published = multi30k(folder=dataset.folder, test=dataset.test, address=address, **languages)
            return normalized(published, dataset.normalization)
        case config.OwnText():
            return corpus_of_files(
                _reader(dataset),
                train=dataset.train,
                validation=dataset.validation,
                test=dataset.test,
                hold_out=dataset.hold_out,
                both_directions=dataset.both_directions,
                normalization=dataset.normalization,
                **languages,
            )
        case config.Grammar():
            made = built_in(
                preset=dataset.preset, seed=dataset.seed, cache=dataset.cache, invented_names=dataset.invented_names
            )
            return normalized(made, dataset.normalization)


def _reader(dataset: config.OwnText) -> Callable[[Path, str], Split]:
    """What makes a split of a path and a name."""
    languages = (dataset.source, dataset.target)
    match dataset:
        case config.Files():
            return aligned_files(*languages)
        case config.Tsv():
            return partial(TabSeparated, columns=dataset.columns, quoting=dataset.quoting, header=dataset.header)
        case config.JsonLines():
            return partial(JsonLines, fields=dataset.fields or languages)
        case config.HuggingFace():
            fields, path, subset, cache = dataset.fields or languages, dataset.path, dataset.subset, dataset.cache
            return lambda split, name: HuggingFace(path, subset, str(split), name, fields, cache)
        case config.Tmx():
            return partial(Tmx, languages=languages)
        case _:
            return Gettext


def prepared(dataset: config.Dataset, text: Corpus) -> Prepared:
    """The tokenizers, trained on the training split only, and the encoded training split."""
    return prepare(
        text.train,
        folder=dataset.cache,
        vocabulary_size=dataset.vocabulary,
        kind=dataset.tokenizer,
        coverage=dataset.character_coverage,
        symbols=dataset.symbols,
        min_frequency=dataset.min_frequency,
        joint=dataset.joint,
        longest=dataset.longest,
    )


def encoded(dataset: config.Dataset, text: Corpus, tokenizers: Tokenizers, *, longest_source: int | None) -> Prepared:
    """The training split, encoded by the tokenizers of a checkpoint. A longer source is left out (see `encode`)."""
    return encode(text.train, tokenizers, folder=dataset.cache, longest=dataset.longest, longest_source=longest_source)


def alignments(options: config.Guide, train: Split) -> Alignments | None:
    """The links that guide attention: those of files, or the gold links of the split; None without guidance."""
    if options.alignments is None:
        return None
    if options.alignments == config.GOLD:
        assert isinstance(train, AnnotatedSplit), train.name
        return gold_alignments(train)
    return alignments_of_files(as_tuple(options.alignments))


def linked(configuration: config.Train, train: Split, prepared: Prepared, alignments: Alignments) -> Prepared:
    """The prepared text with the links that guide attention."""
    units = configuration.training.guide.alignment_units
    return with_links(prepared, train, alignments, folder=configuration.dataset.cache, units=units)


def subword_sampler(
    configuration: config.Train, train: Split, prepared: Prepared, *, longest_source: int | None
) -> SubwordSampler | None:
    """What draws the subwords of each epoch, None without sampling. `longest_source` is the model's, with EOS."""
    options, longest = configuration.training.sample_subwords, configuration.dataset.longest
    if not options.on:
        return None
    return SubwordSampler(
        train,
        prepared,
        source=SideOptions(options.source, min(longest, (longest_source or longest + 1) - 1)),
        target=SideOptions(options.target, longest),
        kind=configuration.dataset.tokenizer,
        symbols=configuration.dataset.symbols,
        seed=configuration.training.seed,
    )
