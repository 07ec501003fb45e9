"""Text that a model spelled, without control characters that it did not learn."""

import re
from collections.abc import Sequence

CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Control characters: C0, DEL, C1, and Unicode's line ends. Not joiners and marks of direction, which text needs."""


def printable(text: str, pieces: Sequence[str]) -> str:
    """The text without line ends, and without control characters except those in the pieces themselves.

    Pieces have the characters of the training text. But with byte pieces (`<0x1B>`) a model can spell any character:
    such a control character becomes a space if it is white space, else U+FFFD.
    """
    known = {*"".join(pieces)} - {"\n"}

    def replace(match: re.Match[str]) -> str:
        control = match[0]
        return control if control in known else " " if control.isspace() else "\ufffd"

    return CONTROL.sub(replace, text)
