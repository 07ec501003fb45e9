"""What a board writes is what TensorBoard shows: read back from the files, and over HTTP from the real program."""

import html
import json
import math
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import warnings
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seq2seq.reporting.attention import Attention
from seq2seq.reporting.heatmap import heatmap, pixels
from seq2seq.reporting.tensorboard import Board, Sample, table

PNG = b"\x89PNG\r\n\x1a\n"
ATTENTION = Attention(["ein", "Hund"], ["a", "dog", "."], np.array([[1.0, 0.0], [0.25, 0.75], [0.5, 0.5]]))
SAMPLES = [Sample("ein Hund | da", "a <b>dog</b>", "a `dog`\nthere"), Sample("Ja.", "Yes.", "")]


def write(folder: Path) -> None:
    with Board(folder) as board:
        for step in (1, 2, 3):
            board.scalars({"train/loss": 1 / step, "train/sentences": 64 * step}, step)
        board.heatmap("attention/first", ATTENTION, 3, title="step 3")
        board.translations(SAMPLES, 3)
        board.hyperparameters(
            {"attention": "dot", "seed": 7, "learning_rate": 0.5, "tied": True}, {"bleu": 31.5, "alignment_error": 0.25}
        )


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder))
    accumulator.Reload()
    return accumulator


def test_scalars_come_back_with_their_steps(tmp_path: Path) -> None:
    write(tmp_path / "run")
    found = read(tmp_path / "run")
    assert [(event.step, event.value) for event in found.Scalars("train/loss")] == [
        (1, 1), (2, 0.5), (3, pytest.approx(1 / 3))
    ]  # fmt: skip
    assert [event.value for event in found.Scalars("train/sentences")] == [64, 128, 192]
    assert [event.value for event in found.Scalars("final/bleu")] == [31.5]


def test_no_number_is_written_as_no_number(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        board.scalars({"train/loss": math.nan, "train/norm": math.inf}, 1)
    assert math.isnan(read(tmp_path).Scalars("train/loss")[0].value)
    assert math.isinf(read(tmp_path).Scalars("train/norm")[0].value)


def test_the_picture_is_the_heat_map(tmp_path: Path) -> None:
    write(tmp_path)
    (event,) = read(tmp_path).Images("attention/first")
    expected = pixels(heatmap(ATTENTION, "step 3"))
    assert event.encoded_image_string.startswith(PNG)
    assert (event.step, event.height, event.width) == (3, *expected.shape[:2])


def test_everything_is_in_one_run(tmp_path: Path) -> None:
    write(tmp_path / "run")
    assert [path.is_file() for path in tmp_path.rglob("*")] == [False, True]  # the folder and one file of events


def test_what_was_written_survives_an_error(tmp_path: Path) -> None:
    def fail() -> None:
        with Board(tmp_path) as board:
            board.scalars({"train/loss": 2.0}, 1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert read(tmp_path).Scalars("train/loss")[0].value == 2


def test_a_resumed_run_hides_what_it_does_again(tmp_path: Path) -> None:
    with Board(tmp_path) as board:
        for step in range(1, 6):
            board.scalars({"train/loss": float(step)}, step)
    time.sleep(1.1)  # the files' names have whole seconds, and TensorBoard reads them in the order of their names
    with Board(tmp_path, purge_from=4) as board:
        board.scalars({"train/loss": 40.0}, 4)
    assert [(event.step, event.value) for event in read(tmp_path).Scalars("train/loss")] == [
        (1, 1), (2, 2), (3, 3), (4, 40)
    ]  # fmt: skip


def steps(folder: Path) -> list[int]:
    """Of the translations. Sorted: of files made within one second, TensorBoard reads the tenth before the ninth."""
    return sorted(event.step for event in read(folder).Tensors("translations/text_summary"))


def test_what_came_after_a_flush_can_be_cut_off(tmp_path: Path) -> None:
    """Texts too, which TensorBoard never hides, the file of a second try, and a record of which half was written."""
    with Board(tmp_path) as board:
        board.translations(SAMPLES, 1)
        sizes = board.flush()
        board.translations(SAMPLES, 2)
    first = next(tmp_path.iterdir())
    with Board(tmp_path) as board:
        board.translations(SAMPLES, 3)
    first.write_bytes(first.read_bytes()[:-7])
    (tmp_path / "notes").write_text("mine")
    with Board(tmp_path, purge_from=2, sizes=sizes) as board:
        board.translations(SAMPLES, 2)
        both = board.flush()
    assert steps(tmp_path) == [1, 2]
    with Board(tmp_path, purge_from=3, sizes=both) as board:
        board.translations(SAMPLES, 3)
    assert steps(tmp_path) == [1, 2, 3]
    assert (tmp_path / "notes").read_text() == "mine"


# The table of translations, through TensorBoard's own Markdown


class Reader(HTMLParser):
    """The rows of the table, each a list of its cells' texts."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: list[list[str]] = []

    def handle_starttag(self, tag: str, _: object) -> None:
        assert tag in ("table", "thead", "tbody", "tr", "th", "td")
        if tag == "tr":
            self.rows.append([])
        elif tag in ("th", "td"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data.strip("\n")


def cells(samples: list[Sample]) -> list[list[str]]:
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # TensorBoard's own
        from tensorboard.plugin_util import markdown_to_safe_html
    reader = Reader()
    reader.feed(markdown_to_safe_html(table(samples)))
    reader.close()
    return reader.rows


def test_a_table_has_a_row_for_each_sample() -> None:
    assert cells(SAMPLES) == [
        ["source", "reference", "hypothesis"],
        ["ein Hund | da", "a <b>dog</b>", "a `dog` there"],
        ["Ja.", "Yes.", ""],
    ]


MARKUP = st.sampled_from(
    [*list("|<>&`*_[]()!#\\~{}-+:=\"'$^@ \n\r\tab1."), "&amp;", "http://a.b", "<script>", "\x02", "\x03", "\ud800"]
)


@given(
    st.lists(
        st.builds(Sample, *[st.lists(MARKUP | st.characters(), max_size=12).map("".join)] * 3), min_size=1, max_size=3
    )
)
def test_text_stays_text(samples: list[Sample]) -> None:
    rows = cells(samples)[1:]
    assert len(rows) == len(samples)
    for row, sample in zip(rows, samples, strict=True):
        for cell, text in zip(row, sample, strict=True):
            shown = "".join("\ufffd" if ord(character) < 32 or 127 <= ord(character) < 160 else character
                            for character in " ".join(text.encode(errors="replace").decode().split()))  # fmt: skip
            assert cell == shown


# The real program

Get = Callable[..., bytes]


@pytest.fixture(scope="module")
def get(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Get]:
    """Starts TensorBoard on a folder with one run, `first`; gives what a path on its server answers."""
    folder = tmp_path_factory.mktemp("runs")
    write(folder / "first")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # straight to this machine

    def answer(path: str, body: dict[str, object] | None = None, **query: object) -> bytes:
        url = f"http://127.0.0.1:{port}/{path}?{urlencode(query)}"
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"} if data else {})
        with opener.open(request, timeout=30) as response:
            content: bytes = response.read()
        return content

    arguments = ["--logdir", str(folder), "--host", "127.0.0.1", "--port", str(port), "--load_fast=false"]
    with (folder / "log").open("w+b") as log:
        program = subprocess.Popen([sys.executable, "-m", "tensorboard.main", *arguments], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 90
            while not is_ready(answer):
                assert program.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.2)
            yield answer
        finally:
            program.kill()
            program.wait()


def is_ready(answer: Get) -> bool:
    try:
        return bool(json.loads(answer("data/plugin/scalars/tags")))
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def test_the_program_shows_scalars(get: Get) -> None:
    tags: dict[str, Any] = json.loads(get("data/plugin/scalars/tags"))
    assert set(tags) == {"first"}
    assert set(tags["first"]) == {"train/loss", "train/sentences", "final/bleu", "final/alignment_error"}
    points = json.loads(get("data/plugin/scalars/scalars", run="first", tag="train/loss"))
    assert [(step, value) for _, step, value in points] == [(1, 1), (2, 0.5), (3, pytest.approx(1 / 3))]


def test_the_program_shows_pictures(get: Get) -> None:
    (entry,) = json.loads(get("data/plugin/images/images", run="first", tag="attention/first", sample=0))
    assert entry["step"] == 3
    assert get("data/plugin/images/individualImage?" + entry["query"] + "&x").startswith(PNG)


def test_the_program_shows_translations(get: Get) -> None:
    (entry,) = json.loads(get("data/plugin/text/text", run="first", tag="translations/text_summary"))
    assert entry["step"] == 3
    shown = html.unescape(entry["text"])
    assert "<td>ein Hund | da</td>" in shown
    assert "<td>a <b>dog</b></td>" in shown
    assert "<b>" not in entry["text"]


def test_the_program_shows_hyperparameters_with_their_scores(get: Get) -> None:
    statuses = ["STATUS_UNKNOWN", "STATUS_SUCCESS", "STATUS_FAILURE", "STATUS_RUNNING"]
    request: dict[str, object] = {"experimentName": "", "allowedStatuses": statuses, "colParams": []}
    request |= {"startIndex": 0, "sliceSize": 9}
    (group,) = json.loads(get("data/plugin/hparams/session_groups", body=request))["sessionGroups"]
    assert group["hparams"] == {"attention": "dot", "seed": 7, "learning_rate": 0.5, "tied": "true"}
    scores = {value["name"]["tag"]: value["value"] for value in group["metricValues"]}
    assert scores == {"final/bleu": 31.5, "final/alignment_error": 0.25}
    assert [session["name"] for session in group["sessions"]] == ["first"]
