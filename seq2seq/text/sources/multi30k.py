"""Multi30k: 29,000 image captions in German, English, French and Czech (Elliott et al. 2016), downloaded if missing."""

import hashlib
import http.client
import os
import shlex
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tqdm import tqdm

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Corpus, OnDemand, Pair, Split
from seq2seq.text.lines import text_digest
from seq2seq.text.sources.files import AlignedFiles, find_files

ADDRESS = "https://raw.githubusercontent.com/multi30k/dataset/a3d2e0d26b56f3846f66a952536ffed4e401d05a/data/task1/raw"
SHA256 = {  # of the published .gz files
    "train.de": "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
    "train.en": "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
    "train.fr": "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c",
    "train.cs": "a65adb8b32e3bc664f21ecba7a6e7f6950fd1f405e135f7c312faabdb6255077",
    "val.de": "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
    "val.en": "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
    "val.fr": "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9",
    "val.cs": "b63226e05c4bd5dd6a42897d74b86a1b9d2c31498252c572b1ea7f7996927fcc",
    "test_2016_flickr.de": "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
    "test_2016_flickr.en": "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
    "test_2016_flickr.fr": "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90",
    "test_2016_flickr.cs": "200a4a74cc9560f051924abb9803be008d1908d77f747e9141aeb86dfd2797f1",
    "test_2017_flickr.de": "a2c89666db00c495cd8513b9d708d5a3acc205d7de312ef2bf5fb7ebc1540aee",
    "test_2017_flickr.en": "76a444ee25172e72695cddb13ae4a3bda59430617be88e0bb46b60504f054074",
    "test_2017_flickr.fr": "3ba671ceb2299f3304ffafefea7a833d08632fbaf0ba18546f8a2ec2391af496",
}
TEXT_SHA256 = {  # of the unpacked text: `gunzip -c FILE.gz | sha256sum`
    "train.de": "2c2b73fd2b548fbcde3a875e0a78d6ee94d498bfdee6bd3eae3945779e9ddf72",
    "train.en": "460a15fbd157e34a7a9957ee388c1ca247fe47af3ef25fb50442af6c274e0fc6",
    "val.de": "660e09eb7e1da2f856ea13ee5ad3cf6d36b3d5b0b733c857e94c5747a3dfc660",
    "val.en": "1f2a23d992769b5b3d209b0a10dd0b77c08cceb1f20dfb97ed0aafa49d107227",
    "test_2016_flickr.de": "4be6b5b3236b79c25475c6bb829800a7ce559e9ba7a1f6c2394fe4d40be46d16",
    "test_2016_flickr.en": "399a4382932c1aadd3ceb9bef1008d388a64c76d4ae4e9d4728c6f4301cac182",
}
TIMEOUT = 30.0  # seconds without a byte


@dataclass(frozen=True)
class WithoutMissing:
    """A split without the pairs with "@@" as a side, which marks a missing translation (two lines of train.de)."""

    split: Split
    name: str

    def __iter__(self) -> Iterator[Pair]:
        return (pair for pair in self.split if "@@" not in pair)

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return hashlib.sha256(f"without @@ {self.split.fingerprint()}".encode()).hexdigest()


def multi30k(
    *, folder: Path, source: str, target: str, test: str | None = "test_2016_flickr", address: str | None = ADDRESS
) -> Corpus:
    """Task 1 of Multi30k for two of de, en, fr and cs. Files missing in `folder` are downloaded from `address`.

    `TEXT_SHA256` checks the text of a file, plain or compressed. Where it has no entry, `SHA256` can check the
    published .gz only. The test sets test_2017_mscoco and test_2018_flickr are not offered, since no hash is known.
    Raises `InputError` for an unknown language or test set. A split locates its files when it is first read, and
    raises `InputError` for a file that has different content, cannot be downloaded, or is missing if `address` is None.
    """
    languages = sorted({name.rpartition(".")[2] for name in SHA256})
    if source == target or not {source, target} <= set(languages):
        raise InputError(
            f"Multi30k cannot translate {source!r} to {target!r}: choose two different languages of "
            f"{', '.join(languages)}"
        )
    tests = sorted(
        name.removesuffix(f".{source}")
        for name in SHA256
        if name.startswith("test") and name.endswith(f".{source}") and f"{name.removesuffix(source)}{target}" in SHA256
    )
    if test is not None and test not in tests:
        raise InputError(
            f"Multi30k has no test set {test!r} for {source} and {target}: choose one of {', '.join(tests)}"
        )

    parts = {"train": "train", "validation": "val", "test": test}
    options = [f"dataset.{name}={folder / prefix if prefix else 'null'}" for name, prefix in parts.items()]
    options += [f"dataset.source={source}", f"dataset.target={target}"]
    alternative = f"to use the text unchecked: dataset=files {shlex.join(options)}"

    def split(prefix: str, name: str) -> OnDemand:
        def find() -> AlignedFiles:
            paths = [_checked(folder, prefix, language, address, alternative) for language in (source, target)]
            return AlignedFiles(paths[0], paths[1], name)

        return OnDemand(name, find)

    train = WithoutMissing(split("train", "train"), "train")
    scored = None if test is None else split(test, "test")
    return Corpus(source, target, train, split("val", "validation"), scored)


def _checked(folder: Path, prefix: str, language: str, address: str | None, alternative: str) -> Path:
    """The path of a file in `folder` that has the expected text; the file is downloaded where it is missing.

    `alternative` tells the user what to do with a different text. If a file cannot be checked, the published file is
    downloaded in addition.
    """
    name = f"{prefix}.{language}"
    published = folder / f"{name}.gz"
    problem = ""
    for path in sorted(find_files(folder / prefix, language), key=lambda path: path != published):
        if _file_digest(path) == SHA256[name]:
            return path
        if name not in TEXT_SHA256:
            problem = problem or f"{path} cannot be checked: only the SHA-256 of the published {name}.gz is known"
        elif (digest := text_digest(path)) == TEXT_SHA256[name]:
            return path
        else:
            problem = problem or f"the text of {path} is not Multi30k's (SHA-256 {digest}, not {TEXT_SHA256[name]})"
    if problem and (address is None or published.exists() or name in TEXT_SHA256):
        raise InputError(f"{problem}; {alternative}")
    if address is None:
        raise InputError(f"{published} is not there; set dataset.folder=FOLDER to the folder with Multi30k")
    try:
        _download(f"{address}/{name}.gz", published, sha256=SHA256[name])
    except InputError as error:
        raise InputError(f"{error}; {problem}; {alternative}" if problem else str(error)) from error
    return published


def _file_digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error


def _download(address: str, path: Path, *, sha256: str) -> None:
    """Downloads `address` to `path`. A partial file, or one with another hash, is never stored there."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".download-") as temporary:
            part = Path(temporary) / path.name
            digest = _fetch(address, part)
            if digest != sha256:
                raise InputError(_advice(address, path, f"the content has the SHA-256 {digest}, not {sha256}"))
            os.replace(part, path)
    except urllib.error.HTTPError as error:
        raise InputError(_advice(address, path, f"the server answered {error.code} {error.reason}")) from error
    except (OSError, http.client.HTTPException) as error:
        raise InputError(_advice(address, path, str(getattr(error, "reason", error)))) from error


def _fetch(address: str, path: Path) -> str:
    """Downloads to a new file and returns the SHA-256 of its content."""
    digest = hashlib.sha256()
    with urllib.request.urlopen(address, timeout=TIMEOUT) as response, path.open("wb") as file:
        total: int | None = response.length
        with tqdm(desc=path.name, total=total, unit="B", unit_scale=True, disable=None) as progress:
            while block := response.read(1 << 16):
                digest.update(block)
                file.write(block)
                progress.update(len(block))
        received = file.tell()
    if total is not None and received != total:
        raise http.client.HTTPException(f"the connection was cut after {received} of {total} bytes")
    return digest.hexdigest()


def _advice(address: str, path: Path, reason: str) -> str:
    """The error message for a failed download."""
    return (
        f"cannot download {address}: {reason}; try again later, or put the file at {path} by hand, or set "
        "dataset.folder to a folder that has it"
    )
