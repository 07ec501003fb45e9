"""The built-in corpus as a dataset: generated once with its annotations, and stored in the cache."""

import gzip
import hashlib
import json
import zlib
from pathlib import Path
from typing import Any

from seq2seq.runtime.files import replacing
from seq2seq.text import grammar
from seq2seq.text.alignment import Link
from seq2seq.text.annotations import AnnotatedSplit, Annotations
from seq2seq.text.corpus import Corpus, Pair
from seq2seq.text.grammar.corpus import LEXICON, without_garbage_collection


@without_garbage_collection()
def built_in(*, preset: str, seed: int, cache: Path, invented_names: float = 0.0) -> Corpus:
    """The German-English corpus of the grammar in `text/grammar`. Raises InputError for a bad lexicon."""
    path = cache / f"grammar-{_key(preset, seed, invented_names)}.json.gz"
    content = _read(path)
    if content is None:
        content = _generate(preset, seed, invented_names)
        _write(path, content)
    splits = {name: _split(name, examples) for name, examples in content["splits"].items()}
    train, validation, test = (splits.pop(name) for name in ("train", "validation", "test"))
    return Corpus("de", "en", train, validation, test, challenges=tuple(splits.values()))


def _key(preset: str, seed: int, invented_names: float) -> str:
    """A hash of all that decides the corpus: the code of the grammar, the lexicon, preset, seed and names."""
    code, lexicon = (
        [(path.name, path.read_text(encoding="utf-8")) for path in sorted(folder.glob(pattern))]
        for folder, pattern in ((Path(grammar.__file__).parent, "*.py"), (LEXICON, "*.tsv"))
    )
    return hashlib.sha256(json.dumps([code, lexicon, preset, seed, invented_names]).encode()).hexdigest()[:32]


def _write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as partial, gzip.open(partial, "wt", encoding="utf-8", compresslevel=1) as file:
        file.write(json.dumps(content, ensure_ascii=False))  # json.dump encodes in Python code, three times as slow


def _read(path: Path) -> dict[str, Any] | None:
    """The content of a cache file; None where it is missing or damaged."""
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            content: dict[str, Any] = json.load(file)
            return content
    except (OSError, EOFError, ValueError, zlib.error):
        return None


def _generate(preset: str, seed: int, invented_names: float) -> dict[str, Any]:
    corpus = grammar.generate(preset, seed=seed, invented_names=invented_names)
    splits = {"train": corpus.train, "validation": corpus.validation, "test": corpus.test, **corpus.challenges}
    return {"splits": splits}


def _split(name: str, examples: list[Any]) -> AnnotatedSplit:
    """The split of examples, which are tuples or, read from JSON, lists: source, target, links, tags, acceptable."""
    gold = tuple(
        Annotations(frozenset(Link(*link) for link in links), tuple(acceptable), tuple(tags))
        for _, _, links, tags, acceptable in examples
    )
    return AnnotatedSplit([Pair(source, target) for source, target, *_ in examples], name, gold)
