"""`SearchTree`: everything that the beam search of one sentence considered."""

from dataclasses import dataclass

from seq2seq.decoding.options import SearchOptions
from seq2seq.decoding.search_tree import SearchNode
from seq2seq.library.translation import Translation
from seq2seq.runtime.errors import InputError


@dataclass(frozen=True, eq=False, repr=False)
class SearchTree:
    """The beam search of one sentence: the candidates of each step, and the translation that was found.

    `nodes[0]` is the root, and each node stands after its parent. A step has at most `2 * beam_size` nodes, and a
    search at most `2 * n + 10` steps, where n is the number of source subwords, or `5 * n + 10` for characters.
    `translation` is that of `translate`; for k > 1 the node whose `hypothesis` is k ends its alternative k - 1.
    """

    nodes: tuple[SearchNode, ...]
    translation: Translation

    def __repr__(self) -> str:
        return f"SearchTree({len(self.nodes)} nodes, {self.translation!r})"


def check_has_tree(options: SearchOptions) -> None:
    """Raises InputError where a search with these options is not one tree."""
    if options.method == "sample":
        raise InputError("search_tree: samples are drawn one by one and have no tree; give method='beam'")
    if options.groups > 1:
        raise InputError("search_tree: groups of a diverse beam search have a tree each; give groups=1")
    if options.rank_by != "score":
        raise InputError("search_tree: a search has ranks by score; give rank_by='score'")
