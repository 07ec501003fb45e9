"""The options of interventions in the attention of a trained model (`seq2seq/attention/interventions.py`)."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from seq2seq.attention.interventions import INTERVENTIONS, InterventionOptions
from seq2seq.config.types import PathOption, Section, as_names, one_of

USES = {name: intervention.options for name, intervention in INTERVENTIONS.items()} | {"checkpoint": ("checkpoint",)}
"""The options that each intervention uses. `checkpoint` takes the weights of another model."""

DEFAULTS = InterventionOptions._field_defaults

NEEDS = {
    "head": "the number of the head that stays, counted from 0",
    "temperature": "below 1 sharpens the weights, above 1 flattens them",
    "checkpoint": "the model whose weights are used",
}
"""Interventions whose option of the same name has no default, and what it is."""

Name = Annotated[str, one_of(USES)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Shift = Annotated[int, Field(ge=-(10**6), le=10**6)]
Head = Annotated[int, Field(ge=0)]
Temperature = Annotated[float, Field(ge=0.01, le=100)]


class InterventionValues(Section):
    """The values that interventions use; null stands for the default of `InterventionOptions`, or for none."""

    seed: Seed | None
    shift: Shift | None
    head: Head | None
    temperature: Temperature | None
    checkpoint: PathOption | None

    def of(self, name: str) -> dict[str, Any]:
        """The values that the intervention with this name uses."""
        values = {option: getattr(self, option) for option in USES[name]}
        return {option: DEFAULTS[option] if value is None else value for option, value in values.items()}

    def check(self, names: tuple[str, ...]) -> None:
        """Raises ValueError where one of the interventions needs a value, or where none of them uses a value."""
        for option in InterventionValues.model_fields:
            if (value := getattr(self, option)) is not None and not any(option in USES[name] for name in names):
                users = " or ".join(name for name, options in USES.items() if option in options)
                raise ValueError(f"attention.{option}={value} is for attention.intervene={users}, which is not set")
        for name in names:
            if name in NEEDS and getattr(self, name) is None:
                raise ValueError(f"attention.intervene={name} needs attention.{name}: {NEEDS[name]}")


def _check_single(names: object) -> object:
    if isinstance(names, list) and len(names) != 1:
        raise ValueError(f"expected one intervention, found {len(names)}; evaluate.py takes several")
    return names[0] if isinstance(names, list) else names


class Intervention(InterventionValues):
    """One intervention, or none."""

    intervene: Annotated[Name | None, BeforeValidator(_check_single)]

    @model_validator(mode="after")
    def _check(self) -> "Intervention":
        self.check(() if self.intervene is None else (self.intervene,))
        return self


class Interventions(InterventionValues):
    """Any number of interventions, each on its own. A single name stands for a list of one."""

    intervene: Annotated[
        tuple[Name, ...],
        BeforeValidator(lambda names: () if names is None else as_names(names)),
    ]

    @model_validator(mode="after")
    def _check(self) -> "Interventions":
        for i, name in enumerate(self.intervene):
            if name in self.intervene[:i]:
                raise ValueError(f"attention.intervene: {name} is given twice")
        self.check(self.intervene)
        return self


def intervention_name(name: str, values: InterventionValues) -> str:
    """`hard`, `shift (shift=2)`: an intervention with its values, for titles and tables."""
    options = ", ".join(
        f"{option}={value:g}" if isinstance(value, float) else f"{option}={value}"
        for option, value in values.of(name).items()
    )
    return f"{name} ({options})" if options else name
