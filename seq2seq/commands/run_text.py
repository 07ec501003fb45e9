"""The text of a run: read, compared with that of a resumed run, prepared, and remarked on."""

import hashlib
import json
import logging
from pathlib import Path
from typing import NamedTuple

from seq2seq import build_text, config
from seq2seq.checkpoint import Checkpoint
from seq2seq.commands.dataset_location import start_remarks
from seq2seq.commands.fine_tuning import Source
from seq2seq.commands.resume import check_text
from seq2seq.commands.text_remarks import byte_remarks, overlap_remarks, scored_remarks, training_remarks
from seq2seq.commands.vocabulary_remarks import training_unknown
from seq2seq.runtime import distributed
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.run_folder import run_folder_of
from seq2seq.text.annotations import LoadedSplit, load_split
from seq2seq.text.corpus import Corpus, Distilled, one_direction
from seq2seq.text.lines import digest_lines
from seq2seq.text.store import Prepared
from seq2seq.trained_model import trained_configuration, trained_outline

log = logging.getLogger(__name__)


class RunText(NamedTuple):
    """The text of a run. `scored` are the validation split and, where there is one, the test split, by name.

    `fingerprints` are those of the raw text of each split, by name, and of the alignments that guide attention.
    `positions` is the greatest source length in tokens that the model is built for.
    """

    corpus: Corpus
    scored: dict[str, LoadedSplit]
    fingerprints: dict[str, str]
    prepared: Prepared
    positions: int


def load_text(configuration: config.Train, resumed: Checkpoint | None, source: Source | None, folder: Path) -> RunText:
    """Reads the corpus, prepares the training split, and compares the text with that of the resumed run.

    A run with `init` has the tokenizers of the checkpoint `source`, which its own checkpoints carry from then on.
    """
    dataset = configuration.dataset
    with distributed.rank0_of_machine_first():
        corpus = build_text.corpus(dataset)
        scored = {name: load_split(split) for name, split in corpus.splits().items() if name != "train"}
        fingerprints = {name: split.fingerprint() for name, split in corpus.splits().items()}
        alignments = build_text.alignments(configuration.training.guide, corpus.train)
        if alignments is not None:
            fingerprints["alignments"], _ = alignments.digest
        if isinstance(learned := one_direction(corpus.train), Distilled):
            fingerprints["distilled"] = digest_lines(learned.digests)[0]
        check_text(fingerprints, resumed, folder)  # before a tokenizer is trained on it
        earlier = resumed if source is None else source.checkpoint
        if configuration.init is None or earlier is None:
            prepared = build_text.prepared(dataset, corpus)
            sampled = configuration.training.sample_subwords.source is not None
            longest = dataset.longest if sampled else int(prepared.store.source.lengths.max())
            positions = longest + 1  # EOS takes one
        else:
            positions, tokenizers = earlier.positions, earlier.tokenizers
            limit = trained_outline(earlier, folder)[1].longest_source
            prepared = build_text.encoded(
                dataset, corpus, tokenizers, longest_source=None if limit is None else limit - 1
            )
        if alignments is not None:
            prepared = build_text.linked(configuration, corpus.train, prepared, alignments)
        return RunText(corpus, scored, fingerprints, prepared, positions)


def fingerprint(text: RunText) -> str:
    """The SHA-256 of the encoded training text, its links, the tokenizers, and the scored pairs.

    Raises InputError where it differs between processes.
    """
    digest = hashlib.sha256()
    for side, tokenizer in zip(text.prepared.store[:2], text.prepared.tokenizers, strict=True):
        for part in (side.ids.data, side.offsets.data, tokenizer.model):
            digest.update(part)
    if (links := text.prepared.store.links) is not None:
        digest.update(links.ids.data)
        digest.update(links.offsets.data)
    for split in text.scored.values():
        digest.update(json.dumps(split.pairs).encode())
    text_hash = digest.hexdigest()
    if {*distributed.all_gather(text_hash)} != {text_hash}:
        raise InputError("the text is not the same on all machines: give each the same files")
    return text_hash


def log_remarks(configuration: config.Train, text: RunText, source: Source | None) -> None:
    """Logs what a person should know of the checkpoint that the run starts from, and of the text."""
    dataset, tokenizers = configuration.dataset, text.prepared.tokenizers
    if source is not None:
        trained = trained_configuration(source.checkpoint, source.folder).dataset
        pairs = {name: split.pairs for name, split in text.scored.items()}
        for line in (*source.remarks, *start_remarks(run_folder_of(source.folder).path, trained, dataset, pairs)):
            log.info("%s", line)
    for line in training_remarks(dataset, text.corpus, text.fingerprints):
        log.info("%s", line)
    for line in overlap_remarks(text.corpus.train, text.scored.values()):
        log.info("%s", line)
    for line in byte_remarks(text.corpus.train, tokenizers) if configuration.init is not None else ():
        log.info("%s", line)
    if shares := training_unknown(text.prepared.store, tokenizers, text.scored.values()):
        log.info("%s", shares)
    for split in text.scored.values():
        for line in scored_remarks(split, tokenizers, normalization=dataset.normalization):
            log.info("%s", line)
