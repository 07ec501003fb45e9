"""Text as people have it, through the real programs: several corpora, tables, names, normal forms, markup."""

import csv
import gzip
import json
import shlex
import unicodedata
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from hydra import compose, initialize_config_dir

from seq2seq import checkpoint
from seq2seq.commands.exit_status import cli_errors
from seq2seq.config import Train
from tests.support.programs import CONFIGS, SMALL, TEXT, write_corpus
from tests.support.warm import Ended, Warm

RUN = [*SMALL, "training.steps=3", "search=greedy", "dataset.cache=cache", "dataset.vocabulary=330"]
COMMON = ["dataset.source=de", "dataset.target=en"]
TSV = ["dataset=tsv", "dataset.train=train", "dataset.validation=dev", "dataset.test=test", *COMMON]


def in_order(*options: str) -> list[str]:
    """Flags first, as Hydra wants them."""
    return sorted(options, key=lambda option: not option.startswith("--"))


def train(warm: Warm, folder: Path, name: str, *options: str) -> tuple[str, dict[str, Any]]:
    """The log and the results of a run that must end well."""
    ended = warm("train", *in_order(*RUN, *options, f"hydra.run.dir={name}"), folder=folder)
    assert (ended.status, ended.told) == (0, ""), ended
    results = json.loads((folder / name / "results.json").read_text())
    return ended.printed.decode(), {split: results[split] for split in ("validation", "test")}


@pytest.fixture(scope="module")
def scores_of_files(warm: Warm, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The scores of a run on the corpus as it is, in aligned files."""
    folder = tmp_path_factory.mktemp("files")
    write_corpus(folder)
    return train(warm, folder, "files", *TEXT)[1]


def refusal(warm: Warm, folder: Path, *options: str) -> str:
    """The sentence of a run that must be refused."""
    ended = warm("train", *in_order(*RUN, *options, "hydra.run.dir=refused"), folder=folder)
    assert (ended.status, ended.printed, ended.told.count("\n")) == (2, b"", 1), ended
    assert ended.told.startswith("error: ")
    return ended.told.removeprefix("error: ").rstrip("\n")


def pairs(folder: Path, name: str) -> list[tuple[str, str]]:
    """A split of the corpus."""
    german, english = ((folder / f"{name}.{side}").read_text().splitlines() for side in ("de", "en"))
    return list(zip(german, english, strict=True))


def write_pairs(folder: Path, name: str, lines: Iterable[tuple[str, str]]) -> None:
    """A split as two files."""
    for side, text in zip(("de", "en"), zip(*lines, strict=True), strict=True):
        (folder / f"{name}.{side}").write_text("".join(f"{line}\n" for line in text), encoding="utf-8")


# --- several corpora --------------------------------------------------------------------------------------------------


def test_several_corpora_are_taken_in_order_and_counted(
    warm: Warm, scores_of_files: dict[str, Any], tmp_path: Path
) -> None:
    write_corpus(tmp_path)
    whole = pairs(tmp_path, "train")
    write_pairs(tmp_path, "news", whole[:211])
    write_pairs(tmp_path, "talks", whole[211:])
    options = ["dataset=files", "dataset.validation=dev", "dataset.test=test", *COMMON]
    log, scores = train(warm, tmp_path, "several", *options, "dataset.train=[news,talks]")
    assert "training pairs: 211 in news, 89 in talks\n" in log
    assert "300 training pairs; left out: 0 empty, 0 too long" in log
    assert scores == scores_of_files
    found = refusal(warm, tmp_path, *options, "dataset.train=news,talks")
    assert "'dataset.train=[news,talks]' takes all in order" in found
    write_pairs(tmp_path, "talks", [*whole[211:], ("Ja.", "Yes.")])
    (tmp_path / "talks.en").write_text("Yes.\n")
    assert "talks.de has 90 lines but talks.en has 1" in refusal(warm, tmp_path, *options, "dataset.train=[news,talks]")


# --- tables -----------------------------------------------------------------------------------------------------------


def write_tables(folder: Path, row: Callable[[int, str, str], Iterable[str]]) -> None:
    for name in ("train", "dev", "test"):
        rows = ("\t".join(row(number, *pair)) for number, pair in enumerate(pairs(folder, name)))
        (folder / name).write_text("".join(f"{line}\n" for line in rows), encoding="utf-8")


def test_two_columns_of_a_wider_table(warm: Warm, scores_of_files: dict[str, Any], tmp_path: Path) -> None:
    write_corpus(tmp_path)
    write_tables(tmp_path, lambda number, german, english: [str(number), english, str(number + 7), german])
    found = refusal(warm, tmp_path, *TSV)
    assert found.startswith("test, line 1: found 4 columns, need 2") or found.startswith("dev, line 1: found 4 columns")
    assert "dataset.columns=[1,2]" in found
    log, scores = train(warm, tmp_path, "table", *TSV, "dataset.columns=[4,2]")
    assert "warning" not in log
    assert scores == scores_of_files
    (tmp_path / "test").write_text("1\ta\t2\tb\n1\ta\t2\tb\tc\n")
    found = refusal(warm, tmp_path, *TSV, "dataset.columns=[4,2]")
    assert found.startswith("test, line 2: found 5 columns, need 4: dataset.columns is [4, 2]")
    assert "dev, line 1: found 4 columns, need 7" in refusal(warm, tmp_path, *TSV, "dataset.columns=[4,7]")


def speech(german: str, english: str) -> tuple[str, str]:
    """What a spreadsheet quotes: quotation marks within the sentence."""
    return f'Er sagt: "{german}"', f'He says: "{english}"'


def test_a_table_from_a_spreadsheet(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    for name in ("train", "dev", "test"):
        lines = [pair if number % 3 else speech(*pair) for number, pair in enumerate(pairs(tmp_path, name))]
        write_pairs(tmp_path, name, lines)
        with (tmp_path / name).open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, dialect="excel-tab").writerows(lines)
    log, as_text = train(warm, tmp_path, "text", *TSV, "dataset.vocabulary=350")
    (warning,) = [line for line in log.splitlines() if "warning" in line]
    assert "100 of the first 300 training pairs look quoted" in warning
    assert "dataset.quoting=csv" in warning
    log, _ = train(warm, tmp_path, "both", *TSV, "dataset.vocabulary=350", "dataset.both_directions=true")
    assert warning.partition("warning")[2] in log  # of the pairs of the file
    log, scores = train(warm, tmp_path, "csv", *TSV, "dataset.quoting=csv", "dataset.vocabulary=350")
    assert "warning" not in log
    assert scores == train(warm, tmp_path, "files", *TEXT, "dataset.vocabulary=350")[1] != as_text


def test_quotes_that_are_none_of_a_spreadsheet(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    write_tables(tmp_path, lambda _, german, english: [german, english])
    with (tmp_path / "dev").open("a") as file:
        file.write('"Second\tsecond\nThird "sentence"\tthird\n')
    found = refusal(warm, tmp_path, *TSV, "dataset.quoting=csv")
    assert found.startswith("dev, lines 24 to 25: '\t' expected after '\"'".replace("\t", r"\t"))
    assert "dataset.quoting=none" in found


def test_a_header_is_warned_of_and_left_out_by_an_option(
    warm: Warm, scores_of_files: dict[str, Any], tmp_path: Path
) -> None:
    write_corpus(tmp_path)
    write_tables(tmp_path, lambda _, german, english: [german, english])
    for name in ("train", "dev", "test"):
        (tmp_path / name).write_text("de\ten\n" + (tmp_path / name).read_text())
    log, as_pairs = train(warm, tmp_path, "pairs", *TSV)
    (warning,) = [line for line in log.splitlines() if "warning" in line]
    assert "the first training pair, 'de' and 'en', looks like names of columns" in warning
    log, scores = train(warm, tmp_path, "header", *TSV, "dataset.header=true")
    assert "warning" not in log
    assert (as_pairs["test"]["sentences"], scores["test"]["sentences"]) == (32, 31)
    assert scores == scores_of_files


# --- text that is scored ----------------------------------------------------------------------------------------------


def test_pairs_with_an_empty_side_that_are_scored_are_counted(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    write_pairs(tmp_path, "dev", [*pairs(tmp_path, "dev"), ("", ""), ("Ja.", " ")])
    log, _ = train(warm, tmp_path, "run", *TEXT)
    (warning,) = [line for line in log.splitlines() if "warning" in line]
    assert "validation: 2 of 25 pairs have an empty side and are scored all the same" in warning
    ended = warm("evaluate", "checkpoint=run/checkpoints/best", "device=cpu", "split=validation", folder=tmp_path)
    assert ended.printed.decode().count("validation: 2 of 25 pairs have an empty side") == 1


def test_the_same_text_twice_is_said(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    options = ["dataset=files", "dataset.train=[dev,dev]", "dataset.validation=dev", "dataset.test=test", *COMMON]
    log, _ = train(warm, tmp_path, "twice", *options)
    assert "the same corpus occurs twice in dataset.train" in log
    options[1] = "dataset.train=dev"
    for more in ([], ["dataset.both_directions=true"]):
        log, _ = train(warm, tmp_path, f"same{len(more)}", *options, *more)
        assert "warning: validation and the training split are the same text" in log
        assert "occurs twice" not in log


def test_symbols_that_the_text_has_not_are_said(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    log, _ = train(warm, tmp_path, "run", *TEXT, "dataset.symbols=['<b>',Hund]")
    assert "warning: '<b>' of dataset.symbols is in none of the first 300 training pairs" in log


def test_gold_alignments_without_a_link_are_refused(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    train(warm, tmp_path, "run", *TEXT)
    (tmp_path / "gold").write_text("\n" * 31)
    ended = warm("evaluate", "checkpoint=run/checkpoints/best", "device=cpu", "alignments=gold", folder=tmp_path)
    assert (ended.status, ended.printed) == (2, b"")
    assert ended.told == "error: gold has no link in any line, so there is nothing to compare alignments with\n"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("Der Hund.\nJa.\n".encode("utf-16"), ["UTF-16", "iconv"]),
        ("Der Hund.\nJa.\n".encode("utf-16-le"), ["UTF-16LE", "iconv"]),
        (gzip.compress(b"Der Hund.\n", mtime=0), ["compressed"]),
        (b"PK\x03\x04" + bytes(40), ["a zip archive"]),
    ],
    ids=["UTF-16", "UTF-16 without a mark", "gzip", "zip"],
)
def test_standard_input_that_is_no_utf8_text_is_named(
    warm: Warm, sweep: Path, given: bytes, words: list[str], tmp_path: Path
) -> None:
    ended = warm("translate", f"checkpoint={sweep}/runs/general/checkpoints/best", "device=cpu",
                 folder=tmp_path, given=given)  # fmt: skip
    assert (ended.status, ended.printed, ended.told.count("\n")) == (2, b"", 1)
    assert ended.told.startswith("error: standard input is ")
    assert all(word in ended.told for word in words)


# --- names ------------------------------------------------------------------------------------------------------------


def test_one_language_on_both_sides_needs_two_names(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    options = ["dataset=files", "dataset.train=train", "dataset.validation=dev", "dataset.test=test"]
    found = refusal(warm, tmp_path, *options, "dataset.source=en", "dataset.target=en")
    assert "dataset.source and dataset.target are both en, so dev.en would be both sides" in found
    assert "name the files dev.en-x-source and dev.en-x-target" in found
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.de").rename(tmp_path / f"{split}.en-x-source")
        (tmp_path / f"{split}.en").rename(tmp_path / f"{split}.en-x-target")
    train(warm, tmp_path, "run", *options, *found.partition("and set ")[2].split())
    write_corpus(tmp_path)
    write_tables(tmp_path, lambda _, german, english: [german, english])
    train(warm, tmp_path, "table", *TSV, "dataset.source=en", "dataset.target=en")


@pytest.mark.parametrize(("source", "target"), [("nan", "no"), ("sr@latin", "zh-Hant")])
def test_names_that_yaml_could_take_for_something_else(warm: Warm, tmp_path: Path, source: str, target: str) -> None:
    write_corpus(tmp_path)
    for split, name in (("train", "2024"), ("dev", "dev"), ("test", "test")):
        (tmp_path / f"{split}.de").rename(tmp_path / f"{name}.{source}")
        (tmp_path / f"{split}.en").rename(tmp_path / f"{name}.{target}")
    options = [f"dataset.source={source}", f"dataset.target={target}", "dataset.train=2024", "hydra.run.dir=7"]
    ended = warm("train", *TEXT, *RUN, *options, folder=tmp_path)
    assert (ended.status, ended.told) == (0, "")
    given = ["checkpoint=7/checkpoints/best", "device=cpu", "output=12"]
    ended = warm("evaluate", *given, f"source=dev.{source}", f"target=dev.{target}", folder=tmp_path)
    assert (ended.status, ended.told) == (0, "")
    assert (tmp_path / "12" / f"hypotheses.files.{target}").exists()


def test_a_language_that_yaml_takes_for_a_boolean(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    for split in ("train", "dev", "test"):
        (tmp_path / f"{split}.en").rename(tmp_path / f"{split}.no")
    mine = tmp_path / "configs" / "experiment" / "mine.yaml"
    mine.parent.mkdir(parents=True)
    options = [option for option in TEXT if not option.startswith("dataset.target=")]
    options += ["--config-dir=configs", "experiment=mine"]
    mine.write_text("# @package _global_\ndataset:\n  source: de\n  target: no\n")
    found = refusal(warm, tmp_path, *options)
    assert found.startswith("dataset.target: found the boolean false and not text")
    assert 'put quotes around it: "TEXT" in YAML' in found
    mine.write_text('# @package _global_\ndataset:\n  source: de\n  target: "no"\n')
    train(warm, tmp_path, "run", *options)


def hint(argument: str, capsys: pytest.CaptureFixture[str]) -> str:
    """What the refusal of an argument says to type in its place."""
    with (
        initialize_config_dir(str(CONFIGS), version_base="1.3"),
        pytest.raises(SystemExit),
        cli_errors(Train),
    ):
        compose("train", overrides=["dataset=files", argument])
    return capsys.readouterr().err.rstrip("\n").rpartition("quotes: ")[2].rpartition("and all: ")[2]


PATHS = [
    "/my/a,b/c",
    "/my/o'neil",
    '/my/"quoted",x',
    "/my/a=b",
    "/my/(x) y",
    "/my/{x}",
    r"/my/back\slash,",
    r'\\"',
    "[a",
]
PATHS += ["/a,b\\", "/it's, \"so\" 'it' $HOME `x` !", "x:,", " a,b ", "a,,b", "/my/[x]", "<x>", "a&b;c|d,", '"', "'"]


@pytest.mark.parametrize("path", PATHS)
def test_a_hint_can_be_pasted(path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")  # `cli_errors` sets it: put back what was there
    (argument,) = shlex.split(hint(f"dataset.train={path}", capsys))
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        assert compose("train", overrides=["dataset=files", argument]).dataset.train == path


def test_a_path_with_a_comma_and_quotes(warm: Warm, tmp_path: Path) -> None:
    folder = tmp_path / 'o\'neil, "mine"'
    folder.mkdir()
    write_corpus(folder)
    write_corpus(tmp_path)
    options = [option for option in TEXT if not option.startswith("dataset.train=")]
    found = refusal(warm, tmp_path, *options, f"dataset.train={folder}/train")
    (argument,) = shlex.split(found.rpartition("and all: ")[2].rpartition("quotes: ")[2])
    train(warm, tmp_path, "run", *options, argument)


# --- normal forms -----------------------------------------------------------------------------------------------------


def decompose(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        text = unicodedata.normalize("NFD", path.read_text(encoding="utf-8"))
        (folder / f"nfd-{name}").write_text(text, encoding="utf-8")


def translate(warm: Warm, folder: Path, run: str, name: str) -> Ended:
    given = (folder / name).read_bytes()
    ended = warm("translate", f"checkpoint={run}/checkpoints/best", "device=cpu", folder=folder, given=given)
    assert ended.status == 0
    return ended


def test_text_in_another_normal_form_is_told_once(warm: Warm, sweep: Path, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    decompose(tmp_path, "test.de", "test.en", "dev.de", "dev.en")
    run = str(sweep / "runs" / "general")
    marked = [number for number, (line, _) in enumerate(pairs(tmp_path, "test"), start=1) if not line.isascii()]
    assert 1 < len(marked) < 31
    assert translate(warm, tmp_path, run, "test.de").told == ""
    cli_errors = translate(warm, tmp_path, run, "nfd-test.de").told
    assert cli_errors.startswith(f"line {marked[0]}: not in NFC, the Unicode normalisation form of the training text")
    assert "dataset.normalization=nfc" in cli_errors
    assert cli_errors.count("\n") == 1
    best = [f"checkpoint={run}/checkpoints/best", "device=cpu", "output=here"]
    for prefix, count in (("", 0), ("nfd-", len(marked))):
        ended = warm("evaluate", *best, f"source={prefix}test.de", "target=test.en", folder=tmp_path)
        warnings = [line for line in ended.printed.decode().splitlines() if "warning" in line]
        assert len(warnings) == (count > 0)
        assert all(f"{count} sources and 0 targets of 31 are not in NFC" in warning for warning in warnings)
    (tmp_path / "nfd-dev.de").rename(tmp_path / "dev.de")
    log, _ = train(warm, tmp_path, "run", *TEXT)
    (warning,) = [line for line in log.splitlines() if "warning" in line]
    assert "warning: validation: " in warning
    assert "sources and 0 targets of 23 are not in NFC" in warning


def test_a_normalization_is_that_of_all_text(warm: Warm, scores_of_files: dict[str, Any], tmp_path: Path) -> None:
    form = "nfc"
    write_corpus(tmp_path)
    log, scores = train(warm, tmp_path, "composed", *TEXT, f"dataset.normalization={form}")
    assert scores == scores_of_files  # the corpus is NFC
    for side in ("de", "en"):
        decompose(tmp_path, *(f"{name}.{side}" for name in ("train", "dev", "test")))
    nfd = ["dataset.train=nfd-train", "dataset.validation=nfd-dev", "dataset.test=nfd-test"]
    decomposed, other = train(warm, tmp_path, "decomposed", *TEXT, *nfd, f"dataset.normalization={form}")
    assert other == scores
    assert "warning" not in log + decomposed
    plain, split = (translate(warm, tmp_path, "composed", f"{prefix}test.de") for prefix in ("", "nfd-"))
    assert (split.told, split.printed) == ("", plain.printed)
    results = []
    for prefix in ("", "nfd-"):
        files = [f"source={prefix}test.de", f"target={prefix}test.en", f"output={prefix}out"]
        ended = warm("evaluate", "checkpoint=composed/checkpoints/best", "device=cpu", *files, folder=tmp_path)
        assert (ended.status, "warning" in ended.printed.decode()) == (0, False)
        results.append(json.loads((tmp_path / f"{prefix}out" / "evaluation.json").read_text())["files"])
    assert results[0] == results[1] == scores["test"]
    assert checkpoint.load(tmp_path / "composed/checkpoints/best").configuration["dataset"]["normalization"] == form


# --- markup and rare characters ---------------------------------------------------------------------------------------


def test_markup_stays_whole(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    for name in ("train", "dev", "test"):
        lines = [(f"<b>{german}</b> {{0}}", f"<b>{english}</b> {{0}}") for german, english in pairs(tmp_path, name)]
        write_pairs(tmp_path, name, lines)
    symbols = "dataset.symbols=['<b>','</b>','{0}']"
    train(warm, tmp_path, "whole", *TEXT, symbols)
    train(warm, tmp_path, "split", *TEXT)
    whole, split = (
        checkpoint.load(tmp_path / name / "checkpoints/best").tokenizers.source for name in ("whole", "split")
    )
    text = "<b>Das Mädchen</b> sieht {0}{0} <b>"
    assert [piece for piece in whole.pieces(whole.encode(text)) if piece in ("<b>", "</b>", "{0}")] == [
        "<b>",
        "</b>",
        "{0}",
        "{0}",
        "<b>",
    ]
    assert whole.decode(whole.encode(text)) == text
    assert "{0}" not in split.pieces(split.encode(text))
    assert len(whole) == len(split) == 330


def test_rare_characters_can_be_bytes(warm: Warm, tmp_path: Path) -> None:
    write_corpus(tmp_path)
    lines = pairs(tmp_path, "train")
    write_pairs(tmp_path, "train", [*(20 * lines), ("".join(map(chr, range(0x4E00, 0x4E00 + 90))), "Rare.")])
    found = refusal(warm, tmp_path, *TEXT, "dataset.vocabulary=340")
    assert "set dataset.vocabulary to 390" in found
    assert "or dataset.character_coverage=0.9995, which writes rare characters as bytes" in found
    train(warm, tmp_path, "run", *TEXT, "dataset.vocabulary=340", "dataset.character_coverage=0.9995")
    tokenizer = checkpoint.load(tmp_path / "run/checkpoints/best").tokenizers.source
    assert tokenizer.count_fallbacks(["Das Mädchen.", "\u4e05"]) == [0, 3]
