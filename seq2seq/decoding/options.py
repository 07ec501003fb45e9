"""The options of a search, as the configuration has them."""

from dataclasses import dataclass

from seq2seq.decoding.penalties import Penalties


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """`size`, the penalties and `n_best` are those of `beam_search`. `batch` sentences are translated at a time.

    A source of more than `longest_source` subwords (or more than a location-based rule can score) is refused; with
    `too_long="truncate"` it is cut to that length. `min_length` and `no_repeat_ngram` are those of `with_constraints`.
    With `method="sample"`, `size` samples are drawn instead, from the `Distribution` of the options.
    `groups` and `diversity` are those of `diverse_beam_search`; one group is beam search.
    `rank_by` "chrf" or "bleu" ranks all `size` hypotheses by `expected_utilities` in place of their scores.
    """

    size: int
    length_penalty: float
    n_best: int
    batch: int
    longest_source: int
    too_long: str
    min_length: int = 0
    no_repeat_ngram: int = 0
    method: str = "beam"
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 1
    rank_by: str = "score"
    length_form: str = "power"
    coverage_penalty: float = 0.0
    groups: int = 1
    diversity: float = 0.5

    @property
    def penalties(self) -> Penalties:
        """What `score` in results is made of, beside the log-probability."""
        return Penalties(self.length_penalty, self.length_form, self.coverage_penalty)
