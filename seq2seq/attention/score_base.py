"""What all rules share: the sizes that they are made for, and their properties."""

from typing import ClassVar, NamedTuple

from jaxtyping import Float
from torch import Tensor, nn


class ScoreSizes(NamedTuple):
    """Sizes that a rule may need: the widths of query, key and value, the greatest source length, the number of heads.

    `positions` is the greatest source length in tokens, EOS counted. `window` is a number of tokens to each side.
    """

    query: int
    key: int
    value: int
    positions: int
    heads: int
    window: int = 5


class Score(nn.Module):
    """A rule: the scores e of all source positions for each query.

    A content-based rule compares the query with the key of each position. A location-based rule scores the positions
    without their keys.

    - `location_based`: decides which vectors a decoder passes as Q and K (the table in `nn/decoder.py`)
    - `needs_equal_widths`: the rule multiplies query and key directly, so both must have the same width
    - `is_uniform`: all scores are equal
    - `follows_history`: the scores depend on the weights of earlier target words (see `attention/history.py`)
    - `heads`: the number of scores for each position
    """

    location_based: ClassVar[bool] = False
    needs_equal_widths: ClassVar[bool] = False
    is_uniform: ClassVar[bool] = False
    follows_history: ClassVar[bool] = False
    heads: int = 1

    def __init__(self, sizes: ScoreSizes) -> None:
        super().__init__()
        assert not self.needs_equal_widths or sizes.query == sizes.key, (
            f"{type(self).__name__} needs query and key of one width: {sizes}"
        )

    def prepare(self, key: Float[Tensor, "batch source key"]) -> Float[Tensor, "batch source prepared"]:
        """The part of the score that depends on the keys alone, computed once for each sentence, not at each step."""
        return key

    def prepare_value(self, value: Float[Tensor, "batch source value"]) -> Float[Tensor, "batch source value"]:
        """The values that the weights mix. Head h mixes the h-th part of their width."""
        return value

    def forward(
        self, query: Float[Tensor, "batch target query"], key: Float[Tensor, "batch source prepared"]
    ) -> Float[Tensor, "batch rows source"]:
        """The scores. `key` is a result of `prepare`; `rows` is target x heads, with the heads of a word adjacent."""
        raise NotImplementedError
