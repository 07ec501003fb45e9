"""Whatever text comes, through the real programs: a line for each line, or one sentence that says where and what."""

import bz2
import gzip
import json
import lzma
import os
import random
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save

from seq2seq import checkpoint
from tests.support.programs import SMALL, TEXT, write_corpus
from tests.support.strangers import listing, with_file
from tests.support.warm import Warm

MEMORY = 400
"""MiB that a program may have beyond Python and PyTorch for lines of 1 MB."""

GOOD = "Der Hund sieht heute das Brot."
STRANGE = {
    "control characters": "".join(map(chr, [*range(1, 10), *range(11, 32), 127, *range(128, 160)])),
    "NUL": "Der\0Hund.",
    "right to left": "\u202eDer Hund\u202c שלום עולם مرحبا",
    "combining marks": "De\u0301r Hu\u0308nd" + "\u0301" * 300,
    "emoji": "😀👩‍👩‍👧‍👦🏽🏳️‍🌈",
    "only unknown": "𒀀𒀁𒀂𒀃",
    "line ends of other kinds": "Der\u2028Hund\u2029sieht\x85das\x0bBrot\x0c.",
    "a byte order mark inside": "Der \ufeffHund.",
    "a terminal's orders": "\x1b[31mrot\x1b[0m",
    "special pieces": "</s><unk><pad><0x0A>▁▁",
    "blank": " \t\u3000",
}
LONG = {"one long word": "x" * 10**6, "many words": "Der Hund sieht. " * 62_500, "many emoji": "😀" * 250_000}
NO_TEXT = {
    "a lone surrogate": (b"\xed\xa0\x80", "0xed"),
    "too long a form": (b"\xc0\xaf", "0xc0"),
    "half a character": ("Der Müller".encode()[:6], "0xc3"),
    "Latin 1": ("Der Müller".encode("latin-1"), "0xfc"),
    "UTF-16": (GOOD.encode("utf-16"), "0xff"),
    "gzip": (gzip.compress(GOOD.encode(), mtime=0).replace(b"\n", b""), "0x8b"),
}


def test_translation_gives_a_line_for_each_line_and_goes_on(warm: Warm, sweep: Path, tmp_path: Path) -> None:
    best = f"checkpoint={sweep}/runs/general/checkpoints/best"
    lines = [GOOD.encode()]
    lines += [line.encode() for line in STRANGE.values()]
    wrong = {}
    for line, word in [*((line.encode(), "subwords") for line in LONG.values()), *NO_TEXT.values()]:
        lines += [line, GOOD.encode()]
        wrong[len(lines) - 1] = word
    lines += [b"y" * (2**20 + 1), f"{GOOD}\r".encode(), *[b""] * 10_000, GOOD.encode()]
    wrong[len(lines) - 10_002] = "1,048,576 bytes"
    ended = warm("translate", best, "device=cpu", folder=tmp_path, given=b"\xef\xbb\xbf" + b"\n".join(lines))
    found = ended.printed.decode().split("\n")
    assert ended.status == 1
    assert len(found) == len(lines) + 1
    warning, *told = ended.told.splitlines()
    assert warning.startswith(f"line {list(STRANGE).index('combining marks') + 2}: not in NFC")
    assert [sentence.split(":")[0] for sentence in told] == [f"line {number}" for number in wrong]
    assert all(word in sentence for word, sentence in zip(wrong.values(), told, strict=True)), told
    assert all(len(sentence) < 200 and sentence.isprintable() for sentence in told)
    assert {found[number - 1] for number in wrong} == {""}
    assert found[0]
    assert {text for line, text in zip(lines, found, strict=False) if line.strip() == GOOD.encode()} == {found[0]}
    assert {text for line, text in zip(lines, found, strict=False) if not line.strip()} == {""}
    assert ended.peak < warm.idle + MEMORY
    assert not list(tmp_path.iterdir())


def test_an_untrained_model_writes_no_control_characters(warm: Warm, sweep: Path, tmp_path: Path) -> None:
    for name, piece, written in (("esc", "<0x1B>", "\ufffd"), ("return", "<0x0D>", " ")):
        best = Path(shutil.copytree(sweep / "runs/general/checkpoints/best", tmp_path / name))
        tokenizer, weights = checkpoint.load(best).tokenizers.target, load_file(best / "weights.safetensors")
        pieces = tokenizer.pieces(list(range(len(tokenizer))))
        weights["output.bias"][pieces.index(piece)] = 1e4
        with_file("weights.safetensors", save(weights))(best)
        ended = warm("translate", f"checkpoint={name}", "device=cpu", folder=tmp_path, given=GOOD.encode())
        assert (ended.status, ended.told) == (0, "")
        assert {*ended.printed.decode()} == {written, "\n"}
        files = [f"{side}={sweep}/test.{language}" for side, language in (("source", "de"), ("target", "en"))]
        assert warm("evaluate", f"checkpoint={name}", "device=cpu", *files, folder=tmp_path).status == 0
        assert {*(tmp_path / "hypotheses.files.en").read_bytes().decode()} == {written, "\n"}


def test_random_bytes_are_translated_into_as_many_lines(warm: Warm, sweep: Path, tmp_path: Path) -> None:
    given = b"Der \xff Hund\n" + random.Random(3).randbytes(3000).replace(b"\r", b"") + b"\n"
    best = f"checkpoint={sweep}/runs/concat/checkpoints/best"
    ended = warm("translate", best, "device=cpu", "search.n_best=2", "scores=true", folder=tmp_path, given=given)
    numbers = {line.split(b"\t")[0] for line in ended.printed.splitlines()}
    assert numbers == {b"%d" % number for number in range(1, given.count(b"\n") + 1)}
    assert ended.status == 1
    assert "line 1: byte 0xff at position 4 is not UTF-8; left empty" in ended.told


# --- text that is handled well ----------------------------------------------------------------------------------------


def add(folder: Path, name: str, source: list[str], target: list[str]) -> None:
    """More lines for a split: CRLF and a byte order mark in the source."""
    for language, lines, mark, end in (("de", source, "\ufeff", "\r\n"), ("en", target, "", "\n")):
        path = folder / f"{name}.{language}"
        text = path.read_text(encoding="utf-8") + "\n".join(lines) + "\n"
        path.write_bytes((mark + text).replace("\n", end).encode())


def test_training_takes_strange_text(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    others = ["The dog."] * len(STRANGE)
    for name in ("dev", "test"):
        add(tmp_path, name, [*STRANGE.values(), LONG["many emoji"], GOOD], [*others, "The dog.", "x" * 200_000])
    sources = [*STRANGE.values(), *LONG.values(), *["The dog."] * 3, *[""] * 10_000]
    targets = [*others, *["Der Hund."] * 3, *LONG.values(), *[""] * 5_000, *[GOOD] * 5_000]
    add(tmp_path, "train", sources, targets)
    arguments = [*TEXT, *SMALL, "dataset.vocabulary=420", "training.steps=2", "attention=general", "search=greedy"]
    ended = warm("train", *arguments, "hydra.run.dir=run", folder=tmp_path)
    assert (ended.status, ended.told) == (0, ""), ended.told
    # Of the strange ones one is blank, and one has 300 marks.
    assert f"{300 + len(STRANGE) - 2} training pairs; left out: 10001 empty, 7 too long" in ended.printed.decode()
    scores = json.loads((tmp_path / "run" / "results.json").read_text())["test"]
    assert scores["sentences"] == 31 + len(STRANGE) + 2
    assert scores["refused"] == 1
    assert len((tmp_path / "run" / "results.test.en").read_text().split("\n")) == scores["sentences"] + 1


def test_evaluation_takes_strange_text(warm: Warm, sweep: Path, tmp_path: Path) -> None:
    for language in ("de", "en"):
        (tmp_path / f"my.{language}").write_text("")
    sources = [*STRANGE.values(), LONG["many words"], *[""] * 501]
    targets = ["The dog.", *STRANGE.values(), "x" * 200_000, *[""] * 500]
    add(tmp_path, "my", sources, targets)
    arguments = [f"checkpoint={sweep}/runs/general/checkpoints/best", "device=cpu", "source=my.de", "target=my.en"]
    ended = warm("evaluate", *arguments, "output=here", folder=tmp_path)
    assert (ended.status, ended.told) == (0, "")
    assert json.loads((tmp_path / "here" / "evaluation.json").read_text())["files"]["refused"] == 1
    hypotheses = (tmp_path / "here" / "hypotheses.files.en").read_text()
    assert hypotheses.count("\n") == len(targets)


# --- text that is refused ---------------------------------------------------------------------------------------------


def at_line(number: int, line: bytes) -> Callable[[bytes], bytes]:
    """Another line in the place of that one."""

    def change(text: bytes) -> bytes:
        lines = text.split(b"\n")
        lines[number - 1] = line
        return b"\n".join(lines)

    return change


def with_large_dictionary(packed: bytes) -> bytes:
    """An xz file whose header asks for 4 GiB."""
    header = bytearray(packed[12 : 12 + 4 * (packed[12] + 1)])
    header[header.index(b"\x21\x01") + 2] = 40
    header[-4:] = zlib.crc32(header[:-4]).to_bytes(4, "little")
    return packed[:12] + header + packed[12 + len(header) :]


REFUSED: dict[str, tuple[Callable[[bytes], bytes], list[str]]] = {
    **{name: (at_line(7, line), [", line 7: byte", word, "not UTF-8"]) for name, (line, word) in NO_TEXT.items()},
    "UTF-16 all over": (lambda text: text.decode().encode("utf-16"), ["is UTF-16, and text must be UTF-8", "iconv"]),
    "UTF-16 without its mark": (lambda text: text.decode().encode("utf-16-le"), ["is UTF-16LE", "iconv"]),
    "an office file": (lambda _: b"PK\x03\x04" + bytes(99), ["is a zip archive", "save it as UTF-8 text"]),
    "a line too long": (at_line(9, b"z" * (2**20 + 1)), [", line 9: more than 1,048,576 bytes"]),
    "one line short": (lambda text: text[: text.rindex(b"\n", 0, -1) + 1], [" lines but ", "line n"]),
    "no line": (lambda _: b"", ["is empty"]),
    "half a gzip file": (lambda text: gzip.compress(text)[: len(text) // 20], ["is cut short after line"]),
    "half a xz file": (lambda text: lzma.compress(text)[:-40], ["is cut short after line"]),
    "a xz file for much memory": (
        lambda text: with_large_dictionary(lzma.compress(text)),
        ["cannot read", "more memory than there is"],
    ),
    "a damaged gzip file": (lambda text: gzip.compress(text)[:5] + b"damaged" + text, ["cannot read"]),
    "a damaged bzip2 file": (lambda text: bz2.compress(text)[:10] + text, ["cannot read"]),
    "a bomb in a gzip file": (lambda _: gzip.compress(b"\0" * 2**27), [", line 1: more than 1,048,576 bytes"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_training_and_evaluation_say_file_and_line(warm: Warm, sweep: Path, tmp_path: Path, name: str) -> None:
    change, words = REFUSED[name]
    ending = "en.gz" if "gzip file" in name else "en"
    write_corpus(tmp_path)
    for split in ("train", "dev"):
        content = change((tmp_path / f"{split}.en").read_bytes())
        (tmp_path / f"{split}.en").unlink()
        (tmp_path / f"{split}.{ending}").write_bytes(content)
    best = f"checkpoint={sweep}/runs/general/checkpoints/best"
    before = listing(tmp_path)
    for arguments in (
        ["train", *TEXT, *SMALL],
        ["evaluate", best, "device=cpu", "source=dev.de", f"target=dev.{ending}", "output=here"],
    ):
        ended = warm(*arguments, folder=tmp_path)
        sentences = ended.told.splitlines()
        assert (ended.status, ended.printed, len(sentences)) == (2, b"", 1), ended
        assert sentences[0].isprintable()
        assert len(sentences[0]) < 300
        assert all(word in sentences[0] for word in [f"dev.{ending}", *words]), sentences[0]
        assert {path: found for path, found in listing(tmp_path).items() if not path.endswith("runs")} == before
        assert ended.peak < warm.idle + MEMORY


def test_text_of_empty_lines_trains_nothing(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    for language in ("de", "en"):
        (tmp_path / f"train.{language}").write_text("\n" * 10_000)
    ended = warm("train", *TEXT, *SMALL, folder=tmp_path)
    assert (ended.status, ended.told.count("\n")) == (2, 1)
    assert "no pair of train has text on both sides" in ended.told


def test_a_pipe_is_told_and_not_waited_for(warm: Warm, sweep: Path, tmp_path: Path) -> None:
    shutil.copy(sweep / "dev.de", tmp_path)
    os.mkfifo(tmp_path / "pipe")
    best = f"checkpoint={sweep}/runs/general/checkpoints/best"
    ended = warm("evaluate", best, "device=cpu", "source=dev.de", "target=pipe", "output=here", folder=tmp_path)
    assert (ended.status, ended.told.count("\n")) == (2, 1)
    assert "pipe is a pipe or a device" in ended.told


def test_a_model_that_no_memory_holds(warm: Warm, corpus: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(corpus, tmp_path / "here"))
    ended = warm("train", *TEXT, *SMALL, "model.encoder_hidden=65536", "hydra.run.dir=run", folder=folder)
    assert (ended.status, ended.told.count("\n")) == (2, 1)
    assert "no memory for a model of this size: lower model.embedding, model.encoder_hidden" in ended.told
    assert not (folder / "run").exists()
