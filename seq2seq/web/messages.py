"""What requests and answers hold: the models that check a request, and that the schema describes."""

import math
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import BeforeValidator, Field, ValidationError, create_model

from seq2seq.config import Limits, Section
from seq2seq.config.suggestions import show
from seq2seq.config.types import one_of
from seq2seq.web.attention_change import Intervene, Row, integer
from seq2seq.web.refusal import Refusal

LONGEST_SUBWORD = 200
"""Characters of a subword in a prefix. SentencePiece's have 16."""
MOST_CANDIDATES = 20


class Request(Section):
    """What every request may have. Null is as not given: the first model, and the options of its training."""

    model: str | None = None
    beam_size: int | None = None
    n_best: int | None = None
    length_penalty: Annotated[float, Field(ge=0, le=10)] | None = None


class TranslateRequest(Request):
    """Texts to translate. `prefixes` has the start of each translation: text, subwords, or null."""

    texts: list[str]
    prefixes: list[str | list[str] | None] | None = None


class AttendRequest(Request):
    """A text whose translation is to be looked at: the model's own, after `prefix`, or the one that `target` gives.

    `intervene` changes all attention weights. The rows of `attention` replace those of the first target subwords.
    """

    source: str
    target: str | None = None
    prefix: str | list[str] | None = None
    candidates: Annotated[int, Field(ge=0, le=MOST_CANDIDATES), BeforeValidator(integer)] = 8
    tree: bool = False
    intervene: Intervene | None = None
    attention: list[Row] | None = None


class Options(NamedTuple):
    """The options of a search, all of them known. Requests with equal ones share batches."""

    beam_size: int
    n_best: int
    length_penalty: float


class Requests(NamedTuple):
    """The models of requests, with the limits of a server and the names of its models."""

    translate: type[TranslateRequest]
    attend: type[AttendRequest]


def limited(limits: Limits, names: Sequence[str]) -> Requests:
    """The models of requests for a server."""
    text: Any = Annotated[str, Field(max_length=limits.characters)]
    subword = Annotated[str, Field(max_length=LONGEST_SUBWORD)]
    subwords: Any = Annotated[list[subword], Field(max_length=limits.characters)]
    name: Any = Annotated[str, one_of(names), Field(json_schema_extra={"enum": [*names]})]
    texts: Any = Annotated[list[text], Field(max_length=limits.texts)]
    prefixes: Any = Annotated[list[text | subwords | None], Field(max_length=limits.texts)]
    shared: dict[str, Any] = {
        "model": (name | None, None),
        "beam_size": (Annotated[int, Field(ge=1, le=limits.beam_size), BeforeValidator(integer)] | None, None),
        "n_best": (Annotated[int, Field(ge=1, le=limits.n_best), BeforeValidator(integer)] | None, None),
    }
    return Requests(
        create_model(
            "TranslateRequest",
            __base__=TranslateRequest,
            __doc__=TranslateRequest.__doc__,
            texts=(texts, ...),
            prefixes=(prefixes | None, None),
            **shared,
        ),
        create_model(
            "AttendRequest",
            __base__=AttendRequest,
            __doc__=AttendRequest.__doc__,
            source=(text, ...),
            target=(text | None, None),
            prefix=(text | subwords | None, None),
            attention=(Annotated[list[Row], Field(max_length=limits.characters)] | None, None),
            **shared,
        ),
    )


Kind = TypeVar("Kind", bound=Request)


def read(kind: type[Kind], body: bytes) -> Kind:
    """The request in a body. Raises Refusal: 400 for what is no JSON, 422 for a value that is not possible."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        detail = error.errors(include_url=False)[0]
    if detail["type"] == "json_invalid":
        raise Refusal(400, f"the body is no JSON: {detail['ctx']['error']}")
    # The key, with indices and keys of `intervene`; pydantic adds the names of a union's members.
    first, *rest = detail["loc"] or ("",)
    is_part = first == "intervene"
    field = ".".join([str(first)[:80], *(str(part)[:80] for part in rest if is_part or isinstance(part, int))])
    if detail["type"] == "extra_forbidden":
        keys = Intervene.model_fields if is_part and rest else kind.model_fields
        raise Refusal(422, f"{field}: no such key, choose from {', '.join(keys)}", field=field)
    if detail["type"] == "missing":
        raise Refusal(422, f"{field}: not given", field=field)
    if not field:
        raise Refusal(422, "expected an object with the keys " + ", ".join(kind.model_fields))
    message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    value = detail["input"]
    found = f", found {show(value)}" if isinstance(value, bool | int | float | None) else ""
    raise Refusal(422, f"{field}: {message[0].lower()}{message[1:]}{found}", field=field)


# --- answers ----------------------------------------------------------------------------------------------------------


class Hypothesis(Section):
    """`score` is the log-probability with the model's length penalty and coverage penalty."""

    text: str
    score: float
    log_probability: float


class Translated(Hypothesis):
    alternatives: list[Hypothesis]


class TranslateAnswer(Section):
    """The translations of the texts, in order."""

    model: str
    translations: list[Translated]


class Candidate(Section):
    subword: str
    log_probability: float


class Node(Section):
    """A node of the search tree; see `SearchNode` in docs/python.md."""

    parent: int | None
    subword: str
    log_probability: float
    total: float
    status: Literal["kept", "dropped", "ended", "cut", "open"]
    rank: int
    score: float | None
    hypothesis: int | None


class AttendAnswer(Section):
    """A translation with its attention: a row for each target word (`attention`) or subword (`subword_attention`)."""

    model: str
    text: str
    score: float
    log_probability: float
    source_words: list[str]
    target_words: list[str]
    attention: list[list[float]]
    alignment: list[tuple[int, int]]
    source_subwords: list[str]
    target_subwords: list[str]
    subword_attention: list[list[float]]
    source_word_of_subword: list[int | None]
    target_word_of_subword: list[int | None]
    token_log_probabilities: list[float]
    candidates: list[list[Candidate]]
    alternatives: list[Hypothesis]
    tree: list[Node] | None


class ModelInfo(Section):
    """A model, and the options of its search. `longest_source` is in subwords."""

    name: str
    source: str
    target: str
    attention: str
    distribution: str
    decoder: str
    encoder: str
    step: int
    parameters: int
    beam_size: int
    length_penalty: float
    longest_source: int
    heads: int


class LimitsInfo(Section):
    """The greatest values of a request."""

    characters: int
    texts: int
    bytes: int
    beam_size: int
    n_best: int


class ModelsAnswer(Section):
    models: list[ModelInfo]
    limits: LimitsInfo


class HealthAnswer(Section):
    status: str


class ErrorAnswer(Section):
    """Why a request is refused, in one sentence. `field` is the key of the body that is wrong."""

    error: str
    field: str | None


def number(value: float) -> float:
    """A number for JSON, with six digits after the point. What JSON cannot write becomes the nearest that it can."""
    if math.isnan(value):
        return 0.0
    return round(max(-1e300, min(float(value), 1e300)), 6)
