"""What a run shows in TensorBoard: scalars, heat maps, translations, hyperparameters."""

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

from seq2seq.reporting.heatmap import Attention, heatmap, pixels

MARKUP = "\\`*_{}[]<>#|&~"
EVENTS = "events.out.tfevents.*"
CONTROL = re.compile("[\x00-\x1f\x7f-\x9f]")  # Markdown keeps its own notes between U+0002 and U+0003


class Sample(NamedTuple):
    """One sentence as given, as it should be translated, and as it was."""

    source: str
    reference: str
    hypothesis: str


class Board:
    """Writes one run's events into `folder`. TensorBoard groups tags by what stands before their first "/".

    Args:
        folder: the run's folder; made if absent.
        purge_from: a resumed run's first step; a TensorBoard that saw what an earlier try did from there on hides it.
        sizes: what `flush` gave before that step: all that was written later is cut off. TensorBoard hides no text.
    """

    def __init__(self, folder: Path, *, purge_from: int | None = None, sizes: Mapping[str, int] | None = None) -> None:
        if sizes is not None:
            _cut(folder, sizes)
        from torch.utils.tensorboard import SummaryWriter  # a second of imports, which only a run that writes pays

        self._writer = SummaryWriter(str(folder), purge_step=purge_from, flush_secs=10)

    def scalars(self, values: Mapping[str, int | float], step: int) -> None:
        """Add a point to the curve of each tag."""
        for tag, value in values.items():
            self._writer.add_scalar(tag, value, step)

    def heatmap(self, tag: str, attention: Attention, step: int, title: str | None = None) -> None:
        """Add a picture of attention."""
        self._writer.add_image(tag, pixels(heatmap(attention, title)), step, dataformats="HWC")

    def translations(self, samples: Iterable[Sample], step: int, tag: str = "translations") -> None:
        """Add a table of translations."""
        self._writer.add_text(tag, table(samples), step)

    def hyperparameters(
        self, values: Mapping[str, bool | int | float | str], scores: Mapping[str, int | float]
    ) -> None:
        """Add this run to the HParams table: its settings, and its scores as the scalars `final/NAME`.

        `SummaryWriter.add_hparams` would write them into a second run, named by the time of day.
        """
        from torch.utils.tensorboard.summary import hparams

        final = {f"final/{name}": value for name, value in scores.items()}
        # As text, since a bool would show as 1.0000.
        settings = {name: str(value).lower() if isinstance(value, bool) else value for name, value in values.items()}
        for summary in hparams(settings, final):
            self._writer._get_file_writer().add_summary(summary)
        self.scalars(final, step=0)

    def flush(self) -> dict[str, int]:
        """Hand what was added to the operating system, so that it is there whatever happens; each file's size then."""
        self._writer.flush()
        return {path.name: path.stat().st_size for path in Path(self._writer.log_dir).glob(EVENTS)}

    def close(self) -> None:
        """Write out what is still held back."""
        self._writer.close()

    def __enter__(self) -> "Board":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class NullBoard(Board):
    """Shows nothing: the board of the processes beside the first."""

    def __init__(self) -> None:
        pass

    def scalars(self, values: Mapping[str, int | float], step: int) -> None:
        pass

    def flush(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        pass


def _cut(folder: Path, sizes: Mapping[str, int]) -> None:
    for path in folder.glob(EVENTS):
        if (size := sizes.get(path.name, 0)) == 0:
            path.unlink()
        elif size < path.stat().st_size:
            os.truncate(path, size)


def table(samples: Iterable[Sample]) -> str:
    """The samples as a Markdown table in which text is nothing but text."""
    rows = (f"| {' | '.join(_literal(text) for text in sample)} |" for sample in samples)
    return "\n".join(["| source | reference | hypothesis |", "| --- | --- | --- |", *rows])


def _literal(text: str) -> str:
    """The text in one line, with all that Markdown or HTML might read as markup written as character references."""
    line = " ".join(text.encode(errors="replace").decode().split())
    return "".join(
        f"&#{ord(character)};" if character in MARKUP else character for character in CONTROL.sub("\ufffd", line)
    )
