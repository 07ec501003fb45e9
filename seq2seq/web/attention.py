"""The answer of `/attend`: one translation with its attention, its candidates and its search."""

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Float

from seq2seq.library.search_tree import SearchTree
from seq2seq.library.translation import Translation
from seq2seq.library.translator import Translator
from seq2seq.text.tokenizer import EOS, SPECIAL
from seq2seq.text.units import Word, units
from seq2seq.web.messages import AttendAnswer, AttendRequest, Candidate, Hypothesis, Node, Options, number


def attend_answer(name: str, translator: Translator, request: AttendRequest, options: Options) -> AttendAnswer:
    """The answer of the model with this name. Raises InputError where a text is too long."""
    translation, tree = _read(translator, request, options)
    rows, columns = translation.subword_attention.shape
    candidates = translation.candidates(request.candidates) if request.candidates else ()
    return AttendAnswer(
        model=name,
        text=translation.text,
        score=number(translation.score),
        log_probability=number(translation.log_probability),
        source_words=list(translation.source_words),
        target_words=list(translation.target_words),
        attention=_rows(translation.attention),
        alignment=translation.alignment,
        source_subwords=_with_end(translation.source_subwords, columns),
        target_subwords=_with_end(translation.target_subwords, rows),
        subword_attention=_rows(translation.subword_attention),
        source_word_of_subword=_words_of_subwords(units(translation.source_subwords), columns),
        target_word_of_subword=_words_of_subwords(units(translation.target_subwords), rows),
        token_log_probabilities=[number(value) for value in translation.token_log_probabilities],
        candidates=[_candidates(row) for row in candidates],
        alternatives=[
            Hypothesis(text=other.text, score=number(other.score), log_probability=number(other.log_probability))
            for other in translation.alternatives
        ],
        tree=None if tree is None else _nodes(tree),
    )


def _read(translator: Translator, request: AttendRequest, options: Options) -> tuple[Translation, SearchTree | None]:
    """The translation, and the search where the request asks for it, with the attention that it changes."""
    if request.intervene is not None:
        translator = translator.intervene(request.intervene.name, **request.intervene.values())
    attention = request.attention
    if request.target is not None:
        penalty = options.length_penalty
        return translator.attend(request.source, request.target, attention=attention, length_penalty=penalty), None
    if request.tree:
        tree = translator.search_tree(request.source, prefix=request.prefix, attention=attention, **options._asdict())
        return tree.translation, tree
    translation = translator.translate(request.source, prefix=request.prefix, attention=attention, **options._asdict())
    return translation, None


def _rows(weights: Float[np.ndarray, "target source"]) -> list[list[float]]:
    return [[number(weight) for weight in row] for row in weights.tolist()]


def _with_end(subwords: Sequence[str], size: int) -> list[str]:
    """The subwords, and the end of the sentence where attention has a row or column for it."""
    return [*subwords, *[SPECIAL[EOS]] * (size - len(subwords))]


def _words_of_subwords(words: Sequence[Word], size: int) -> list[int | None]:
    """The index of each subword's word; None for the end of the sentence."""
    indices: list[int | None] = [i for i, word in enumerate(words) for _ in range(word.start, word.end)]
    return [*indices, *[None] * (size - len(indices))]


def _candidates(row: Iterable[tuple[str, float]]) -> list[Candidate]:
    return [Candidate(subword=subword, log_probability=number(value)) for subword, value in row]


def _nodes(tree: SearchTree) -> list[Node]:
    return [
        Node(
            parent=node.parent,
            subword=node.subword,
            log_probability=number(node.log_probability),
            total=number(node.total),
            status=node.status,
            rank=node.rank,
            score=None if node.score is None else number(node.score),
            hypothesis=node.hypothesis,
        )
        for node in tree.nodes
    ]
