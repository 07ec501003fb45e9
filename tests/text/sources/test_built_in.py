"""The built-in corpus as a dataset: its annotations fit its sentences, and the cache changes nothing."""

import errno
from pathlib import Path

import pytest

from seq2seq.text.alignment import check
from seq2seq.text.annotations import AnnotatedSplit, load_split
from seq2seq.text.corpus import Corpus
from seq2seq.text.sources.built_in import built_in

pytestmark = pytest.mark.usefixtures("unchecked")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def corpus(cache: Path) -> Corpus:
    return built_in(preset="tiny", seed=1, cache=cache)


def splits(corpus: Corpus) -> list[AnnotatedSplit]:
    parts = [corpus.train, corpus.validation, corpus.test, *corpus.challenges]
    assert all(isinstance(split, AnnotatedSplit) for split in parts)
    return [split for split in parts if isinstance(split, AnnotatedSplit)]


def test_every_pair_has_gold_that_lies_inside_its_sentences(corpus: Corpus) -> None:
    for split in splits(corpus):
        loaded = load_split(split)
        assert loaded.gold is not None
        assert len(loaded.gold) == len(loaded.pairs) > 0
        for number, (pair, gold) in enumerate(zip(loaded.pairs, loaded.gold, strict=True), start=1):
            assert gold.links
            assert gold.tags
            assert pair.target not in gold.acceptable
            words = {"source": len(pair.source.split(" ")), "target": len(pair.target.split(" "))}
            check(gold.links, **words, file=Path(split.name), line_number=number)


def test_what_the_cache_gives_is_what_was_generated(corpus: Corpus, cache: Path) -> None:
    (file,) = cache.iterdir()
    again = built_in(preset="tiny", seed=1, cache=cache)
    assert splits(again) == splits(corpus)
    file.write_bytes(file.read_bytes()[:1000])
    assert splits(built_in(preset="tiny", seed=1, cache=cache)) == splits(corpus)


def test_a_full_disk_is_named_and_nothing_stays_half_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, _: Path) -> None:
        assert path.stat().st_size > 0
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match=r"No space left on device: '.*grammar-\w+\.json\.gz'"):
        built_in(preset="tiny", seed=1, cache=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_seed_is_another_corpus_with_another_fingerprint(corpus: Corpus, cache: Path) -> None:
    other = built_in(preset="tiny", seed=2, cache=cache)
    assert list(other.train) != list(corpus.train)
    fingerprints = [split.fingerprint() for split in (*splits(corpus), *splits(other))]
    assert len(set(fingerprints)) == len(fingerprints)
