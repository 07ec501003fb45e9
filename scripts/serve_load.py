"""Measure `seq2seq serve` under load, beside `translate.py` with the same sentences.

  python scripts/serve_load.py --checkpoint runs/NAME/checkpoints/best --source test.de

Sends one sentence in each request, many requests at a time, over connections that stay open. The clients take part of
the same processors. The time of `translate.py` is that for all sentences less that for one, so it has no start-up.
Both are measured in turn; a figure is the median of the rounds.
"""

import argparse
import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple
from urllib.parse import urlsplit

from seq2seq.runtime.errors import InputError, print_errors
from seq2seq.text.lines import read_lines

TRANSLATE = Path(__file__).resolve().parents[1] / "translate.py"


class Round(NamedTuple):
    """One measurement of the server: the texts, None for a request that failed; the seconds of each and of all."""

    texts: list[str | None]
    latencies: list[float]
    seconds: float


async def send(url: str, sentences: Sequence[str], together: int) -> Round:
    """Sends each sentence in a request of its own, `together` of them at a time."""
    texts: list[str | None] = [None] * len(sentences)
    latencies: list[float] = []
    numbers = iter(range(len(sentences)))
    address = urlsplit(url)

    async def client() -> None:
        reader, writer = await asyncio.open_connection(address.hostname, address.port)
        for number in numbers:
            body = json.dumps({"texts": [sentences[number]]}).encode()
            head = f"POST /translate HTTP/1.1\r\nHost: {address.netloc}\r\nContent-Type: application/json\r\n"
            started = time.perf_counter()
            writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            length = int(answer.partition("content-length: ")[2].partition("\r\n")[0])
            content = await reader.readexactly(length)
            latencies.append(time.perf_counter() - started)
            if answer.startswith("http/1.1 200 "):
                texts[number] = json.loads(content)["translations"][0]["text"]
        writer.close()

    started = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(together)))
    return Round(texts, latencies, time.perf_counter() - started)


@contextlib.contextmanager
def server(options: Sequence[str]) -> Iterator[str]:
    """The address of a server with these options, on a free port."""
    command = [sys.executable, "-m", "seq2seq", "serve", *options, "port=0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        if not (line := process.stdout.readline()):
            raise InputError("the server did not start: try `seq2seq serve` with the same options")
        yield line.partition(" ")[0]
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def translate(options: Sequence[str], sentences: Sequence[str]) -> tuple[list[str], float]:
    """The texts of `translate.py`, and its seconds."""
    started = time.perf_counter()
    command = [sys.executable, str(TRANSLATE), *options]
    text = "".join(f"{sentence}\n" for sentence in sentences)
    result = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    return result.stdout.splitlines(), time.perf_counter() - started


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", required=True, metavar="FOLDER", help="a checkpoint")
    parser.add_argument("--source", required=True, type=Path, metavar="FILE", help="a sentence in each line")
    parser.add_argument("--requests", type=int, default=2000, metavar="N", help="(default: %(default)s)")
    parser.add_argument(
        "--together", type=int, default=50, metavar="N", help="requests at a time (default: %(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(default: %(default)s)")
    parser.add_argument("options", nargs="*", metavar="KEY=VALUE", help="options of both programs, such as device=cpu")
    chosen = parser.parse_args(arguments)
    lines = [line for line in read_lines(chosen.source) if line.strip()]
    if not lines:
        raise InputError(f"--source: {chosen.source} has no sentence")
    sentences = list(islice(cycle(lines), chosen.requests))
    options = [f"checkpoint={chosen.checkpoint}", *chosen.options]
    ratios = []
    with server(options) as url:
        asyncio.run(send(url, sentences[: chosen.together], chosen.together))
        for _ in range(chosen.rounds):
            _, start = translate(options, sentences[:1])
            expected, seconds = translate(options, sentences)
            answers = asyncio.run(send(url, sentences, chosen.together))
            batch, served = len(sentences) / (seconds - start), len(sentences) / answers.seconds
            failed = sum(text is None for text in answers.texts)
            different = sum(text != line for text, line in zip(answers.texts, expected, strict=True)) - failed
            slow = quantiles(answers.latencies, n=20)[-1]
            ratios.append(served / batch)
            print(
                f"translate.py {batch:.0f} sentences/s, server {served:.0f} ({served / batch:.2f}); {failed} failed, "
                f"{different} other texts; an answer takes {1000 * median(answers.latencies):.0f} ms, 95 % at most "
                f"{1000 * slow:.0f} ms",
                flush=True,
            )
    print(f"median ratio {median(ratios):.2f}")


if __name__ == "__main__":
    with print_errors():
        main()
