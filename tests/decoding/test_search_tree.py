"""The tree of a search against a search over Python lists, and against the hypotheses that the search returns."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from seq2seq.decoding.beam_search import Candidates, beam_search
from seq2seq.decoding.penalties import Penalties
from seq2seq.decoding.search_tree import search_nodes
from seq2seq.text.tokenizer import EOS, SubwordTokenizer
from tests.support.programs import ROOT
from tests.support.toy import END, START, VOCABULARY, Rows, Toy, plain_search

TOKENIZER = SubwordTokenizer((ROOT / "tests" / "data" / "old_run/run/checkpoints/best/source.model").read_bytes())
SUBWORDS = TOKENIZER.pieces(list(range(VOCABULARY)))
assert END == EOS


@given(
    seed=st.integers(0, 2**32),
    size=st.integers(1, 6),
    more=st.integers(0, 5),
    end=st.sampled_from([-6.0, 0.0, 2.0]),
    n_best=st.integers(1, 6),
    prefix=st.lists(st.integers(0, END - 1), max_size=3),
)
@settings(max_examples=80, deadline=None)
def test_the_tree_is_that_of_the_search_by_hand(
    seed: int, size: int, more: int, end: float, n_best: int, prefix: list[int]
) -> None:
    toy, n_best, limit = Toy(seed, end=end), min(n_best, size), max(1, len(prefix) + more)
    steps: list[Candidates] = []
    (hypotheses,) = toy.search(
        [4], limits=[limit], size=size, length_penalty=0.7, n_best=n_best, prefixes=[prefix], observe=steps.append
    )
    nodes = search_nodes(steps, hypotheses, TOKENIZER)
    _, considered = plain_search(toy, 4, limit=limit, size=size, length_penalty=0.7, n_best=n_best, prefix=prefix)
    paths: list[tuple[int, ...]] = [()]
    for i, node in enumerate(nodes[1:], start=1):
        assert node.parent is not None
        assert node.parent < i
        paths.append((*paths[node.parent], SUBWORDS.index(node.subword)))
        assert node.total == nodes[node.parent].total + node.log_probability
        assert (node.score is not None) == (node.status in ("ended", "cut"))
        if node.score is not None:
            assert node.score == node.total / len(paths[i]) ** 0.7
    assert (nodes[0].parent, nodes[0].subword, nodes[0].total, nodes[0].status) == (None, "<s>", 0.0, "kept")
    assert dict(zip(paths[1:], [(node.status, node.rank) for node in nodes[1:]], strict=True)) == {
        path: (each.status, each.rank) for path, each in considered.items()
    }
    assert [node.total for node in nodes[1:]] == pytest.approx([considered[path].total for path in paths[1:]])
    assert max(Counter(map(len, paths)).values()) <= 2 * size
    results = {node.hypothesis: path for node, path in zip(nodes, paths, strict=True) if node.hypothesis}
    assert results == {k: tuple(hypothesis.tokens) for k, hypothesis in enumerate(hypotheses, start=1)}
    assert len(results) == len(hypotheses) > 0
    for node in nodes:
        if node.hypothesis:
            assert node.score == hypotheses[node.hypothesis - 1].score
    assert [*map(len, paths)] == sorted(map(len, paths))


def test_impossible_words_have_no_node() -> None:
    def step(tokens: Tensor, state: Rows, _: Rows) -> tuple[list[Tensor], Rows, Tensor]:
        logits = torch.full((len(tokens), VOCABULARY), float("-inf"))
        logits[:, 1] = logits[:, END] = 0.0
        return [logits.log_softmax(dim=-1)], Rows(state.number), torch.ones(len(tokens), 1)

    rows, steps = Rows(torch.tensor([0])), list[Candidates]()
    options = {"limits": [3], "end": END, "size": 6, "penalties": Penalties(0.0), "n_best": 6}
    (hypotheses,) = beam_search(step, torch.tensor([START]), rows, rows, **options, observe=steps.append)  # type: ignore[arg-type]
    nodes = search_nodes(steps, hypotheses, TOKENIZER)
    assert Counter(node.status for node in nodes[1:]) == {"ended": 3, "kept": 2, "cut": 1}
    assert sorted(node.hypothesis for node in nodes if node.hypothesis) == [1, 2, 3, 4]


def test_a_model_without_numbers_has_a_root_alone() -> None:
    def step(tokens: Tensor, state: Rows, _: Rows) -> tuple[list[Tensor], Rows, Tensor]:
        return [torch.full((len(tokens), VOCABULARY), float("nan"))], state, torch.ones(len(tokens), 1)

    rows, steps = Rows(torch.tensor([0])), list[Candidates]()
    options = {"limits": [3], "end": END, "size": 2, "penalties": Penalties(0.0)}
    (hypotheses,) = beam_search(step, torch.tensor([START]), rows, rows, **options, observe=steps.append)  # type: ignore[arg-type]
    assert hypotheses == []
    assert len(search_nodes(steps, hypotheses, TOKENIZER)) == 1
