"""Values of Hydra's command line in quotation marks."""

import re
from typing import Any


def quoted(value: Any) -> str:
    """A text or a path as a value of Hydra's, whatever signs it has."""
    escaped = re.sub(r'(\\*)(")', r"\1\1\\\2", str(value))  # backslashes are plain except before a quotation mark
    escaped = re.sub(r"(\\+)$", r"\1\1", escaped)
    return f'"{escaped}"'
