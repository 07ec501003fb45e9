"""The tree of a search, and the candidates of a translation, agree with the translation itself."""

from collections import Counter

import pytest

import seq2seq
from tests.library.test_prefix import numbers

TEXT = "Die Frau kauft dem Kind einen Apfel."


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"beam_size": 1},
        {"beam_size": 4, "n_best": 3, "length_penalty": 0.0},
        {"beam_size": 3, "n_best": 2, "prefix": "The man has"},
    ],
)
def test_the_path_of_each_result_spells_its_text(translator: seq2seq.Translator, options: dict[str, object]) -> None:
    tree = translator.search_tree(TEXT, **options)  # type: ignore[arg-type]
    translation = translator.translate(TEXT, **options)  # type: ignore[call-overload]
    assert numbers(tree.translation) == numbers(translation)
    results = (translation, *translation.alternatives)
    last = {node.hypothesis: node for node in tree.nodes if node.hypothesis}
    assert sorted(last) == [*range(1, len(results) + 1)]
    for number, one in enumerate(results, start=1):
        node = last[number]
        assert (node.total, node.score, node.status) == (one.log_probability, one.score, "ended")
        subwords, log_probabilities = [], []
        while node.parent is not None:
            subwords.append(node.subword)
            log_probabilities.append(node.log_probability)
            node = tree.nodes[node.parent]
        assert (*reversed(subwords),) == (*one.target_subwords, "</s>")
        assert (*reversed(log_probabilities),) == pytest.approx(one.token_log_probabilities, abs=1e-4)
    depths = [0]
    for node in tree.nodes[1:]:
        assert node.parent is not None
        depths.append(depths[node.parent] + 1)
        assert tree.nodes[node.parent].status == "kept"
        assert node.log_probability <= 0
    size = options.get("beam_size", 5)
    assert isinstance(size, int)
    assert max(Counter(depths).values()) <= 2 * size
    assert len(tree.nodes) <= 1 + 2 * size * (2 * len(translation.source_subwords) + 10)
    assert Counter(zip(depths, [node.rank for node in tree.nodes], strict=True)).most_common(1)[0][1] == 1
    assert repr(tree).startswith(f"SearchTree({len(tree.nodes)} nodes, Translation(")


def test_a_blank_text_has_a_root(translator: seq2seq.Translator) -> None:
    tree = translator.search_tree(" ")
    assert [node.subword for node in tree.nodes] == ["<s>"]
    assert tree.translation.text == ""
    assert len(translator.search_tree("", prefix="The").nodes) > 10


def test_a_tree_is_refused_as_a_translation_is(translator: seq2seq.Translator) -> None:
    with pytest.raises(seq2seq.InputError, match=r"^the sentence has \d+ subwords, more than the 1000 that"):
        translator.search_tree("Der Junge schlief. " * 400)
    with pytest.raises(seq2seq.InputError, match=r"beam_size: should be greater than or equal to 1, found 0"):
        translator.search_tree(TEXT, beam_size=0)
    with pytest.raises(seq2seq.InputError, match=r"^the prefix of the sentence has 'xyz'"):
        translator.search_tree(TEXT, prefix=["xyz"])


def test_candidates_agree_with_token_log_probabilities(translator: seq2seq.Translator) -> None:
    vocabulary = len(translator._translator.tokenizers.target)
    for one in (
        translator.translate(TEXT, prefix="The dog"),
        translator.attend(TEXT, "x9 §§ z!"),
        translator.attend("", ""),
    ):
        candidates = one.candidates(vocabulary + 7)
        assert len(candidates) == len(one.token_log_probabilities)
        for row, subword, log_probability in zip(
            candidates, (*one.target_subwords, "</s>"), one.token_log_probabilities, strict=True
        ):
            assert len(row) == len(dict(row)) == vocabulary
            assert dict(row)[subword] == pytest.approx(log_probability, abs=1e-4)
            values = [value for _, value in row]
            assert values == sorted(values, reverse=True)
        assert one.candidates(3) == tuple(row[:3] for row in candidates)
        assert one.candidates() == tuple(row[:10] for row in candidates)
        assert one.candidates(0) == ((),) * len(candidates)
        with pytest.raises(seq2seq.InputError, match=r"^n: expected 0 or more candidates, found -1$"):
            one.candidates(-1)
    greedy = translator.translate(TEXT, beam_size=1)
    assert [row[0][0] for row in greedy.candidates(1)] == [*greedy.target_subwords, "</s>"]
    assert translator.translate("").candidates() == ()


def test_a_candidate_can_be_chosen(translator: seq2seq.Translator) -> None:
    """What a page does when a reader clicks on a subword."""
    one, position = translator.translate(TEXT), 2
    for subword, _ in one.candidates(3)[position]:
        prefix = [*one.target_subwords[:position], subword]
        assert translator.translate(TEXT, prefix=prefix).target_subwords[: position + 1] == (*prefix,)
