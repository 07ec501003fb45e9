"""Ways to spoil what a reader reads: edits of bytes, of JSON, of safetensors and of SentencePiece models.

Edits are plain tuples, so that what was found can be printed and read.
"""

import json
import struct
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from seq2seq.checkpoint import DESCRIPTION, SEAL, seal

SCRAPS = [b"", b"\0", b"\n", b"\r\n", b"\t", b"\xff", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\xff\xfe", b"\x80\x04."]
SCRAPS += ["ä😀\u200d\u202e\u0301\u2028\x85\ufeff".encode(), b"0-0 1p2", b"-1", b"999999-0", b"#", b"-", b",", b"="]
SCRAPS += [b"{", b"[[", b'"', b"NaN", b"1e999", b'{"a":', b"../../x", b"\x1f\x8b\x08", b"\xff" * 9, b"\x0a\x80\x80\x04"]


def reseal(checkpoint: Path) -> None:
    """Makes a checkpoint's hash that of its `checkpoint.json`, as somebody would who changed it on purpose."""
    (checkpoint / SEAL).write_bytes(seal((checkpoint / DESCRIPTION).read_bytes()))


fragments = st.sampled_from(SCRAPS) | st.binary(max_size=12)
places = st.floats(0, 1) | st.integers(0, 300)
cuts = st.one_of(
    st.tuples(st.just("insert"), places, fragments),
    st.tuples(st.just("write over"), places, fragments),
    st.tuples(st.just("cut"), places, st.integers(1, 400)),
    st.tuples(st.just("end"), places, st.just(0)),
    st.tuples(st.just("repeat"), places, st.integers(1, 3000)),
)
plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
plain |= st.sampled_from([10**30, -(10**30), 2**63, 1e308, "\ud800", "../../x", "/dev/zero", "_target_", "a" * 999])
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ways = st.lists(st.integers(0, 30), min_size=1, max_size=5)
changes = st.one_of(
    st.tuples(st.just("set"), ways, values),
    st.tuples(st.just("drop"), ways, st.none()),
    st.tuples(st.just("name"), ways, st.text(max_size=5) | st.sampled_from(["_target_", "\ud800", "\n"])),
    st.tuples(st.just("add"), ways, st.tuples(st.text(max_size=5), values)),
    st.tuples(st.just("wrap"), ways, st.sampled_from([1, 50, 250, 3000, 100_000])),
)


def cut(content: bytes, edit: Any) -> bytes:
    """The content, differently."""
    kind, place, what = edit
    at = min(int(place * len(content)) if isinstance(place, float) else place, len(content))
    match kind:
        case "insert":
            return content[:at] + what + content[at:]
        case "write over":
            return content[:at] + what + content[at + len(what) :]
        case "cut":
            return content[:at] + content[at + what :]
        case "end":
            return content[:at]
        case _:
            return content[:at] + content[at : at + 40] * what + content[at:]


def cut_all(content: bytes, edits: Any) -> bytes:
    """One edit after the other."""
    for edit in edits:
        content = cut(content, edit)
    return content


def change(value: Any, edit: Any) -> Any:
    """The JSON value, with one thing in it changed in place where it has an inside."""
    kind, way, what = edit
    holder: dict[Any, Any] = {0: value}
    inside: Any = holder
    key: Any = 0
    for number in way:
        if isinstance(inside[key], dict | list) and inside[key]:
            inside = inside[key]
            key = list(inside)[number % len(inside)] if isinstance(inside, dict) else number % len(inside)
    match kind:
        case "set":
            inside[key] = what
        case "drop" if inside is not holder:
            del inside[key]
        case "name" if isinstance(inside, dict) and inside is not holder:
            inside[what] = inside.pop(key)
        case "add" if isinstance(inside[key], dict):
            inside[key][what[0]] = what[1]
        case "wrap" if what < 900:
            for _ in range(what):
                inside[key] = [inside[key]]
        case "wrap":
            inside[key] = "\0" * 3 + str(what)  # `as_json` makes brackets of it
    return holder[0]


def as_json(value: Any) -> bytes:
    """JSON, with nests too deep for Python to write them."""
    text = json.dumps(value)
    for depth in (3000, 100_000):
        text = text.replace(json.dumps("\0" * 3 + str(depth)), "[" * depth + "]" * depth)
    return text.encode()


def with_header(content: bytes, edit: Any) -> bytes:
    """A safetensors file with another table of its tensors."""
    try:
        size = struct.unpack("<Q", content[:8])[0]
        header = as_json(change(json.loads(content[8 : 8 + size]), edit))
        return struct.pack("<Q", len(header)) + header + content[8 + size :]
    except (ValueError, RecursionError, struct.error):
        return content


# A SentencePiece model is a protobuf: 1 a piece (1 its text, 2 its score, 3 its type), 2 how it was trained, 3 how text
# is normalised (2 a compiled map), 5 the same for what comes out.
pieces = st.tuples(
    st.sampled_from(["drop", "double", "cut", "before", "shuffle", "keep"]),
    st.floats(0, 1) | st.integers(0, 9) | st.integers(-4, -1),
    st.one_of(
        cuts,
        st.tuples(st.sampled_from([1, 2, 3, 4, 5, 9]), fragments | st.binary(max_size=60)),
        st.tuples(
            st.sampled_from([3, 5]), st.binary(max_size=200).map(lambda part: _field(2, part) + _field(1, b"nfkc"))
        ),
        st.tuples(
            st.just(1), st.tuples(fragments, st.integers(0, 9)).map(lambda p: _field(1, p[0]) + b"\x18" + bytes([p[1]]))
        ),
    ),
)


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _varint(number: int) -> bytes:
    found = []
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def _fields(content: bytes) -> list[bytes]:
    """The outermost fields of a protobuf that we wrote; what cannot be taken apart is one."""
    found, at = [], 0
    while at < len(content):
        size, shift, end = 0, 0, at + 1
        while end < len(content):
            size |= (content[end] & 127) << shift
            shift += 7
            end += 1
            if content[end - 1] < 128:
                break
        found.append(content[at : end + size])
        at = end + size
    return found


def with_field(content: bytes, edit: Any) -> bytes:
    """A SentencePiece model with other pieces or another normalisation."""
    kind, place, what = edit
    fields = _fields(content)
    if not fields:
        return content
    at = int(place * (len(fields) - 1)) if isinstance(place, float) else place % len(fields)
    if kind == "drop":
        del fields[at]
    elif kind == "double":
        fields.insert(at, fields[at])
    elif kind == "shuffle":
        fields.reverse()
    elif kind == "keep":
        fields = [field for i, field in enumerate(fields) if field[:1] != b"\x0a" or i <= at]
    elif len(what) == 2:
        fields.insert(at, _field(*what))
    elif len(fields[at]) > 2:
        start = len(fields[at]) - len(_inside(fields[at]))
        fields[at] = _field(fields[at][0] >> 3, cut(fields[at][start:], what))
    return b"".join(fields)


def _inside(field: bytes) -> bytes:
    at = 1
    while at < len(field) and field[at] > 127:
        at += 1
    return field[at + 1 :]
