"""Plain numbers in a checkpoint."""

from pydantic import BaseModel, ConfigDict


class Numbers(BaseModel):
    """Frozen, strict, and closed, since it comes from a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
