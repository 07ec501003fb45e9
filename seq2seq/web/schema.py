"""The OpenAPI description of the interface, made of the models that check it."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from seq2seq import __version__
from seq2seq.web.messages import AttendAnswer, ErrorAnswer, HealthAnswer, ModelsAnswer, Requests, TranslateAnswer
from seq2seq.web.refusal import STATUSES

REFERENCE = "#/components/schemas/{model}"
GET = (403, 405, 500)
POST = (400, 403, 405, 408, 413, 415, 422, 500, 503)
"""The statuses of refusals that a method may have."""


def describe(requests: Requests) -> dict[str, Any]:
    """The description as OpenAPI 3.1."""
    answers: list[type[BaseModel]] = [HealthAnswer, ModelsAnswer, TranslateAnswer, AttendAnswer, ErrorAnswer]
    kinds: list[tuple[type[BaseModel], Any]] = [(kind, "validation") for kind in requests]
    kinds += [(kind, "serialization") for kind in answers]
    _, definitions = models_json_schema(kinds, ref_template=REFERENCE)
    return {
        "openapi": "3.1.0",
        "info": {"title": "seq2seq", "version": __version__, "description": "Translation with attention."},
        "paths": {
            "/health": {"get": _operation("health", "Whether the server answers", HealthAnswer)},
            "/models": {"get": _operation("models", "The models, and the limits of a request", ModelsAnswer)},
            "/translate": {
                "post": _operation("translate", "Translates texts", TranslateAnswer, requests.translate),
            },
            "/attend": {
                "post": _operation(
                    "attend", "One translation with its attention and its search", AttendAnswer, requests.attend
                ),
            },
        },
        "components": {"schemas": definitions["$defs"]},
    }


def _operation(name: str, summary: str, answer: type[BaseModel], request: type[BaseModel] | None = None) -> Any:
    statuses = GET if request is None else POST
    operation = {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": "the answer", "content": _content(answer)},
            **{str(status): {"description": STATUSES[status], "content": _content(ErrorAnswer)} for status in statuses},
        },
    }
    if request is not None:
        operation["requestBody"] = {"required": True, "content": _content(request)}
    return operation


def _content(kind: type[BaseModel]) -> Any:
    return {"application/json": {"schema": {"$ref": REFERENCE.format(model=kind.__name__)}}}
