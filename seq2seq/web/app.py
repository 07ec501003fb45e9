"""The paths of the interface and of the page, as an ASGI application."""

import json
from collections.abc import Mapping
from importlib.resources import files

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from seq2seq.config import Limits, Section
from seq2seq.web.messages import HealthAnswer, LimitsInfo, ModelsAnswer, limited, read
from seq2seq.web.models import ServedModel
from seq2seq.web.refusal import Refusal
from seq2seq.web.schema import describe

MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
"""Of the page's files. Other files of its folder are not served."""


def application(models: Mapping[str, ServedModel], limits: Limits) -> Starlette:
    """The application. The models share the limits; the first one answers where none is named."""
    requests = limited(limits, list(models))
    default = next(iter(models))
    info = ModelsAnswer(
        models=[model.info() for model in models.values()],
        limits=LimitsInfo(**limits.model_dump(include=set(LimitsInfo.model_fields))),
    )
    schema = json.dumps(describe(requests)).encode()
    page = page_files()

    async def translate(request: Request) -> Response:
        body = read(requests.translate, await request.body())
        request.state.texts = len(body.texts)
        return _json(await models[body.model or default].translate(body))

    async def attend(request: Request) -> Response:
        body = read(requests.attend, await request.body())
        request.state.texts = 1
        return Response(await models[body.model or default].attend(body), media_type="application/json")

    async def show_models(_: Request) -> Response:
        return _json(info)

    async def show_schema(_: Request) -> Response:
        return Response(schema, media_type="application/json")

    async def health(_: Request) -> Response:
        return _json(HealthAnswer(status="ok"))

    async def static(request: Request) -> Response:
        name = request.path_params.get("name", "index.html")
        if name not in page:
            raise HTTPException(404)
        content, media_type = page[name]
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    app = Starlette(
        routes=[
            Route("/", static),
            Route("/static/{name}", static),
            Route("/health", health),
            Route("/models", show_models),
            Route("/openapi.json", show_schema),
            Route("/translate", translate, methods=["POST"]),
            Route("/attend", attend, methods=["POST"]),
        ],
        exception_handlers={Refusal: _refuse, HTTPException: _refuse_path, Exception: _fail},
    )
    app.router.redirect_slashes = False
    return app


def page_files() -> dict[str, tuple[bytes, str]]:
    """The files of the page with their media types, by name."""
    folder = files("seq2seq.web") / "static"
    if not folder.is_dir():
        return {}
    return {
        file.name: (file.read_bytes(), media_type)
        for file in folder.iterdir()
        if (media_type := MEDIA_TYPES.get(f".{file.name.rpartition('.')[2]}"))
    }


def _json(answer: Section) -> Response:
    return Response(answer.model_dump_json(), media_type="application/json")


async def _refuse(_: Request, refusal: Exception) -> Response:
    assert isinstance(refusal, Refusal)
    return refusal.response()


async def _refuse_path(request: Request, error: Exception) -> Response:
    """Starlette's refusal of a path (404) or of a method (405)."""
    assert isinstance(error, HTTPException)
    path = request.url.path[:100]
    allowed = (error.headers or {}).get("Allow", "")
    message = f"{path}: use {allowed}" if error.status_code == 405 else f"{path}: no such path; see /openapi.json"
    return Refusal(error.status_code, message, headers=error.headers).response()


async def _fail(_: Request, __: Exception) -> Response:
    """The answer where our own code fails. The server logs the exception."""
    return Refusal(500, "the server made a mistake; its log says more").response()
