"""Remarks on the text, one sentence each, before a model is trained on it or scored by it."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice

from seq2seq import config
from seq2seq.commands.vocabulary_remarks import scored_unknown
from seq2seq.config.types import show_paths
from seq2seq.text.annotations import LoadedSplit
from seq2seq.text.corpus import Concatenated, Corpus, Distilled, Pair, Split, one_direction, original
from seq2seq.text.hold_out import Rest
from seq2seq.text.lines import digest_lines
from seq2seq.text.normalization import describe_forms
from seq2seq.text.sources.tsv import looks_like_header, looks_quoted
from seq2seq.text.tokenizer import SubwordTokenizer, Tokenizers

SAMPLE = 10_000
"""The number of training pairs that are examined."""

MANY_BYTES = 0.05
"""The share of byte subwords from which on a tokenizer does not suit a text."""


def training_remarks(dataset: config.Dataset, text: Corpus, fingerprints: Mapping[str, str]) -> Iterator[str]:
    """Remarks on the training split; `fingerprints` are those of all splits, by name."""
    train = original(text.train)
    whole = train.cut.split if isinstance(train, Rest) else train
    if isinstance(whole, Concatenated):
        yield f"training pairs: {whole.counts()}"
        parts = [(split.fingerprint(), split.name) for split in whole.splits]
        if len({fingerprint for fingerprint, _ in parts}) < len(parts):
            yield "warning: the same corpus occurs twice in dataset.train, and counts twice"
    if isinstance(train, Rest):
        cut = train.cut
        sizes = " and ".join(f"{cut.size:,} pairs for {name}" for name in cut.names)
        repeated = f"; {train.repeated:,} more pairs with {train.repeated_side} are left out" if train.repeated else ""
        yield f"cut from the training text: {sizes}{repeated}"
    if isinstance(distilled := one_direction(text.train), Distilled):
        yield f"each training source is learned with its line of {show_paths(distilled.targets)} as well"
        yield from _distilled_remarks(distilled)
    if dataset.both_directions:
        yield "each training pair is learned in both directions"
    learned = train.fingerprint()
    if same := [name for name in fingerprints if name != "train" and fingerprints[name] == learned]:
        yield f"warning: {' and '.join(same)} and the training split are the same text: scores only show memorisation"
    if not (isinstance(dataset, config.Tsv) or dataset.symbols):
        return  # the rest reads the text once more
    sample = list(islice(train, SAMPLE))
    if isinstance(dataset, config.Tsv):
        if dataset.quoting == "none" and (quoted := sum(any(map(looks_quoted, pair)) for pair in sample)):
            yield (
                f"warning: {quoted:,} of the first {len(sample):,} training pairs look quoted, as spreadsheets write "
                "fields with quotation marks, and are learned with them; dataset.quoting=csv removes the quotes"
            )
        if not dataset.header and looks_like_header(sample[0], (dataset.source, dataset.target)):
            yield (
                f"warning: the first training pair, {sample[0].source!r} and {sample[0].target!r}, looks like names of "
                "columns, and is learned as text; dataset.header=true leaves the first line of each file out"
            )
    lines = chain.from_iterable(sample)
    if absent := _absent(dataset.symbols, lines):
        yield (
            f"warning: {', '.join(map(repr, absent))} of dataset.symbols "
            f"{'is' if len(absent) == 1 else 'are'} in none of the first {len(sample):,} training pairs"
        )


def _distilled_remarks(text: Distilled) -> Iterator[str]:
    """A warning for each file of `dataset.distilled` that is a side of the training text or another of these files."""
    sides = enumerate(Pair._fields)
    known = {digest_lines(pair[side] for pair in text.split)[0]: f"the {name}s" for side, name in sides}
    for path, digest in zip(text.targets, text.digests, strict=True):
        if same := known.get(digest):
            yield f"warning: {path} of dataset.distilled is the same text as {same}: nothing new is learned from it"
        known.setdefault(digest, str(path))


def overlap_remarks(train: Split, scored: Iterable[LoadedSplit]) -> Iterator[str]:
    """A remark for each scored split that has sentences of the training text. Reads the training text once."""
    splits = [(split, [pair for pair in split.pairs if pair.has_both_sides]) for split in scored]
    targets: dict[str, set[str]] = {}  # of each scored source
    for _, pairs in splits:
        for source, target in pairs:
            targets.setdefault(source, set()).add(target)
    same: set[Pair] = set()
    translated: set[str] = set()
    for source, target in train:
        if source in targets and target.strip():
            translated.add(source)
            if target in targets[source]:
                same.add(Pair(source, target))
    for split, pairs in splits:
        equal = sum(pair in same for pair in pairs)
        others = sum(pair.source in translated for pair in pairs) - equal
        if equal or others:
            sources = "source" if others == 1 else "sources"
            yield (
                f"{split.name}: of its {len(pairs):,} pairs, the training text has {equal:,}, and {others:,} {sources} "
                "with other translations"
            )


def byte_remarks(train: Split, tokenizers: Tokenizers) -> Iterator[str]:
    """A remark for each side of the training split that the tokenizers of another text write in bytes."""
    sample = list(islice(train, SAMPLE))
    for name, tokenizer, texts in zip(("source", "target"), tokenizers, zip(*sample, strict=True), strict=True):
        share = sum(tokenizer.count_fallbacks(texts)) / max(1, sum(map(len, tokenizer.encode_batch(texts))))
        if share > MANY_BYTES and isinstance(tokenizer, SubwordTokenizer):
            yield (
                f"warning: {share:.0%} of the {name} subwords are bytes, since the tokenizer of the checkpoint lacks "
                "their characters: sentences are long and hard to learn; training without init= makes new tokenizers"
            )


def _absent(symbols: Iterable[str], lines: Iterable[str]) -> list[str]:
    """The symbols that are in none of the lines."""
    missing = list(symbols)
    for line in lines:
        if not missing:
            break
        missing = [symbol for symbol in missing if symbol not in line]
    return missing


def scored_remarks(split: LoadedSplit, tokenizers: Tokenizers, *, normalization: str) -> Iterator[str]:
    """Remarks on a split that is scored."""
    if blank := sum(not pair.has_both_sides for pair in split.pairs):
        yield (
            f"warning: {split.name}: {blank:,} of {len(split.pairs):,} pairs have an empty side and are scored all "
            "the same: an empty translation of an empty reference counts as correct; leave them out of the files "
            "(`msgattrib --translated --no-fuzzy` does so for gettext)"
        )
    if shares := scored_unknown(split, tokenizers):
        yield shares
    if normalization == "none" and (sentence := describe_forms(split.pairs, tokenizers, split.name)):
        yield f"warning: {sentence}"
