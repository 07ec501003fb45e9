"""Everything that reads a file from outside, with spoilt examples of what it reads. See `tests/support/fuzz.py`."""

import gzip
import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
import zstandard
from hydra import compose, initialize_config_dir
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy
from omegaconf import OmegaConf

from seq2seq import build, checkpoint, config
from seq2seq.checkpoint import Checkpoint, Training
from seq2seq.checkpoint.state import State
from seq2seq.text.alignment import check, read_pharaoh
from seq2seq.text.annotations import load_split
from seq2seq.text.corpus import Corpus, Split
from seq2seq.text.grammar.corpus import LEXICON
from seq2seq.text.grammar.lexicon import read_lexicon
from seq2seq.text.sources.files import aligned_files
from seq2seq.text.sources.gettext import Gettext
from seq2seq.text.sources.json_lines import JsonLines
from seq2seq.text.sources.multi30k import multi30k
from seq2seq.text.sources.own_text import corpus_of_files
from seq2seq.text.sources.tmx import Tmx
from seq2seq.text.sources.tsv import TabSeparated
from seq2seq.text.tokenizer import SubwordTokenizer, Tokenizers, train_tokenizer
from seq2seq.trained_model import build_trained
from seq2seq.training.optimizer import make_optimizer, tensors_to_resume
from tests.support.programs import CONFIGS, SUBJECTS, VERBS
from tests.support.spoil import as_json, change, changes, cut, cut_all, cuts, pieces, values, with_field, with_header

LINES = [f"{subject[side]} {verb[side]}." for side in (0, 1) for subject in SUBJECTS for verb in VERBS]
NOWHERE = "http://127.0.0.1:9"


class Reader(NamedTuple):
    """Examples, and what reads one of them in an empty folder."""

    examples: Callable[[], SearchStrategy[Any]]
    read: Callable[[Any, Path], None]


def composed(program: str, *overrides: str) -> dict[str, Any]:
    """What Hydra hands over."""
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        found = OmegaConf.to_container(compose(program, overrides=list(overrides)), resolve=True)
    assert isinstance(found, dict)
    return {str(key): value for key, value in found.items()}


# --- checkpoints -----------------------------------------------------------------------------------------------------


@cache
def whole_checkpoint() -> dict[str, bytes]:
    """The files of one that a run can go on from."""
    widths = ["model.embedding=6", "model.encoder_hidden=5", "model.decoder_hidden=10"]
    values = composed("train", "model=tiny", "attention=dot", *widths)
    tokenizer = train_tokenizer(LINES, vocabulary_size=300, kind="unigram")
    tokenizers = Tokenizers(tokenizer, tokenizer)
    model = build.model(config.load(config.Train, values), tokenizers, positions=17)
    optimizer = make_optimizer(model, betas=(0.9, 0.98), weight_decay=0.0)
    training = Training(tensors_to_resume(model, optimizer), State(text="abc"))
    weights: dict[str, torch.Tensor] = dict(model.named_parameters())
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "last"
        checkpoint.store(Checkpoint(values, tokenizers, weights, 17, 3, {"bleu": 1.5}, training), place)
        return {path.name: path.read_bytes() for path in place.iterdir()}


def checkpoints() -> SearchStrategy[Any]:
    """Edits of a whole one, whether its hashes are made to fit, and whether training is to go on from it."""
    names = st.sampled_from(sorted(whole_checkpoint()))
    tensors = st.sampled_from(["weights.safetensors", "training.safetensors"])
    edits = st.one_of(
        st.tuples(st.just("cut"), names, cuts),
        st.tuples(st.just("change"), st.just("checkpoint.json"), changes),
        st.tuples(st.just("header"), tensors, changes),
        st.tuples(st.just("piece"), st.just("source.model"), pieces),
        st.tuples(st.just("copy"), names, names | st.sampled_from(["target.model", "x.pkl"])),
        st.tuples(st.just("replace"), names, st.sampled_from(["nothing", "folder", "link", "pipe"])),
    )
    return st.tuples(st.lists(edits, min_size=1, max_size=4), st.booleans() | st.just(True), st.booleans())


def read_checkpoint(example: Any, folder: Path) -> None:
    edits, fitting, training = example
    for name, content in _spoilt(edits, fitting=fitting).items():
        (folder / name).write_bytes(content)
    for kind, name, what in edits:
        if kind == "replace" and (folder / name).is_file():
            _replace(folder / name, what)
    found = checkpoint.load(folder, training=training)
    configuration, model = build_trained(found, folder)
    search = config.search_as_given({"size": 2, "batch": 3, "n_best": 1}, configuration.search)
    build.translator(search, model, found.tokenizers, torch.device("cpu"), normalization="none")(
        ["Der Hund.", "", "\0ä"]
    )


def _spoilt(edits: Any, *, fitting: bool) -> dict[str, bytes]:
    contents = dict(whole_checkpoint())
    description = json.loads(contents["checkpoint.json"])
    for kind, name, what in edits:
        if kind == "change":
            description = change(description, what)
        elif kind == "cut" and name != "checkpoint.json":
            contents[name] = cut(contents[name], what)
        elif kind == "header":
            contents[name] = with_header(contents[name], what)
        elif kind == "piece":
            contents[name] = with_field(contents[name], what)
        elif kind == "copy":
            contents[what] = contents[name]
    if fitting and isinstance(description, dict) and isinstance(description.get("files"), dict):
        for name in contents.keys() & {*description["files"], "target.model"}:
            description["files"][name] = hashlib.sha256(contents[name]).hexdigest()
    cuts_of_it = [what for kind, name, what in edits if kind == "cut" and name == "checkpoint.json"]
    contents["checkpoint.json"] = cut_all(as_json(description), cuts_of_it)
    return contents | ({"checkpoint.json.sha256": checkpoint.seal(contents["checkpoint.json"])} if fitting else {})


def _replace(path: Path, kind: str) -> None:
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/dev/zero")
    elif kind == "pipe":
        os.mkfifo(path)


def read_tokenizer(example: Any, folder: Path) -> None:
    del folder
    edits, text = example
    model = whole_checkpoint()["source.model"]
    for edit in edits:
        model = with_field(model, edit)
    tokenizer = SubwordTokenizer(model)
    ids = tokenizer.encode(text)
    assert all(0 <= index < len(tokenizer) for index in ids)
    tokenizer.pieces(ids)
    tokenizer.decode([*range(min(len(tokenizer), 400)), *ids])


# --- text ------------------------------------------------------------------------------------------------------------

SIDE = "".join(f"{line}\n" for line in LINES[:9]).encode()
TABLE = "".join(f"{line}\t{line}\n" for line in LINES[:9]).encode()
JSON = "".join(f'{{"translation": {{"de": "{line}", "en": "{line}"}}}}\n' for line in LINES[:9]).encode()
UNITS = "".join(
    f'<tu><tuv xml:lang="de"><seg>{line} <ph x="1">{{\\b}}</ph></seg></tuv>'
    f'<tuv xml:lang="en-GB"><seg>{line}</seg></tuv></tu>'
    for line in LINES[:9]
)
TMX = f'<?xml version="1.0"?>\n<tmx version="1.4"><header/><body>\n{UNITS}\n</body></tmx>\n'.encode()
MESSAGES = "".join(f'#, c-format\nmsgid "{line}"\nmsgstr ""\n"{line}\\n"\n\n' for line in LINES[:9])
GETTEXT = f'msgid ""\nmsgstr "Language: en\\n"\n\n{MESSAGES}msgid "a"\nmsgid_plural "b"\nmsgstr[0] "c"\n'.encode()
PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": partial(gzip.compress, mtime=0),
    ".zst": zstandard.ZstdCompressor().compress,
}
SINGLE_FILES: dict[str, Callable[[Path, str], Split]] = {
    "tsv": TabSeparated,
    "csv": partial(TabSeparated, quoting="csv"),
    "jsonl": partial(JsonLines, fields=("translation.de", "translation.en")),
    "tmx": partial(Tmx, languages=("de", "en")),
    "gettext": Gettext,
}
MULTI30K = [f"{split}.{side}" for split in ("train", "val", "test_2016_flickr") for side in ("de", "en")]
EDITS = st.lists(cuts, max_size=6)


def read_corpus(example: Any, folder: Path) -> None:
    kind, source, target, packed, after = example
    contents = {
        "files": {"a.de": cut_all(SIDE, source), "a.en": cut_all(SIDE, target)},
        "tsv": {"a": cut_all(TABLE, source)},
        "csv": {"a": cut_all(TABLE.replace(b"sieht", b'"s"').replace(b"\t", b'"\t"'), source)},
        "jsonl": {"a": cut_all(JSON, source)},
        "tmx": {"a": cut_all(TMX, source)},
        "gettext": {"a": cut_all(GETTEXT, source)},
        "multi30k": dict.fromkeys(MULTI30K, cut_all(SIDE, source)),
    }[kind]
    for name, content in contents.items():
        text = cut_all(PACKED[packed](content), after) if packed else content
        (folder / f"{name}{packed}").write_bytes(text)
    held = load_split(_corpus(kind, folder, packed).train)
    assert held.pairs
    assert all("\n" not in side for pair in held.pairs for side in pair)


def _corpus(kind: str, folder: Path, ending: str) -> Corpus:
    prefix = folder / "a"
    if kind == "files":
        read = aligned_files("de", "en")
        return corpus_of_files(read, train=prefix, validation=prefix, test=prefix, source="de", target="en")
    if kind in SINGLE_FILES:
        path = folder / f"a{ending}"
        return corpus_of_files(SINGLE_FILES[kind], train=path, validation=path, test=path, source="de", target="en")
    return multi30k(folder=folder, source="de", target="en", address=NOWHERE)


LINKS = st.lists(st.sampled_from([b"0-0", b"1p2 ", b" 3-1", b"\n", b"\r\n", b"\t", b"10-11", b"0000p1"]), max_size=9)


def read_links(example: Any, folder: Path) -> None:
    links, edits, source, target = example
    path = folder / "links"
    path.write_bytes(cut_all(b"".join(links), edits))
    for number, found in enumerate(read_pharaoh(path), start=1):
        check(found, source=source, target=target, file=path, line_number=number)


# --- the lexicon -----------------------------------------------------------------------------------------------------

TABLES = {path.name: path.read_bytes() for path in LEXICON.glob("*.tsv")}
CELLS = ["-", "", "a,b", "|", "x|", "0-0", "²-0", "١-0", "a+dative=b", "+=", "Ä n", "n", " "]
cells = st.tuples(st.just("cell"), st.floats(0, 1), st.integers(0, 15), st.text(max_size=8) | st.sampled_from(CELLS))


def read_tables(example: Any, folder: Path) -> None:
    for name, content in TABLES.items():
        for _, edit in [one for one in example if one[0] == name]:
            content = _with_cell(content, edit) if edit[0] == "cell" else cut(content, edit)
        (folder / name).write_bytes(content)
    read_lexicon(folder)


def _with_cell(table: bytes, edit: Any) -> bytes:
    _, place, column, cell = edit
    lines = table.split(b"\n")
    at = int(place * (len(lines) - 1))
    row = lines[at].split(b"\t")
    row[column % len(row)] = cell.encode()
    lines[at] = b"\t".join(row)
    return b"\n".join(lines)


# --- configurations --------------------------------------------------------------------------------------------------

KINDS: dict[str, type[config.Section]] = {
    "train": config.Train,
    "evaluate": config.Evaluate,
    "translate": config.Translate,
}


@cache
def whole_configuration(program: str, number: int) -> str:
    """As JSON; there are three for training."""
    if program != "train":
        return json.dumps(composed(program, "checkpoint=here"))
    given = [f"dataset.{key}=there" for key in ("source", "target", "train", "validation", "test")]
    choices = [["encoder=self_attention"], ["dataset=multi30k"], ["dataset=files", *given]]
    return json.dumps(composed(program, *choices[number]))


def read_configuration(example: Any, folder: Path) -> None:
    del folder
    program, number, edits, alone = example
    whole = json.loads(whole_configuration(program, number))
    for edit in edits:
        whole = change(whole, edit)
    found = config.load(KINDS[program], whole if edits else alone)
    if isinstance(found, config.Train):
        assert config.load(config.Train, json.loads(found.model_dump_json())) == found
    elif isinstance(found, config.Evaluate | config.Translate):
        trained = config.load(config.Train, json.loads(whole_configuration("train", 0)))
        config.search_as_given(found.search, trained.search)


READERS = {
    "checkpoint": Reader(checkpoints, read_checkpoint),
    "tokenizer": Reader(
        lambda: st.tuples(st.lists(pieces, min_size=1, max_size=4), st.text(max_size=20) | st.sampled_from(LINES)),
        read_tokenizer,
    ),
    "corpus": Reader(
        lambda: st.tuples(
            st.sampled_from(["files", "multi30k", *SINGLE_FILES]), EDITS, EDITS, st.sampled_from(["", *PACKED]), EDITS
        ),
        read_corpus,
    ),
    "pharaoh": Reader(lambda: st.tuples(LINKS, EDITS, st.integers(0, 12), st.integers(0, 12)), read_links),
    "lexicon": Reader(
        lambda: st.lists(st.tuples(st.sampled_from(sorted(TABLES)), cuts | cells), min_size=1, max_size=3), read_tables
    ),
    "configuration": Reader(
        lambda: st.tuples(st.sampled_from(sorted(KINDS)), st.integers(0, 2), st.lists(changes, max_size=4), values),
        read_configuration,
    ),
}
