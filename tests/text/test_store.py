"""The encoded corpus on disk: complete, made once, repaired when damaged, safe with several processes."""

import json
import multiprocessing
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sentencepiece

from seq2seq.runtime.errors import InputError
from seq2seq.text import store as module
from seq2seq.text.corpus import BothDirections, Distilled, InMemory, Pair
from seq2seq.text.sources.multi30k import multi30k
from seq2seq.text.sources.tsv import TabSeparated
from seq2seq.text.store import Filtered, Prepared, Sequences, prepare
from seq2seq.text.tokenizer_kinds import SUBWORDS
from tests.support.lines import made_up_text


def made_up_pairs() -> list[Pair]:
    return [Pair(*pair) for pair in zip(made_up_text(250), made_up_text(250, seed=1), strict=True)]


@dataclass
class Counted:
    """A split that counts how often it is read."""

    pairs: list[Pair] = field(default_factory=made_up_pairs)
    name: str = "train"
    readings: int = 0

    def __iter__(self) -> Iterator[Pair]:
        self.readings += 1
        return iter(self.pairs)

    def fingerprint(self) -> str:
        return InMemory(self.pairs, self.name).fingerprint()


def run(train: Any, folder: Path, **changes: Any) -> Prepared:
    options = {"vocabulary_size": 400, "kind": "bpe", "joint": False, "longest": 90} | changes
    return prepare(train, folder=folder, **options)


def assert_same(first: Prepared, second: Prepared) -> None:
    assert [tokenizer.model for tokenizer in first.tokenizers] == [tokenizer.model for tokenizer in second.tokenizers]
    assert first.store.filtered == second.store.filtered
    for left, right in zip(first.store[:2], second.store[:2], strict=True):
        assert np.array_equal(left.ids, right.ids)
        assert np.array_equal(left.offsets, right.offsets)


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("chunk", [7, 10_000])
def test_the_store_holds_the_encoded_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, joint: bool, chunk: int
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    train = Counted()
    tokenizers, store = run(train, tmp_path, joint=joint)
    assert tokenizers.joint is joint
    assert store.filtered == Filtered(empty=0, too_long=0)
    for sequences, tokenizer, texts in (
        (store.source, tokenizers.source, [pair.source for pair in train.pairs]),
        (store.target, tokenizers.target, [pair.target for pair in train.pairs]),
    ):
        expected = tokenizer.encode_batch(texts)
        assert len(sequences) == len(texts)
        assert [sequences[index].tolist() for index in range(len(texts))] == expected
        assert sequences.lengths.tolist() == [len(ids) for ids in expected]
        assert sequences.ids.dtype == np.uint16
        assert sequences.lengths.dtype == np.int32
        assert isinstance(sequences.ids.base, np.memmap)
        assert isinstance(sequences.offsets.base, np.memmap)
        assert not sequences.ids.flags.writeable


def test_wide_vocabularies_get_wide_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = run(Counted(), tmp_path / "narrow")
    monkeypatch.setattr(module, "NARROW", 400)
    wide = run(Counted(), tmp_path / "wide")
    assert wide.store.source.ids.dtype == np.int32
    assert_same(narrow, wide)


def test_empty_and_long_pairs_are_left_out_on_both_sides_and_counted(tmp_path: Path) -> None:
    complete = made_up_pairs()
    pairs = [
        *complete[:100],
        Pair("", "b"),
        Pair("a", " \t\u00a0"),
        *complete[100:],
        Pair("", ""),
        Pair("a", " ".join(made_up_text(40, seed=2))),
    ]
    _, store = run(Counted(pairs), tmp_path)
    assert store.filtered == Filtered(empty=3, too_long=1)
    assert len(store.source) == len(store.target) == len(complete)


@pytest.mark.parametrize("kind", ["bpe", "unigram", "word", "char"])
def test_derived_pairs_do_not_change_the_tokenizer(tmp_path: Path, kind: str) -> None:
    """No word counts twice towards `min_frequency`, and the vocabulary is that of the text itself."""
    text = InMemory([*made_up_pairs(), Pair("einmalig", "unique")], "train")
    (tmp_path / "targets").write_text("".join(f"{pair.source}\n" for pair in text))
    distilled = Distilled(text, (tmp_path / "targets",), str)
    options = {"kind": kind, "joint": True, "min_frequency": 1 if kind in SUBWORDS else 2}
    one, both, more = (run(split, tmp_path, **options) for split in (text, BothDirections(text), distilled))
    assert one.tokenizers.source.model == both.tokenizers.source.model == more.tokenizers.source.model
    count = len(text.pairs)
    source, target = ([side[i].tolist() for i in range(2 * count)] for side in both.store[:2])
    assert source == target[count:] + target[:count]
    source, target = ([side[i].tolist() for i in range(2 * count)] for side in more.store[:2])
    assert source[:count] == source[count:] == target[count:] != target[:count]


def test_longest_counts_subwords_without_end_of_sentence(tmp_path: Path) -> None:
    everything = run(Counted(), tmp_path).store
    longer_sides = np.maximum(everything.source.lengths, everything.target.lengths)
    longest = int(np.median(longer_sides))
    store = run(Counted(), tmp_path, longest=longest).store
    assert len(store.source) == (longer_sides <= longest).sum() < len(longer_sides)
    assert store.filtered == Filtered(empty=0, too_long=int((longer_sides > longest).sum()))
    assert max(store.source.lengths.max(), store.target.lengths.max()) == longest


def test_nothing_left_is_refused_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"no pair of train is left .* 0 have an empty side and 250 .* than 1 subwords"
    ):
        run(Counted(), tmp_path, longest=1)
    assert not list(tmp_path.iterdir())


def test_bad_text_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_bytes(b"a\tb\n" * 1000 + b"\xff\n")
    with pytest.raises(InputError, match=r"train\.tsv, line 1001"):
        run(TabSeparated(tmp_path / "train.tsv", "train"), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"cannot write the prepared text to .*file"):
        run(Counted(), tmp_path / "file" / "cache")


def test_the_second_call_reads_no_text(tmp_path: Path) -> None:
    train = Counted()
    first = run(train, tmp_path)
    assert train.readings == 3  # two tokenizers and the encoding
    assert_same(first, run(train, tmp_path))
    assert train.readings == 3
    (entry,) = tmp_path.iterdir()
    assert not entry.name.startswith(".")


def test_whatever_decides_the_content_decides_the_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def entries() -> int:
        return len(list(tmp_path.iterdir()))

    run(Counted(), tmp_path)
    changes: list[dict[str, Any]] = [{"vocabulary_size": 399}, {"kind": "unigram"}, {"joint": True}, {"longest": 91}]
    changes += [{"coverage": 0.9995}, {"symbols": ("<b>",)}, {"symbols": ("<b>", "<i>")}, {"symbols": ("<i>", "<b>")}]
    for expected, change in enumerate(changes, start=2):
        run(Counted(), tmp_path, **change)
        assert entries() == expected
    run(Counted([*made_up_pairs(), Pair("a", "b")]), tmp_path)
    assert entries() == 10
    with monkeypatch.context() as patch:
        patch.setattr(sentencepiece, "__version__", "0.0")
        run(Counted(), tmp_path)
    assert entries() == 11
    monkeypatch.setattr(module, "FORMAT", 0)
    run(Counted(), tmp_path)
    assert entries() == 12


FILES = ["entry.json", "source.model", "source.ids", "source.offsets", "target.model", "target.ids", "target.offsets"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", ["absent", "shorter", "empty", "longer"])
def test_a_damaged_entry_is_made_anew(tmp_path: Path, name: str, damage: str) -> None:
    train = Counted()
    original = run(train, tmp_path)
    (entry,) = tmp_path.iterdir()
    assert sorted(path.name for path in entry.iterdir()) == sorted(FILES)
    file = entry / name
    if damage == "absent":
        file.unlink()
    else:
        content = file.read_bytes()
        file.unlink()  # what is mapped stays as it is
        file.write_bytes({"shorter": content[:-2], "empty": b"", "longer": content + b"\0\0"}[damage])
    assert_same(original, run(train, tmp_path))
    assert train.readings == 6
    assert_same(original, run(train, tmp_path))
    assert train.readings == 6
    assert list(tmp_path.iterdir()) == [entry]


@pytest.mark.parametrize(
    "text", ["[]", "null", '{"sizes": 3}', '{"sizes": {}, "joint": false}', '{"sizes": {"../x": 0}}']
)
def test_a_strange_description_is_a_damaged_entry(tmp_path: Path, text: str) -> None:
    train = Counted()
    original = run(train, tmp_path)
    (entry,) = tmp_path.iterdir()
    (entry / "entry.json").write_text(text)
    assert_same(original, run(train, tmp_path))
    assert train.readings == 6


def test_a_file_in_the_entrys_place_is_replaced(tmp_path: Path) -> None:
    original = run(Counted(), tmp_path)
    (entry,) = tmp_path.iterdir()
    shutil.rmtree(entry)
    entry.write_text("what is this?")
    assert_same(original, run(Counted(), tmp_path))
    assert entry.is_dir()


def test_a_whole_entry_of_another_process_is_taken_and_left_alone(tmp_path: Path) -> None:
    first = run(Counted(), tmp_path / "cache")
    (entry,) = (tmp_path / "cache").iterdir()
    before = entry.stat().st_ino
    built = shutil.copytree(entry, tmp_path / "built")
    assert_same(first, module._publish(built, entry))
    assert entry.stat().st_ino == before
    assert built.exists()


def prepare_beside_others(folder: Path, barrier: Any, results: Any) -> None:
    barrier.wait()
    prepared = run(Counted(), folder)
    results.put((prepared.tokenizers.source.model, int(prepared.store.target.ids.astype(np.int64).sum())))


@pytest.mark.slow
@pytest.mark.parametrize("damaged", [False, True])
def test_processes_that_build_at_once_all_end_well(tmp_path: Path, *, damaged: bool) -> None:
    expected = run(Counted(), tmp_path / "alone")
    folder = tmp_path / "shared"
    if damaged:
        run(Counted(), folder)
        (entry,) = folder.iterdir()
        (entry / "source.ids").unlink()
    context = multiprocessing.get_context("spawn")
    barrier, results = context.Barrier(3), context.Queue()
    processes = [context.Process(target=prepare_beside_others, args=(folder, barrier, results)) for _ in range(3)]
    for process in processes:
        process.start()
    contents = [results.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    total = int(expected.store.target.ids.astype(np.int64).sum())
    assert contents == [(expected.tokenizers.source.model, total)] * 3
    (entry,) = folder.iterdir()
    sizes = json.loads((entry / "entry.json").read_text())["sizes"]
    assert sizes == {path.name: path.stat().st_size for path in entry.iterdir() if path.name != "entry.json"}


@pytest.mark.slow
@pytest.mark.data
def test_real_text_is_stored_and_comes_back(real_data: Path, tmp_path: Path) -> None:
    corpus = multi30k(folder=real_data / "multi30k", source="de", target="en")
    tokenizers, store = run(corpus.train, tmp_path, vocabulary_size=4_000, joint=True)
    assert len(store.source) + store.filtered.too_long == 28_998
    for index, pair in zip(range(500), corpus.train, strict=False):
        assert tokenizers.source.decode(store.source[index].tolist()) == pair.source
        assert tokenizers.target.decode(store.target[index].tolist()) == pair.target


@pytest.mark.parametrize("indices", [[], [0], [1, 1], [3, 0, 2, 1, 3]])
def test_several_sequences_are_taken_at_once(indices: list[int]) -> None:
    """Among them an empty one, in any order, and more than once."""
    sequences = Sequences(np.array([7, 8, 9, 4, 5, 6], dtype=np.uint16), np.array([0, 2, 2, 5, 6]))
    ids, lengths = sequences.take(np.array(indices, dtype=int))
    wanted = [sequences[index].tolist() for index in indices]
    assert (ids.tolist(), lengths.tolist()) == ([*chain(*wanted)], [len(each) for each in wanted])
    assert ids.dtype == np.uint16
