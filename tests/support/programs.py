"""The programs as a person starts them, and a small parallel corpus of made-up sentences to start them on."""

import random
import subprocess
import sys
from itertools import product
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"

SUBJECTS = [
    ("der Hund", "the dog"),
    ("die Katze", "the cat"),
    ("das Pferd", "the horse"),
    ("der Müller", "the miller"),
    ("die Schwester", "the sister"),
    ("das Mädchen", "the girl"),
]
VERBS = [("sieht", "sees"), ("sucht", "looks for"), ("findet", "finds"), ("hört", "hears"), ("kauft", "buys")]
TIMES = [("heute", "today"), ("morgens", "in the morning"), ("nie", "never"), ("im Winter", "in winter")]
OBJECTS = [
    ("den Apfel", "the apple"),
    ("die Brücke", "the bridge"),
    ("das Brot", "the bread"),
    ("einen Löffel", "a spoon"),
    ("eine Tür", "a door"),
    ("kein Wasser", "no water"),
]
SIZES = {"train": 300, "dev": 23, "test": 31}

TEXT = ["dataset=files", "dataset.train=train", "dataset.validation=dev", "dataset.test=test", "dataset.cache=cache"]
TEXT += ["dataset.source=de", "dataset.target=en", "dataset.vocabulary=330"]
CPU = {"kind": "cpu", "threads": 1, "precision": "auto", "deterministic": False, "graphs": True}
SMALL = ["model=tiny", "device=cpu", "device.threads=1", "training.batch.size=256", "training.warmup=10"]


def write_corpus(folder: Path) -> None:
    """`train`, `dev` and `test` in German and English, the same ones every time."""
    sentences = sorted(product(SUBJECTS, VERBS, TIMES, OBJECTS))
    random.Random(7).shuffle(sentences)
    for name, size in SIZES.items():
        some = [sentences.pop() for _ in range(size)]
        german = [f"{s[0]} {v[0]} {t[0]} {o[0]}." for s, v, t, o in some]
        english = [f"{s[1]} {v[1]} {o[1]} {t[1]}." for s, v, t, o in some]
        for language, lines in (("de", german), ("en", english)):
            text = "".join(line[0].upper() + line[1:] + "\n" for line in lines)
            (folder / f"{name}.{language}").write_text(text, encoding="utf-8")


def choices(group: str) -> list[str]:
    """The files of a configuration group."""
    return sorted(path.stem for path in (CONFIGS / group).glob("*.yaml"))


def command(program: str, *arguments: str) -> list[str]:
    """The words of the command line."""
    return [sys.executable, str(ROOT / f"{program}.py"), *arguments]


def start(
    program: str, *arguments: str, folder: Path, given: bytes = b"", status: int = 0
) -> subprocess.CompletedProcess[bytes]:
    """Runs a program in a folder to its end, which must be the given exit status."""
    ended = subprocess.run(command(program, *arguments), cwd=folder, input=given, capture_output=True, timeout=120)
    assert ended.returncode == status, (ended.returncode, ended.stderr.decode())
    return ended


def snapshot(folder: Path) -> dict[str, bytes]:
    """Every file with what it holds, and every run folder."""
    files = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return files | {str(path): b"" for path in folder.glob("runs/*")}
