"""The gate by itself, with an application and a client that are slow on purpose."""

import asyncio

from starlette.types import Message, Receive, Scope, Send

from seq2seq.config import Limits
from seq2seq.web.gate import Gate

LIMITS = Limits(
    characters=9, texts=9, bytes=99, beam_size=9, n_best=9, requests=9, request_seconds=9.0, answer_seconds=0.05
)
SCOPE = {
    "type": "http",
    "method": "POST",
    "path": "/translate",
    "query_string": b"",
    "headers": [(b"content-type", b"application/json")],
}


def test_an_answer_that_comes_while_its_refusal_is_sent_is_left_out() -> None:
    sent: list[Message] = []
    unread = [{"type": "http.request", "body": b"{}", "more_body": False}]

    async def application(_: Scope, __: Receive, send: Send) -> None:
        await asyncio.sleep(0.1)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})

    async def receive() -> Message:
        return unread.pop() if unread else await asyncio.Future()

    async def send(message: Message) -> None:
        await asyncio.sleep(0.2)  # of a client that does not read
        sent.append(message)

    gate = Gate(application, hosts=None, origins=(), limits=LIMITS)
    asyncio.run(gate(SCOPE, receive, send))
    assert [message.get("status") for message in sent] == [503, None]
    assert b"no answer within 0.05 seconds" in sent[1]["body"]
