"""Folders that stand at the top level of a checkout and inside an installed package: `configs` and `lexicon`."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_IN_CHECKOUT = {"configs": _PACKAGE.parent / "configs", "lexicon": _PACKAGE.parent / "data" / "lexicon"}


def resource_folder(name: str) -> Path:
    """The folder `configs` (Hydra's YAML files) or `lexicon` (the words of the built-in corpus)."""
    installed = _PACKAGE / name
    return installed if installed.is_dir() else _IN_CHECKOUT[name]


CONFIGS = resource_folder("configs")
