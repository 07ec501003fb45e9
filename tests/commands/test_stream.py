"""The filter: whatever way the bytes come, one line goes out for each line in, in order."""

import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seq2seq import checkpoint
from seq2seq.commands.stream import _line, line_groups, translate_stream
from seq2seq.config import Intervention, Search, Translate, load
from seq2seq.decoding.translator import Translation
from seq2seq.runtime.errors import InputError
from tests.support.programs import CPU, ROOT

PIECES = st.lists(st.lists(st.sampled_from([b"\n", b"a", b"\r", b"\xff", b"\0", "\u2028".encode()])).map(b"".join))


def through_a_pipe(chunks: list[bytes]) -> list[list[bytes]]:
    """What `line_groups` reads of chunks that were written one after the other."""
    reading, writing = os.pipe()

    def write() -> None:
        with os.fdopen(writing, "wb", buffering=0) as pipe:
            for chunk in chunks:
                pipe.write(chunk)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        return list(line_groups(reading))
    finally:
        writer.join()
        os.close(reading)


@given(chunks=PIECES)
def test_lines_are_those_of_the_whole(chunks: list[bytes]) -> None:
    whole = b"".join(chunks)
    lines = whole.removesuffix(b"\n").split(b"\n") if whole else []
    try:
        groups = through_a_pipe(chunks)
    except InputError:  # what begins like UTF-16 or a compressed file
        assume(False)
    assert [line for group in groups for line in group] == lines
    assert all(groups)


def test_a_long_line_is_put_together() -> None:
    line = bytes(range(32, 127)) * 10_000
    assert through_a_pipe([b"one\n" + line[:70_000], line[70_000:], b"\nlast"]) == [[b"one"], [line], [b"last"]]


def test_a_line_is_not_held_back_for_the_next() -> None:
    reading, writing = os.pipe()
    groups = line_groups(reading)
    os.write(writing, b"one\ntwo\nhal")
    assert next(groups) == [b"one", b"two"]  # with the pipe still open
    os.write(writing, b"f\n")
    assert next(groups) == [b"half"]
    os.close(writing)
    assert list(groups) == []
    os.close(reading)


# --- translate_stream -------------------------------------------------------------------------------------------------

SENTENCES = ["Der Hund sieht heute das Brot.", "Das Pferd kauft nie den Apfel.", "Die Katze hört morgens eine Tür."]
NO_INTERVENTION = dict.fromkeys(Intervention.model_fields)


class Filter:
    """`translate.py` in this process."""

    def __init__(self, run: Path, folder: Path) -> None:
        self.run, self.folder = run, folder

    def __call__(self, given: bytes | str, *, failed: int = 0, **options: Any) -> list[str]:
        """The lines of the output; `failed` of the input's must have been told to be impossible."""
        search = {**dict.fromkeys(Search.model_fields), **options.pop("search", {})}
        values: dict[str, Any] = {"scores": False, "alignments": False, "units": False, "plot": None, "search": search}
        values |= {"prefix": None, "attention": NO_INTERVENTION}
        values |= {"checkpoint": f"{self.run}/checkpoints/best", "device": CPU, **options}
        path = self.folder / "given"
        path.write_bytes(given.encode() if isinstance(given, str) else given)
        made = self.folder / "made"
        with path.open("rb") as source, made.open("w", encoding="utf-8", newline="\n") as target:
            assert translate_stream(load(Translate, values), source.fileno(), target) == failed
        *lines, rest = made.read_bytes().decode().split("\n")
        assert rest == ""
        return lines


@pytest.fixture
def general(sweep: Path, tmp_path: Path) -> Filter:
    return Filter(sweep / "runs" / "general", tmp_path)


@pytest.fixture
def concat(sweep: Path, tmp_path: Path) -> Filter:
    return Filter(sweep / "runs" / "concat", tmp_path)


def test_one_line_out_for_each_line_in(general: Filter, capsys: pytest.CaptureFixture[str]) -> None:
    one, two, three = (general(f"{sentence}\n")[0] for sentence in SENTENCES)
    assert len({one, two, three}) > 1  # or their order could not be seen
    strange = ["\t", "\0", "\ufeff", "😀🏽\u200d", "\u2028\x85\x0b", "a" * 300, "\x1b[31m", "\ufffe\U0010ffff", "\r"]
    lines = [SENTENCES[0], "", "   ", SENTENCES[1] + "\r", *strange, SENTENCES[2]]
    found = general("\n".join(lines))  # and no line end after the last
    assert len(found) == len(lines)
    assert (found[0], found[3], found[-1]) == (one, two, three)
    assert found[1:3] == ["", ""]
    assert capsys.readouterr().err == ""
    assert general(b"") == []
    assert general(b"\n") == [""]


def test_a_line_that_is_no_text_is_told_and_left_empty(general: Filter, capsys: pytest.CaptureFixture[str]) -> None:
    one, _, three = general("\n".join(SENTENCES))
    found = general(SENTENCES[0].encode() + b"\nDer \xff Hund\n" + SENTENCES[2].encode() + b"\n", failed=1)
    assert found == [one, "", three]
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert all(words in told for words in ("line 2", "0xff", "position 4", "UTF-8"))


def test_a_line_too_long_is_told_and_left_empty_or_cut(concat: Filter, capsys: pytest.CaptureFixture[str]) -> None:
    lines = f"{SENTENCES[0]}\n{'x' * 10**6}\n{SENTENCES[1]}\n"
    found = concat(lines, failed=1)
    assert (found[1], bool(found[0]), bool(found[2])) == ("", True, True)
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    assert all(words in told for words in ("line 2", "subwords", "search.too_long=truncate"))
    cut = concat(lines, search={"too_long": "truncate"})
    assert cut[0] == found[0]
    assert cut[1] != ""
    assert cut[2] == found[2]
    assert capsys.readouterr().err == ""


def test_an_intervention_changes_translations_and_is_named(general: Filter, capsys: pytest.CaptureFixture[str]) -> None:
    lines = "\n".join(SENTENCES) + "\n"
    untouched = general(lines, alignments=True)
    assert capsys.readouterr().err == ""
    changed = general(lines, alignments=True, attention={**NO_INTERVENTION, "intervene": "shift", "shift": -3})
    assert len(changed) == len(untouched)
    assert changed != untouched
    assert capsys.readouterr().err == "attention is changed: shift (shift=-3)\n"


def test_a_tab_cannot_pass_for_the_end_of_a_column(sweep: Path) -> None:
    values = {"checkpoint": str(sweep), "scores": True, "alignments": True, "units": False, "plot": None, "search": {}}
    options = load(Translate, {**values, "prefix": None, "attention": NO_INTERVENTION, "device": CPU})
    translation = Translation("a\tb", -1.5, -3.0, [], [], np.zeros((0, 0), dtype=np.float32))
    assert _line(translation, 7, options, numbered=True) == "7\t-1.5000\ta b\t"


@pytest.mark.parametrize("rule", ["general", "concat"])
def test_n_best_scores_and_alignments_stand_in_columns(sweep: Path, tmp_path: Path, rule: str) -> None:
    run = Filter(sweep / "runs" / rule, tmp_path)
    given = [SENTENCES[0], "", SENTENCES[1]]
    rows = [
        line.split("\t")
        for line in run("\n".join(given), scores=True, alignments=True, search={"size": 4, "n_best": 3})
    ]
    numbers = [int(row[0]) for row in rows]
    assert numbers == [1, 1, 1, 2, 3, 3, 3]
    for number in (1, 3):
        scores = [float(row[1]) for row in rows if row[0] == str(number)]
        assert scores == sorted(scores, reverse=True)
        assert max(scores) < 0
    linked = 0
    for number, _, text, alignment in rows:
        source, target = len(given[int(number) - 1].split()), len(text.split())
        for link in alignment.split():
            i, j = map(int, link.split("-"))
            assert 0 <= i < source
            assert 0 <= j < target
            linked += 1
    assert linked
    assert rows[0][2] == run(given[0], search={"size": 4})[0]


def test_the_words_that_an_alignment_counts_stand_beside_it(general: Filter) -> None:
    given = [SENTENCES[0], "", SENTENCES[2]]
    for line, source in zip(general("\n".join(given), alignments=True, units=True), given, strict=True):
        text, alignment, source_units, target_units = line.split("\t")
        assert (source_units, target_units) == (source, text)
        assert bool(alignment) == bool(source)


def test_the_attention_of_the_first_translation_is_drawn(
    general: Filter, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "picture.png"
    general("\n" + "\n".join(SENTENCES), plot=str(picture))
    assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert general("\n", plot=str(tmp_path / "blank.png")) == [""]
    assert not (tmp_path / "blank.png").exists()
    assert "blank.png is not written" in capsys.readouterr().err


@pytest.mark.parametrize(("plot", "words"), [("a.bmp", r"\.png"), ("nowhere/a.png", "no folder nowhere")])
def test_a_plot_is_refused_before_anything_is_translated(general: Filter, plot: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        general(SENTENCES[0], plot=plot)


def test_more_of_the_best_than_the_beam_holds_is_refused(general: Filter) -> None:
    with pytest.raises(InputError, match=r"search\.n_best=3 .* search\.size=2"):
        general(SENTENCES[0], search={"n_best": 3})


def test_each_line_has_its_prefix(general: Filter, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    starts = ["The horse", "", "A girl sees the"]
    (tmp_path / "starts").write_text("".join(f"{start}\n" for start in starts), encoding="utf-8")
    prefixed = general("\n".join(SENTENCES), prefix=str(tmp_path / "starts"), search={"size": 3, "n_best": 2})
    assert all(line.split("\t")[1].startswith(starts[i // 2]) for i, line in enumerate(prefixed))
    plain = general("\n".join(SENTENCES), search={"size": 3, "n_best": 2})
    assert prefixed[2:4] == plain[2:4]
    assert len(prefixed) == len(plain) == 6
    assert prefixed != plain
    (tmp_path / "starts").write_text(f"{'a b c ' * 999}\nThe\n", encoding="utf-8")
    first, second = general(f"{SENTENCES[0]}\n\n", prefix=str(tmp_path / "starts"), failed=1)
    assert (first, second[:3]) == ("", "The")  # a line without text is translated if it has a prefix
    assert capsys.readouterr().err.startswith("line 1: a prefix of ")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("The\n", "has 1 lines, fewer than the input; give a line for each, empty for no prefix"),
        ("The\n\n\n\n", "has more lines than the input, which has 3; give a line for each, empty for no prefix"),
        ("", "is empty"),
    ],
)
def test_a_file_of_prefixes_for_other_lines_is_refused(general: Filter, tmp_path: Path, lines: str, words: str) -> None:
    (tmp_path / "starts").write_text(lines)
    with pytest.raises(InputError, match=words):
        general("\n".join(SENTENCES), prefix=str(tmp_path / "starts"))


def test_an_ensemble_translates(sweep: Path, general: Filter, capsys: pytest.CaptureFixture[str]) -> None:
    both = [f"{sweep}/runs/{name}/checkpoints/best" for name in ("general", "concat")]
    options: dict[str, Any] = {"search": {"size": 3, "n_best": 2, "min_length": 4}, "scores": True}
    rows = [line.split("\t") for line in general("\n".join(SENTENCES), checkpoint=both, **options, alignments=True)]
    assert capsys.readouterr().err == "attention is the mean of the 2 models\n"
    assert [row[0] for row in rows] == ["1", "1", "2", "2", "3", "3"]
    assert any("-" in row[3] for row in rows)
    alone = [line.split("\t") for line in general("\n".join(SENTENCES), **options)]
    assert [row[1] for row in rows] != [row[1] for row in alone]
    assert general("\n".join(SENTENCES), checkpoint=both[:1]) == general("\n".join(SENTENCES))
    assert capsys.readouterr().err == ""


def test_models_without_a_mean_are_refused(sweep: Path, general: Filter, tmp_path: Path) -> None:
    best = str(sweep / "runs" / "general" / "checkpoints" / "best")
    old = str(ROOT / "tests" / "data" / "old_run" / "run" / "checkpoints" / "best")
    with pytest.raises(InputError, match=f"checkpoint {old} has another target vocabulary than {best}"):
        general(SENTENCES[0], checkpoint=[best, old])
    with pytest.raises(InputError, match=f"checkpoint {best} is given twice"):
        general(SENTENCES[0], checkpoint=[best, best])
    loaded = checkpoint.load(Path(best))
    languages = {"dataset": {**loaded.configuration["dataset"], "source": "en", "target": "de"}}
    checkpoint.write(loaded._replace(configuration={**loaded.configuration, **languages}), tmp_path / "exchanged")
    with pytest.raises(InputError, match=r"exchanged translates from en to de, and .* from de to en"):
        general(SENTENCES[0], checkpoint=[best, str(tmp_path / "exchanged")])


@pytest.mark.parametrize("method", [{"method": "sample", "temperature": 0.8, "top_k": 50}, {"method": "beam"}])
@pytest.mark.parametrize("rank_by", ["score", "chrf"])
def test_all_options_of_a_search_together(
    sweep: Path, tmp_path: Path, general: Filter, method: dict[str, Any], rank_by: str
) -> None:
    starts = ["The horse", "", "A girl"]
    (tmp_path / "starts").write_text("".join(f"{start}\n" for start in starts), encoding="utf-8")
    (tmp_path / "last").write_text("A girl\n", encoding="utf-8")
    options: dict[str, Any] = {
        "checkpoint": [f"{sweep}/runs/{name}/checkpoints/best" for name in ("general", "concat")],
        "scores": True,
        "alignments": True,
        "units": True,
        "search": {
            **{"size": 4, "n_best": 2, "rank_by": rank_by, "min_length": 9, "no_repeat_ngram": 2, **method},
            **{"length_form": "wu", "length_penalty": 0.4, "coverage_penalty": 0.3},
        },
    }
    rows = [line.split("\t") for line in general("\n".join(SENTENCES), prefix=str(tmp_path / "starts"), **options)]
    assert [row[0] for row in rows] == ["1", "1", "2", "2", "3", "3"]
    for row in rows:
        number, _, text, alignment, source, target = row
        assert text.startswith(starts[int(number) - 1])
        assert source == SENTENCES[int(number) - 1]
        assert target == " ".join(text.split())
        assert alignment
    alone = [line.split("\t") for line in general(SENTENCES[2], prefix=str(tmp_path / "last"), **options)]
    assert [row[2:] for row in alone] == [row[2:] for row in rows[4:]]
    assert [float(row[1]) for row in alone] == pytest.approx([float(row[1]) for row in rows[4:]], abs=2e-3)
