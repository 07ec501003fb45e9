"""`import seq2seq` imports nothing large, and its names are complete and typed."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import seq2seq
from tests.support.programs import ROOT

LARGE = {"torch", "numpy", "hydra", "omegaconf", "pydantic", "matplotlib", "sacrebleu", "sentencepiece", "tqdm"}


def python(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def test_importing_the_package_imports_nothing_else() -> None:
    printed = python("import sys; before = {*sys.modules}; import seq2seq; print(*({*sys.modules} - before))")
    modules = {*printed.split()}
    assert "seq2seq" in modules
    assert {name for name in modules if name.startswith("seq2seq.")} == set()
    assert LARGE & {name.partition(".")[0] for name in modules} == set()
    assert len(modules) < 30


def test_an_error_class_is_there_without_pytorch() -> None:
    printed = python("import sys, seq2seq; seq2seq.InputError; print(*sys.modules)")
    assert LARGE & {*printed.split()} == set()


def test_translating_imports_neither_hydra_nor_pictures(checkpoint: Path) -> None:
    program = (
        f"import sys, seq2seq; t = seq2seq.load({str(checkpoint)!r}, device='cpu').translate('Der Junge.'); "
        "t.attention, t.token_log_probabilities, t._repr_html_(); print(*sys.modules)"
    )
    assert {"hydra", "omegaconf", "matplotlib", "tensorboard"} & {*python(program).split()} == set()


def test_each_public_name_is_documented_and_found() -> None:
    assert {*seq2seq.__all__} <= {*dir(seq2seq)}
    for name in seq2seq.__all__:
        assert getattr(seq2seq, name).__doc__
    with pytest.raises(AttributeError, match="module 'seq2seq' has no attribute 'nothing'"):
        _ = seq2seq.nothing  # type: ignore[attr-defined]


USER = """
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import seq2seq

translator: seq2seq.Translator = seq2seq.load(Path("runs/x"), device="cpu")
one: seq2seq.Translation = translator.translate("Ein Satz.", beam_size=3, too_long="truncate")
several: list[seq2seq.Translation] = translator.translate(["Ein Satz.", "Noch einer."])
also: list[seq2seq.Translation] = translator.translate(("Ein Satz.",), n_best=2)
stream: Iterator[seq2seq.Translation] = translator.translate(line for line in open("text.de"))
begun: seq2seq.Translation = translator.translate("Ein Satz.", prefix="A", beam_size=2)
starts: list[str] = ["A", "Another"]
each: list[seq2seq.Translation] = translator.translate(["Ein Satz.", "Noch einer."], prefix=starts)
some: list[seq2seq.Translation] = translator.translate(["Ein Satz.", "Noch einer."], prefix=[None, ["▁A"]])
tree: seq2seq.SearchTree = translator.search_tree("Ein Satz.", prefix=["▁A"], n_best=2)
node: seq2seq.SearchNode = tree.nodes[0]
parent: int | None = node.parent
candidates: tuple[tuple[tuple[str, float], ...], ...] = tree.translation.candidates(5)
forced: list[seq2seq.Translation] = translator.score([("Ein Satz.", "A sentence.")])
attended: seq2seq.Translation = translator.attend("Ein Satz.", "A sentence.", length_penalty=0.6)
numbers: tuple[float, ...] = one.token_log_probabilities
weights: np.ndarray = one.attention
links: list[tuple[int, int]] = one.alignment
try:
    results: seq2seq.Results = seq2seq.train("attention=dot", folder="runs/x", progress=False)
    bleu: float = results.scores["test"]["bleu"]
    again: seq2seq.Translator = results.translator
except seq2seq.InputError as error:
    print(str(error))
scores: dict[str, object] = seq2seq.evaluate("runs/x", "search=beam", split="test")
"""
WRONG = """
import seq2seq
seq2seq.load(5)
seq2seq.load("x").translate(5)
seq2seq.load("x").translate("Ein Satz.", beam=3)
text: str = seq2seq.load("x").translate("Ein Satz.")
seq2seq.train(attention="dot")
seq2seq.load("x").translate(iter(["Ein Satz."]), prefix=["A"])
"""


CACHE = ROOT / ".mypy_cache" / "user"
"""Where mypy keeps what it knows of the package: the first check takes five times as long as the next."""


def test_a_users_file_is_checked_strictly(tmp_path: Path) -> None:
    (tmp_path / "user.py").write_text(USER, encoding="utf-8")
    (tmp_path / "wrong.py").write_text(WRONG, encoding="utf-8")
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--cache-dir", str(CACHE)]
    files = [str(tmp_path / name) for name in ("user.py", "wrong.py")]
    checked = subprocess.run([*command, *files], cwd=ROOT, capture_output=True, text=True, timeout=600)
    for file, lines in (("user.py", []), ("wrong.py", [3, 4, 5, 6, 7, 8])):
        errors = re.findall(rf"/{file}:(\d+): error", checked.stdout)
        assert sorted({*map(int, errors)}) == lines, checked
