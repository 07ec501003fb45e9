"""The options of `seq2seq serve`."""

from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, PositiveInt

from seq2seq.config.schema import SearchDevice
from seq2seq.config.types import Section, WithCheckpoints, as_text

Seconds = Annotated[float, Field(gt=0, le=86400)]


class Limits(Section):
    """What one request may ask for, and how many there may be at a time."""

    characters: PositiveInt
    texts: PositiveInt
    bytes: PositiveInt
    beam_size: Annotated[int, Field(ge=1, le=1000)]
    n_best: Annotated[int, Field(ge=1, le=1000)]
    requests: PositiveInt
    request_seconds: Seconds
    answer_seconds: Seconds


def _origin(text: str) -> str:
    scheme, separator, host = text.partition("://")
    if scheme not in ("http", "https") or not separator or not host or set(host) & set("/?#@* "):
        raise ValueError("expected an origin such as https://example.org, without a path")
    return text.lower()


class Serve(WithCheckpoints):
    """The options of the server. `allowed_origins` are those of other pages, as a browser's header Origin has them."""

    host: Annotated[str, Field(min_length=1, max_length=255), BeforeValidator(as_text)]
    port: Annotated[int, Field(ge=0, le=65535)]
    allowed_origins: tuple[Annotated[str, AfterValidator(_origin)], ...]
    limits: Limits
    search: dict[str, Any]
    device: SearchDevice
