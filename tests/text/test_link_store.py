"""Links between words become links between subwords, on disk, pair by pair, also where pairs are left out."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seq2seq.runtime.errors import InputError
from seq2seq.text import link_store as module
from seq2seq.text.alignment import Link
from seq2seq.text.annotations import AnnotatedSplit, Annotations
from seq2seq.text.batches import collate
from seq2seq.text.corpus import InMemory, Pair
from seq2seq.text.link_store import Alignments, alignments_of_files, gold_alignments, subword_links, with_links
from seq2seq.text.store import Prepared, prepare
from seq2seq.text.units import Word, segment_spans, words
from tests.support.lines import made_up_text

# --- projection -------------------------------------------------------------------------------------------------------

GERMAN = ["▁das", "▁Haus", "tür", "chen"]
ENGLISH = ["▁the", "▁door", "▁of", "▁the", "▁ho", "use"]


def test_every_subword_of_a_word_is_linked_with_every_subword_of_the_other() -> None:
    links = [Link(0, 0), Link(1, 1), Link(1, 4)]
    assert subword_links(links, words(GERMAN), words(ENGLISH)) == [
        *[(0, 0)],  # das - the
        *[(1, 1), (2, 1), (3, 1)],  # Haustürchen - door
        *[(1, 4), (2, 4), (3, 4), (1, 5), (2, 5), (3, 5)],  # Haustürchen - house
    ]


def test_possible_links_count_where_a_word_has_no_sure_ones() -> None:
    possible = [Link(0, 1, sure=False), Link(0, 0, sure=False), Link(1, 0)]
    source, target = words(["▁a", "▁b"]), words(["▁A", "▁B"])
    assert subword_links(possible, source, target) == [(1, 0), (0, 1)]
    assert subword_links([], source, target) == []


def test_a_piece_of_two_linked_characters_has_the_links_of_both() -> None:
    source, target = ["▁", "我们", "来"], ["▁we", "▁came"]
    assert [word[1:] for word in segment_spans(source)] == [(0, 2), (0, 2), (2, 3)]
    links = [Link(0, 0), Link(1, 0), Link(2, 1)]
    assert subword_links(links, segment_spans(source), segment_spans(target)) == [(0, 0), (1, 0), (2, 1)]


def test_spans_of_characters_in_mixed_and_spaced_text() -> None:
    assert segment_spans(["▁iP", "hone", "很好", "。"]) == [
        Word("iPhone", 0, 2),
        Word("很", 2, 3),
        Word("好", 2, 3),
        Word("。", 3, 4),
    ]
    assert segment_spans(GERMAN) == words(GERMAN)
    assert segment_spans(["▁كتاب", "ان", "▁في"]) == words(["▁كتاب", "ان", "▁في"])
    assert segment_spans(["▁", "<0xE2>", "<0x82>", "<0xAC>"]) == [Word("€", 0, 4)]


# --- the store --------------------------------------------------------------------------------------------------------


def text() -> list[Pair]:
    """Sentences, an empty pair, a long pair, and a repetition."""
    pairs = [Pair(*pair) for pair in zip(made_up_text(120), made_up_text(120, seed=1), strict=True)]
    long = Pair(" ".join(made_up_text(40, seed=2)), pairs[51].target)
    return [*pairs[:50], Pair("", "a"), Pair(" ", "b"), long, pairs[50], pairs[50], *pairs[51:]]


def gold(pairs: list[Pair]) -> list[frozenset[Link]]:
    """The diagonal of each pair; every seventh has no links."""
    lengths = [min(len(pair.source.split()), len(pair.target.split())) for pair in pairs]
    return [frozenset(Link(j, j) for j in range(length if i % 7 else 0)) for i, length in enumerate(lengths)]


def prepared(pairs: list[Pair], folder: Path) -> tuple[AnnotatedSplit, Prepared]:
    train = AnnotatedSplit(pairs, "train", tuple(map(Annotations, gold(pairs))))
    return train, prepare(train, folder=folder, vocabulary_size=400, kind="bpe", joint=False, longest=90)


def link(train: Any, text: Prepared, folder: Path, alignments: Alignments | None = None) -> Prepared:
    return with_links(text, train, alignments or gold_alignments(train), folder=folder, units="words")


@pytest.mark.parametrize("chunk", [7, 10_000])
def test_each_stored_pair_has_its_own_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    train, plain = prepared(text(), tmp_path)
    assert plain.store.filtered == (2, 1)
    linked = link(train, plain, tmp_path)
    links, store = linked.store.links, linked.store
    assert links is not None
    assert len(links) == len(store.source)
    assert links.ids.dtype == np.uint16
    assert isinstance(links.ids.base, np.memmap)
    stored = [i for i, pair in enumerate(train.pairs) if pair.has_both_sides and i != 52]
    for index, i in enumerate(stored):
        pair = train.pairs[i]
        sides = [words(t.pieces(t.encode(side))) for t, side in zip(plain.tokenizers, pair, strict=True)]
        expected = subword_links(train.gold[i].links or (), *sides)
        assert links[index].reshape(-1, 2).tolist() == [list(each) for each in expected]
    assert any(len(links[index]) == 0 for index in range(len(links)))


def test_a_batch_has_the_links_of_its_sentences(tmp_path: Path) -> None:
    train, plain = prepared(text(), tmp_path)
    store = link(train, plain, tmp_path).store
    assert store.links is not None
    indices = np.array([9, 0, 33])
    assert len(store.links[0]) == 0  # a pair without links between others
    batch = collate(store, indices)
    assert batch.links is not None
    expected = torch_links(
        batch.links.shape, [store.links[index].reshape(-1, 2).tolist() for index in indices.tolist()]
    )
    assert batch.links.tolist() == expected
    assert batch.linked_tokens == sum(any(row) for sentence in expected for row in sentence)
    none = collate(store, np.array([0]))
    assert none.links is not None
    assert not none.links.any()
    assert none.linked_tokens == 0
    assert collate(plain.store, indices).links is None


def torch_links(shape: Any, sentences: list[Any]) -> list[list[list[bool]]]:
    return [
        [[[source, target] in links for source in range(shape[2])] for target in range(shape[1])] for links in sentences
    ]


def test_a_file_in_pharaoh_format_gives_the_same(tmp_path: Path) -> None:
    train, plain = prepared(text(), tmp_path)
    content = "\n".join(" ".join(f"{i.source}-{i.target}" for i in links) for links in gold(train.pairs)) + "\n"
    halves = [tmp_path / "one", tmp_path / "two"]
    split = content.index("\n", len(content) // 2) + 1
    for path, part in zip(halves, (content[:split], content[split:]), strict=True):
        path.write_text(part)
    links = link(train, plain, tmp_path / "cache", alignments_of_files(halves)).store.links
    wanted = link(train, plain, tmp_path).store.links
    assert links is not None
    assert wanted is not None
    assert np.array_equal(links.ids, wanted.ids)
    assert np.array_equal(links.offsets, wanted.offsets)


def test_the_file_is_made_once_and_again_when_it_is_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train, plain = prepared(text(), tmp_path)
    before = link(train, plain, tmp_path).store.links
    (path,) = tmp_path.glob("links-*")
    content = path.read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(module, "_write", None)
        assert link(train, plain, tmp_path).store.links is not None
    for damaged in (b"", content[:-1], content[:100]):
        path.unlink()
        path.write_bytes(damaged)
        after = link(train, plain, tmp_path).store.links
        assert before is not None
        assert after is not None
        assert np.array_equal(after.ids, before.ids)
        assert path.read_bytes() == content


def file_of(lines: list[str], tmp_path: Path) -> Alignments:
    path = tmp_path / "train.align"
    path.write_text("".join(f"{line}\n" for line in lines))
    return alignments_of_files([path])


@pytest.mark.parametrize("change", [-1, 1])
def test_another_number_of_lines_is_refused_with_both_numbers(tmp_path: Path, change: int) -> None:
    train, plain = prepared(text(), tmp_path)
    count = len(train.pairs)
    with pytest.raises(InputError, match=rf"train\.align: {count + change} lines, but train has {count} pairs"):
        link(train, plain, tmp_path, file_of(["0-0"] * (count + change), tmp_path))
    assert not list(tmp_path.glob("links-*"))


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0-0 99-0", "train.align, line 3: 99-0 points at source word 99"),
        ("0-0 1", "train.align, line 3: '1' is not an alignment link"),
    ],
)
def test_a_wrong_link_is_refused_with_file_and_line(tmp_path: Path, line: str, message: str) -> None:
    train, plain = prepared(text(), tmp_path)
    lines = ["0-0", "", line, *[""] * (len(train.pairs) - 3)]
    with pytest.raises(InputError, match=re.escape(message)):
        link(train, plain, tmp_path, file_of(lines, tmp_path))
    assert not list(tmp_path.glob("links-*"))


def test_text_without_any_link_is_refused(tmp_path: Path) -> None:
    train, plain = prepared(text(), tmp_path)
    with pytest.raises(InputError, match="no training pair has a link"):
        link(train, plain, tmp_path, file_of([""] * len(train.pairs), tmp_path))


def test_other_text_units_or_links_have_a_file_of_their_own(tmp_path: Path) -> None:
    train, plain = prepared(text(), tmp_path)
    link(train, plain, tmp_path)
    link(train, plain, tmp_path, file_of(["0-0"] * len(train.pairs), tmp_path))
    with_links(plain, train, gold_alignments(train), folder=tmp_path, units="characters")
    link(InMemory(train.pairs, "train"), plain, tmp_path, gold_alignments(train))  # the same text
    assert len(list(tmp_path.glob("links-*"))) == 3
