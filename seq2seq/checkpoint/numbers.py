"""The base class of the numbers in a checkpoint."""

from pydantic import BaseModel, ConfigDict


class Numbers(BaseModel):
    """Frozen and strict, and refuses unknown keys, because the values come from a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
