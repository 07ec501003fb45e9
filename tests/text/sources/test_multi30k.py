"""Multi30k from a folder and over HTTP: a file has the expected content, or there is none and an error with advice."""

import bz2
import gzip
import hashlib
import lzma
import shlex
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Corpus
from seq2seq.text.sources import multi30k as module
from seq2seq.text.sources.multi30k import SHA256, TEXT_SHA256, multi30k

CONTENT = {
    name: gzip.compress("".join(f"{name} {line}\n" for line in range(lines)).encode(), mtime=0)
    for name, lines in (
        [(f"train.{language}", 700) for language in ("de", "en", "fr", "cs")]
        + [(f"val.{language}", 5) for language in ("de", "en", "fr", "cs")]
        + [(f"test_2016_flickr.{language}", 3) for language in ("de", "en", "fr", "cs")]
    )
}


class Server(ThreadingHTTPServer):
    """Serves `CONTENT` on loopback; `misbehaviour` is a file name and the fault of its answer."""

    misbehaviour: tuple[str, str] = ("", "")

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.requested: list[str] = []

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/raw"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        name = self.path.removeprefix("/raw/").removesuffix(".gz")
        self.server.requested.append(name)
        file, fault = self.server.misbehaviour
        fault = fault if file == name else ""
        if fault == "404":
            self.send_error(404)
            return
        body = b"something else" if fault == "wrong" else CONTENT[name]
        self.send_response(200)
        if fault != "chunked":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if fault in ("cut", "stall", "chunked"):
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            if fault == "stall":
                threading.Event().wait(1.0)
            self.connection.shutdown(socket.SHUT_RDWR)
            return
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name, body in CONTENT.items():
        monkeypatch.setitem(SHA256, name, hashlib.sha256(body).hexdigest())
        if name in TEXT_SHA256:
            monkeypatch.setitem(TEXT_SHA256, name, hashlib.sha256(gzip.decompress(body)).hexdigest())
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def lengths(corpus: Corpus) -> list[int]:
    """The number of pairs of each split."""
    return [len(list(split)) for split in corpus.splits().values()]


def test_what_the_folder_lacks_is_downloaded_once(server: Server, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    corpus = multi30k(folder=folder, source="fr", target="cs", address=server.address)
    assert list(corpus.validation) == [(f"val.fr {line}", f"val.cs {line}") for line in range(5)]
    assert len(server.requested) == 2  # what was asked for
    assert lengths(corpus) == [700, 5, 3]
    names = {f"{split}.{language}" for split in ("train", "val", "test_2016_flickr") for language in ("fr", "cs")}
    assert sorted(server.requested) == sorted(names)
    assert {path.name for path in folder.iterdir()} == {f"{name}.gz" for name in names}
    assert lengths(multi30k(folder=folder, source="cs", target="fr", address=server.address)) == [700, 5, 3]
    assert len(server.requested) == 6
    assert lengths(multi30k(folder=folder, source="cs", target="en", address=server.address)) == [700, 5, 3]
    assert len(server.requested) == 9
    without = multi30k(folder=folder, source="cs", target="de", test=None, address=server.address)
    assert lengths(without) == [700, 5]
    assert len(server.requested) == 11


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("404", "404 Not Found"),
        ("cut", r"cut after \d+ of \d+ bytes"),
        ("stall", "timed out"),
        ("wrong", "has the SHA-256"),
        ("chunked", "has the SHA-256"),
    ],
)
def test_a_bad_download_leaves_nothing_and_says_what_to_do(
    server: Server, tmp_path: Path, fault: str, reason: str
) -> None:
    server.misbehaviour = ("train.en", fault)
    with pytest.raises(InputError, match=rf"train\.en\.gz: .*{reason}.*by hand.*dataset\.folder") as raised:
        lengths(multi30k(folder=tmp_path, source="de", target="en", address=server.address))
    assert "\n" not in str(raised.value)
    assert [path.name for path in tmp_path.iterdir()] == ["train.de.gz"]
    server.misbehaviour = ("", "")
    assert len(list(multi30k(folder=tmp_path, source="de", target="en", address=server.address).train)) == 700


def test_no_network_says_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(InputError, match=r"refused.*put the file at .*train\.de\.gz by hand"):
            lengths(multi30k(folder=tmp_path, source="de", target="en", address=address))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_made_is_told(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot download"):
        lengths(multi30k(folder=tmp_path / "file" / "folder", source="de", target="en", address=server.address))


PACKED = {
    "": bytes,
    ".gz": lambda text: gzip.compress(text, compresslevel=1, mtime=7),
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
}


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
@pytest.mark.parametrize("suffix", PACKED)
def test_the_text_counts_and_not_how_it_is_packed(server: Server, tmp_path: Path, suffix: str, end: bytes) -> None:
    for name in ("train.de", "train.en", "val.de", "val.en", "test_2016_flickr.de", "test_2016_flickr.en"):
        text = gzip.decompress(CONTENT[name]).replace(b"\n", end)
        (tmp_path / f"{name}{suffix}").write_bytes(PACKED[suffix](text))
    corpus = multi30k(folder=tmp_path, source="de", target="en", address=None)
    assert list(corpus.validation) == [(f"val.de {line}", f"val.en {line}") for line in range(5)]
    assert lengths(corpus) == [700, 5, 3]
    published = multi30k(folder=tmp_path / "published", source="de", target="en", address=server.address)
    assert corpus.train.fingerprint() == published.train.fingerprint()


@pytest.mark.parametrize("name", ["val.en.gz", "val.en", "val.en.xz"])
def test_another_text_is_refused_with_what_to_do(server: Server, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "my folder"
    folder.mkdir()
    (folder / name).write_bytes(b"the val.en of another release\n")
    with pytest.raises(InputError) as raised:
        lengths(multi30k(folder=folder, source="de", target="en", address=server.address))
    refusal = str(raised.value)
    assert f"the text of {folder / name} is not Multi30k's (SHA-256 " in refusal
    assert "delete" not in refusal
    options = shlex.split(refusal.partition("to use the text unchecked: ")[2])
    assert options[0] == "dataset=files"
    assert {f"dataset.validation={folder}/val", "dataset.source=de", "dataset.target=en"} < {*options}
    assert (folder / name).read_bytes() == b"the val.en of another release\n"


def test_a_right_file_beside_another_is_taken(server: Server, tmp_path: Path) -> None:
    lengths(multi30k(folder=tmp_path, source="de", target="en", address=server.address))
    (tmp_path / "train.de").write_bytes(b"tokenised\n")
    corpus = multi30k(folder=tmp_path, source="de", target="en", address=None)
    assert len(list(corpus.train)) == 700


def test_what_cannot_be_checked_is_left_alone(server: Server, tmp_path: Path) -> None:
    """For French and Czech the hash of the text is not known."""
    text = gzip.decompress(CONTENT["train.fr"])
    (tmp_path / "train.fr").write_bytes(text)
    with pytest.raises(
        InputError,
        match=r"train\.fr cannot be checked: only the SHA-256 of the published train\.fr\.gz .*dataset=files",
    ):
        lengths(multi30k(folder=tmp_path, source="fr", target="de", address=None))
    server.misbehaviour = ("train.fr", "404")
    with pytest.raises(InputError, match=r"404 Not Found.*train\.fr cannot be checked.*dataset=files"):
        lengths(multi30k(folder=tmp_path, source="fr", target="de", address=server.address))
    server.misbehaviour = ("", "")
    assert len(list(multi30k(folder=tmp_path, source="fr", target="de", address=server.address).train)) == 700
    assert (tmp_path / "train.fr").read_bytes() == text
    (tmp_path / "train.fr.gz").write_bytes(gzip.compress(text, mtime=7))
    with pytest.raises(InputError, match=r"train\.fr\.gz cannot be checked.*dataset=files"):
        lengths(multi30k(folder=tmp_path, source="fr", target="de", address=server.address))
    assert gzip.decompress((tmp_path / "train.fr.gz").read_bytes()) == text


@pytest.mark.parametrize(("source", "target"), [("de", "de"), ("de", "it"), ("", "en"), ("EN", "de")])
def test_unknown_languages_are_refused(tmp_path: Path, source: str, target: str) -> None:
    with pytest.raises(InputError, match="two different languages of cs, de, en, fr"):
        multi30k(folder=tmp_path, source=source, target=target, address="http://127.0.0.1:9")


@pytest.mark.parametrize(
    ("languages", "test", "choices"),
    [
        (("de", "en"), "test_2018_flickr", "test_2016_flickr, test_2017_flickr"),
        (("cs", "en"), "test_2017_flickr", "test_2016_flickr"),
        (("en", "cs"), "test_2017_flickr", "test_2016_flickr"),
        (("fr", "de"), "val", "test_2016_flickr, test_2017_flickr"),
    ],
)
def test_unknown_test_sets_are_refused(tmp_path: Path, languages: tuple[str, str], test: str, choices: str) -> None:
    source, target = languages
    with pytest.raises(InputError, match=rf"no test set '{test}' .*choose one of {choices}$"):
        multi30k(folder=tmp_path, source=source, target=target, test=test, address="http://127.0.0.1:9")


@pytest.mark.data
def test_the_real_text_plain(real_data: Path, tmp_path: Path) -> None:
    for path in sorted((real_data / "multi30k").glob("*.gz")):
        text = gzip.decompress(path.read_bytes())
        assert hashlib.sha256(path.read_bytes()).hexdigest() == SHA256[path.stem]
        assert hashlib.sha256(text).hexdigest() == TEXT_SHA256[path.stem]
        (tmp_path / path.stem).write_bytes(text)
    published = multi30k(folder=real_data / "multi30k", source="de", target="en", address=None)
    corpus = multi30k(folder=tmp_path, source="de", target="en", address=None)
    assert corpus.train.fingerprint() == published.train.fingerprint()


@pytest.mark.data
def test_the_real_files(real_data: Path) -> None:
    folder = real_data / "multi30k"
    corpus = multi30k(folder=folder, source="de", target="en", address="http://127.0.0.1:9")
    pairs = list(corpus.train)
    assert len(pairs) == 29_000 - 2
    assert all(pair.source.strip() and pair.target.strip() and "@@" not in pair for pair in pairs)
    assert sum("\u00a0" in pair.source or "\t" in pair.source for pair in pairs) > 0
    assert lengths(corpus) == [29_000 - 2, 1_014, 1_000]
    reverse = multi30k(folder=folder, source="en", target="de", address="http://127.0.0.1:9")
    assert [(target, source) for source, target in reverse.train] == pairs
    assert reverse.train.fingerprint() != corpus.train.fingerprint()
    assert isinstance(corpus.train, module.WithoutMissing)
    assert corpus.train.fingerprint() != corpus.train.split.fingerprint()
