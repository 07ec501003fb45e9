"""Train, evaluate and look into recurrent translation models with attention, one attention rule at a time.

The names below are imported at first use, since PyTorch takes seconds: `import seq2seq` takes milliseconds.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from seq2seq.decoding.search_tree import SearchNode
    from seq2seq.library.evaluation import evaluate
    from seq2seq.library.loading import load
    from seq2seq.library.search_tree import SearchTree
    from seq2seq.library.training import Results, train
    from seq2seq.library.translation import Translation
    from seq2seq.library.translator import Translator
    from seq2seq.runtime.errors import InputError

__version__ = "0.2.0"

__all__ = [
    "InputError",
    "Results",
    "SearchNode",
    "SearchTree",
    "Translation",
    "Translator",
    "__version__",
    "evaluate",
    "load",
    "train",
]

_MODULES = {
    "InputError": "seq2seq.runtime.errors",
    "Results": "seq2seq.library.training",
    "SearchNode": "seq2seq.decoding.search_tree",
    "SearchTree": "seq2seq.library.search_tree",
    "Translation": "seq2seq.library.translation",
    "Translator": "seq2seq.library.translator",
    "evaluate": "seq2seq.library.evaluation",
    "load": "seq2seq.library.loading",
    "train": "seq2seq.library.training",
}


def __getattr__(name: str) -> Any:
    """Imports a name at its first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'seq2seq' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULES[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
