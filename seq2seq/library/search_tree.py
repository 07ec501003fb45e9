"""`SearchTree`: everything that the beam search of one sentence considered."""

from dataclasses import dataclass

from seq2seq.decoding.search_tree import SearchNode
from seq2seq.library.translation import Translation


@dataclass(frozen=True, eq=False, repr=False)
class SearchTree:
    """The beam search of one sentence: the candidates of each step, and the translation that was found.

    `nodes[0]` is the root, and each node stands after its parent. A step has at most `2 * beam_size` nodes, and a
    search at most `2 * n + 10` steps, where n is the number of source subwords. `translation` is that of `translate`;
    for k > 1 the node whose `hypothesis` is k ends its alternative k - 1.
    """

    nodes: tuple[SearchNode, ...]
    translation: Translation

    def __repr__(self) -> str:
        return f"SearchTree({len(self.nodes)} nodes, {self.translation!r})"
