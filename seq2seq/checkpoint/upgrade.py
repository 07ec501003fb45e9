"""Upgrades the `checkpoint.json` and the configurations of older versions."""

from typing import Any

# Options that were added later, with the values that training used before.
_GUIDE = {
    **{"alignments": None, "alignment_units": "words"},
    **{"loss": "cross_entropy", "weight": 0.1, "epochs": None},
}
_HARD = {"estimator": "straight_through", "temperature": 1.0, "soft": 0.0}
ADDED: dict[str, dict[str, Any]] = {
    "": {"evaluation": {"tokenize": None}, "init": None, "mistake": []},
    "training": {
        **{"save_every": None, "freeze": [], "average": None, "guide": _GUIDE},
        **{"r_drop": 0.0, "coverage_loss": 0.0, "teacher_forcing": {"first": 1.0, "last": 1.0}},
        **{"sample_subwords": {"source": None, "target": None}},
    },
    "model": {
        "cell": "gru",
        **{"recurrent_dropout": 0.0, "source_word_dropout": 0.0, "target_word_dropout": 0.0},
        "embeddings": {"source": None, "target": None},
    },
    "dataset": {
        **{"normalization": "none", "character_coverage": 1.0, "symbols": [], "min_frequency": 1},
        **{"both_directions": False, "distilled": None},
    },
    "attention": _HARD,
    "decoder": {"layers": 1},
    "encoder.attention": _HARD,
    "search": {
        **{"min_length": 0, "no_repeat_ngram": 0, "length_form": "power", "coverage_penalty": 0.0},
        **{"method": "beam", "temperature": 1.0, "top_k": 0, "top_p": 1.0, "seed": 1, "rank_by": "score"},
        **{"groups": 1, "diversity": 0.5},
    },
    "device": {"precision": "float32", "deterministic": False, "graphs": True},
}
ADDED_TO_OWN_TEXT: dict[str, Any] = {"hold_out": None}
ADDED_TO_GRAMMAR: dict[str, Any] = {"invented_names": 0.0}
ADDED_TO_TSV: dict[str, Any] = {"columns": None, "quoting": "none", "header": False}


def upgrade(values: dict[str, Any]) -> dict[str, Any]:
    """The values with everything that was added since. A checkpoint of format 1 cannot be resumed."""
    if values["format"] == 1:
        values = {**values, "files": {}, "state": None}
    upgrade_configuration(values.get("configuration"))
    return values


def upgrade_configuration(configuration: Any) -> Any:
    """The configuration, to which options that came later are added with the values that training used before."""
    for path, added in ADDED.items():
        section = configuration
        for key in filter(None, path.split(".")):
            section = section.get(key) if isinstance(section, dict) else None
        if isinstance(section, dict):
            section.update({**added, **section})
            if path == "dataset" and section.get("name") not in ("grammar", "multi30k"):
                section.update({**ADDED_TO_OWN_TEXT, **section})
            if path == "dataset" and section.get("name") == "grammar":
                section.update({**ADDED_TO_GRAMMAR, **section})
            if path == "dataset" and section.get("name") == "tsv":
                section.update({**ADDED_TO_TSV, **section})
    return configuration
