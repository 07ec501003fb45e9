"""A request that is refused: a status code and one sentence, as JSON."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from starlette.responses import JSONResponse, Response

from seq2seq.runtime.errors import InputError, printable_line

STATUSES = {
    400: "the request is no HTTP, or its body is no JSON",
    403: "the header Host or Origin names an address that is not allowed",
    404: "there is no such path",
    405: "the path has other methods",
    408: "the request took too long to arrive",
    413: "the body is too large",
    415: "the body is of another type than application/json, or compressed",
    422: "a value is not possible",
    500: "an error of the server's own",
    503: "the server has too much to do",
}
"""What each status of a refusal means."""


class Refusal(Exception):  # noqa: N818  # it is an answer
    """Ends a request. `field` is the key of the body that is wrong, such as `texts.3`."""

    def __init__(
        self, status: int, message: str, *, field: str | None = None, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.field = status, message, field
        self.headers = headers

    def response(self) -> Response:
        """The answer to the client."""
        content = {"error": printable_line(self.message), "field": self.field and printable_line(self.field)}
        return JSONResponse(content, self.status, headers=self.headers)


def busy(message: str) -> Refusal:
    """The refusal of a server that has too much to do now."""
    return Refusal(503, message, headers={"Retry-After": "1"})


@contextmanager
def refused(field: str | None) -> Iterator[None]:
    """Raises an InputError of the block as a Refusal. A model in memory reads no file, so no sentence has a path."""
    try:
        yield
    except InputError as error:
        raise Refusal(422, f"{field}: {error}" if field else str(error), field=field) from None
