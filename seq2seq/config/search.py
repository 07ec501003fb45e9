"""The options of search, and the name of a search for logs and tables."""

from typing import Annotated

from pydantic import Field, PositiveInt, model_validator

from seq2seq.config.types import Section, one_of
from seq2seq.decoding.minimum_bayes_risk import UTILITIES
from seq2seq.decoding.penalties import LENGTH_FORMS

MOST_HYPOTHESES = 2**17  # limit of beam size times sentences in a batch


class Search(Section):
    """`longest_source` is in tokens; `too_long` says whether a longer line is an error or is cut.

    `min_length` is in subwords. `no_repeat_ngram` is the length of n-grams that occur once in a translation; 0 is off.
    With `method=sample`, `size` is the number of samples; `temperature`, `top_k`, `top_p` and `seed` are for it alone.
    `groups` and `diversity` are for diverse beam search; one group is beam search.
    """

    size: Annotated[int, Field(ge=1, le=1000)]
    length_penalty: Annotated[float, Field(ge=0, le=10)]  # a greater exponent of the length would overflow
    n_best: PositiveInt
    batch: PositiveInt
    longest_source: PositiveInt
    too_long: Annotated[str, one_of(("refuse", "truncate"))]
    min_length: Annotated[int, Field(ge=0, le=1000)]
    no_repeat_ngram: Annotated[int, Field(ge=0, le=100)]
    method: Annotated[str, one_of(("beam", "sample"))]
    temperature: Annotated[float, Field(gt=0, le=100)]
    top_k: Annotated[int, Field(ge=0)]
    top_p: Annotated[float, Field(gt=0, le=1)]
    seed: Annotated[int, Field(ge=0, lt=2**63)]
    rank_by: Annotated[str, one_of(("score", *UTILITIES))]
    length_form: Annotated[str, one_of(LENGTH_FORMS)]
    coverage_penalty: Annotated[float, Field(ge=0, le=100)]
    groups: PositiveInt
    diversity: Annotated[float, Field(ge=0, le=100)]

    @model_validator(mode="after")
    def _check_sizes(self) -> "Search":
        if self.method == "beam":
            for key, neutral in (("temperature", 1), ("top_k", 0), ("top_p", 1)):
                if (value := getattr(self, key)) != neutral:
                    raise ValueError(
                        f"search.{key}={value} is for sampling, and search.method={self.method}: set search=sample"
                    )
        if self.groups > 1 and self.method == "sample":
            raise ValueError(f"search.groups={self.groups} divides a beam, and search.method=sample: set search=beam")
        if self.size % self.groups:
            raise ValueError(
                f"search.groups={self.groups} must divide search.size={self.size}: set search.size="
                f"{self.groups * max(1, round(self.size / self.groups))}, for instance"
            )
        if self.rank_by != "score" and self.size == 1:
            raise ValueError(
                f"search.rank_by={self.rank_by} compares several hypotheses, and search.size=1: set search.size=10, or "
                "search.rank_by=score"
            )
        if self.n_best > self.size:
            raise ValueError(
                f"search.n_best={self.n_best} is more than the beam has with search.size={self.size}: set search.size="
                f"{self.n_best} or more"
            )
        if self.size * self.batch > MOST_HYPOTHESES:
            raise ValueError(
                f"search.size={self.size} times search.batch={self.batch} is {self.size * self.batch:,} hypotheses; "
                f"set them so that there are at most {MOST_HYPOTHESES:,}"
            )
        return self


def search_name(search: Search) -> str:
    """`greedy`, `beam 5`, `best of 10 samples`, or `MBR by chrf of beam 5`."""
    name = _name_of_method(search)
    return name if search.rank_by == "score" else f"MBR by {search.rank_by} of {name.removeprefix('best of ')}"


def _name_of_method(search: Search) -> str:
    if search.method == "sample":
        return f"best of {search.size} samples" if search.size > 1 else "a sample"
    name = "greedy" if search.size == 1 else f"beam {search.size}"
    return name if search.groups == 1 else f"{name} in {search.groups} groups"
