"""How a request changes the attention weights of a model: an intervention by its name, and rows of weights."""

import math
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from seq2seq.attention.interventions import INTERVENTIONS, SMALLEST_REST
from seq2seq.config import Section
from seq2seq.config.intervention import NEEDS, USES, Head, Seed, Shift, Temperature
from seq2seq.config.types import one_of

NAMES = tuple(INTERVENTIONS)
"""The interventions of requests: all except `checkpoint`, whose value is a path of the machine."""


def integer(value: object) -> object:
    """In JSON Schema, 5.0 is an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Intervene(Section):
    """An intervention of docs/interventions.md, and the value that it uses. Null stands for the default."""

    name: Annotated[str, one_of(NAMES), Field(json_schema_extra={"enum": [*NAMES]})]
    seed: Annotated[Seed, BeforeValidator(integer)] | None = None
    shift: Annotated[Shift, BeforeValidator(integer)] | None = None
    head: Annotated[Head, BeforeValidator(integer)] | None = None
    temperature: Temperature | None = None

    @model_validator(mode="after")
    def _check(self) -> "Intervene":
        for option in self.values():
            if option not in USES[self.name]:
                raise ValueError(f"{self.name} does not use {option}; leave it out")
        if self.name in NEEDS and self.name not in self.values():
            raise ValueError(f"{self.name} needs the key {self.name}: {NEEDS[self.name]}")
        return self

    def values(self) -> dict[str, Any]:
        """The values that are not null."""
        return self.model_dump(exclude={"name"}, exclude_none=True)


def _check_row(weights: list[float]) -> list[float]:
    if not SMALLEST_REST < sum(weights) < math.inf:
        raise ValueError("the weights of a row need a finite sum above 0; null leaves a row to the model")
    return weights


Row = Annotated[list[Annotated[float, Field(ge=0)]], AfterValidator(_check_row)] | None
"""The weights of a target subword on each source subword and the end, or null for the weights of the model."""
