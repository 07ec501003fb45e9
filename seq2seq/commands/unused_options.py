"""Options of a command line that have no effect, because another option that they belong to is off."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from hydra.core.override_parser.overrides_parser import OverridesParser

from seq2seq.attention.scores import SCORES
from seq2seq.config import Train


class _Condition(NamedTuple):
    is_met: Callable[[Train], bool]
    description: str


_HARD = _Condition(lambda run: run.attention.distribution == "hard", "attention.distribution=hard")
_SCORES = _Condition(lambda run: not SCORES[run.attention.score].is_uniform, "rules with scores")
_GUIDE = _Condition(lambda run: run.training.guide.alignments is not None, "training.guide.alignments")
_CONDITIONS = {
    "attention.heads": _Condition(lambda run: run.attention.score == "multihead", "attention=multihead"),
    "attention.window": _Condition(
        lambda run: run.attention.distribution in ("local_m", "local_p") or run.attention.score == "location",
        "attention.distribution=local_m and local_p, and for attention=location",
    ),
    "attention.estimator": _HARD,
    "attention.soft": _HARD,
    "attention.temperature": _SCORES,
    "training.coverage_loss": _SCORES,
    "training.guide.alignment_units": _GUIDE,
    "training.guide.loss": _GUIDE,
    "training.guide.weight": _GUIDE,
    "training.guide.epochs": _GUIDE,
}


def unused_options(configuration: Train, overrides: Sequence[str]) -> Iterator[str]:
    """A sentence for each of the overrides that changes nothing in this run.

    They are allowed: a comparison of rules gives all its runs the same options.
    """
    for override in OverridesParser.create().parse_overrides(list(overrides)):
        condition = _CONDITIONS.get(override.key_or_group)
        if condition is not None and not condition.is_met(configuration):
            yield f"{override.input_line} has no effect: it is for {condition.description}"
