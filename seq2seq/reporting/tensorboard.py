"""Writes a run's scalars, heat maps, translations and hyperparameters for TensorBoard."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from seq2seq.reporting.attention import Attention
from seq2seq.reporting.heatmap import heatmap, pixels

MARKUP = "\\`*_{}[]<>#|&~"
EVENTS = "events.out.tfevents.*"
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")  # the Markdown library uses U+0002 and U+0003 internally


class Sample(NamedTuple):
    """A source sentence, its reference translation, and the translation by the model."""

    source: str
    reference: str
    hypothesis: str


class Board:
    """Writes one run's events into `folder`. TensorBoard groups tags by their prefix before the first "/".

    Args:
        folder: the folder of the event files; created if absent.
        purge_from: a resumed run's first step. TensorBoard then hides the points and images that an interrupted run
            wrote from this step on, but not its texts.
        sizes: the file sizes that `flush` returned before that step. Files are truncated to these sizes, and files
            without a size are deleted.
    """

    def __init__(self, folder: Path, *, purge_from: int | None = None, sizes: Mapping[str, int] | None = None) -> None:
        if sizes is not None:
            _truncate(folder, sizes)
        from torch.utils.tensorboard import SummaryWriter  # takes a second, so only runs that write import it

        self._writer = SummaryWriter(str(folder), purge_step=purge_from, flush_secs=10)

    def scalars(self, values: Mapping[str, int | float], step: int) -> None:
        """Add a point to the curve of each tag."""
        for tag, value in values.items():
            self._writer.add_scalar(tag, value, step)

    def heatmap(self, tag: str, attention: Attention, step: int, title: str | None = None) -> None:
        """Add a heat map."""
        self._writer.add_image(tag, pixels(heatmap(attention, title)), step, dataformats="HWC")

    def translations(self, samples: Iterable[Sample], step: int, tag: str = "translations") -> None:
        """Add a table of translations."""
        self._writer.add_text(tag, table(samples), step)

    def hyperparameters(
        self, values: Mapping[str, bool | int | float | str], scores: Mapping[str, int | float]
    ) -> None:
        """Add this run to the HParams table: its settings, and its scores as the scalars `final/NAME`.

        `SummaryWriter.add_hparams` would write them as a second run, named after the current time.
        """
        from torch.utils.tensorboard.summary import hparams

        final = {f"final/{name}": value for name, value in scores.items()}
        # As text, because TensorBoard shows a bool as 1.0000.
        settings = {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}
        for summary in hparams(settings, final):
            self._writer._get_file_writer().add_summary(summary)
        self.scalars(final, step=0)

    def flush(self) -> dict[str, int]:
        """Pass all events to the operating system, so that they survive a crash. Returns the size of each file."""
        self._writer.flush()
        return {path.name: path.stat().st_size for path in Path(self._writer.log_dir).glob(EVENTS)}

    def close(self) -> None:
        """Write the remaining events and close the files."""
        self._writer.close()

    def __enter__(self) -> "Board":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class NullBoard(Board):
    """A board that writes nothing, for all processes but the first."""

    def __init__(self) -> None:
        pass

    def scalars(self, values: Mapping[str, int | float], step: int) -> None:
        pass

    def flush(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        pass


def _truncate(folder: Path, sizes: Mapping[str, int]) -> None:
    for path in folder.glob(EVENTS):
        if (size := sizes.get(path.name, 0)) == 0:
            path.unlink()
        elif size < path.stat().st_size:
            os.truncate(path, size)


def table(samples: Iterable[Sample]) -> str:
    """The samples as a Markdown table. Markup in their text is escaped."""
    rows = (f"| {' | '.join(_escape(text) for text in sample)} |" for sample in samples)
    return "\n".join(["| source | reference | hypothesis |", "| --- | --- | --- |", *rows])


def _escape(text: str) -> str:
    """The text on one line, with special characters of Markdown and HTML as character references."""
    line = " ".join(text.encode(errors="replace").decode().split())
    return "".join(
        f"&#{ord(character)};" if character in MARKUP else character for character in CONTROL.sub("\ufffd", line)
    )
