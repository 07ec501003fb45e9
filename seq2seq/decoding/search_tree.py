"""The beam search of one sentence as a tree: each candidate that was considered, and what became of it."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

from seq2seq.decoding.beam_search import Candidates
from seq2seq.decoding.hypotheses import Hypothesis
from seq2seq.text.tokenizer import BOS, EOS, Tokenizer

Status = Literal["kept", "dropped", "ended", "cut", "open"]


class SearchNode(NamedTuple):
    """A candidate of a search: the hypothesis of node `parent`, extended by one subword.

    `log_probability` is that of the subword, `total` that of the path from the root. `rank` is the candidate's place,
    from 1, among the candidates of its step, by `total`. `status` says what became of it:

    - `kept`: it was in the beam, and the next step extended it
    - `dropped`: others were better
    - `ended`: it is a complete hypothesis, whose subword is EOS
    - `cut`: it is a hypothesis without EOS, at the greatest length
    - `open`: it was in the beam when the search ended

    `score` is that of a hypothesis (`ended` or `cut`), and None for other nodes. `hypothesis`
    is k at the last node of the k-th of the `n_best` results, from 1. The root has no parent; its subword is BOS.
    """

    parent: int | None
    subword: str
    log_probability: float
    total: float
    status: Status
    rank: int
    score: float | None
    hypothesis: int | None


def search_nodes(
    steps: Sequence[Candidates], hypotheses: Sequence[Hypothesis], tokenizer: Tokenizer
) -> tuple[SearchNode, ...]:
    """The nodes of a search of one sentence, step after step, each step by rank. Parents come before children.

    `steps` are the candidates that `beam_search` shows its observer, `hypotheses` are its results.
    """
    nodes = [SearchNode(None, tokenizer.pieces([BOS])[0], 0.0, 0.0, "kept", 1, None, None)]
    children: dict[tuple[int, int], int] = {}  # (node, token) -> node
    beam = [0]  # the node of each row
    for length, step in enumerate(steps, start=1):
        assert len(step.totals) == 1, "a tree is of one sentence"
        totals, rows, tokens, ends, scores = (field[0].tolist() for field in step[:5])
        goes_on = {
            index
            for index, total in zip(step.beam[0].tolist(), step.beam_totals[0].tolist(), strict=True)
            if math.isfinite(total)
        }
        subwords = tokenizer.pieces(tokens)
        candidates: dict[int, int] = {}  # index of a candidate -> node
        for index, (total, row, token) in enumerate(zip(totals, rows, tokens, strict=True)):
            if not math.isfinite(total):
                continue
            status: Status = "dropped"
            if ends[index]:
                status = "ended" if token == EOS else "cut"
            elif index in goes_on:
                status = "kept" if length < len(steps) else "open"
            parent = beam[row]
            candidates[index] = children[parent, token] = len(nodes)
            nodes.append(
                SearchNode(
                    parent,
                    subwords[index],
                    total - nodes[parent].total,
                    total,
                    status,
                    rank=index + 1,
                    score=scores[index] if ends[index] else None,
                    hypothesis=None,
                )
            )
        beam = [candidates.get(index, -1) for index in step.beam[0].tolist()]
    for number, hypothesis in enumerate(hypotheses, start=1):
        node = 0
        for token in hypothesis.tokens:
            node = children[node, token]
        nodes[node] = nodes[node]._replace(hypothesis=number)
    return tuple(nodes)
