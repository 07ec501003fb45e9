"""Interventions in a comparison: `evaluate.py` scores each finished run with changed attention weights."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from seq2seq import checkpoint, config
from seq2seq.commands.composition import compose_options, load_options
from seq2seq.commands.hydra_quotes import quoted
from seq2seq.commands.planned_run import PlannedRun
from seq2seq.config.intervention import Interventions, intervention_name
from seq2seq.reporting.comparison import intervention_table
from seq2seq.runtime.errors import InputError
from seq2seq.runtime.run_folder import RunFolder
from seq2seq.trained_model import checkpoint_folder

UNTOUCHED = "untouched"


def parse_interventions(arguments: Mapping[str, str]) -> Interventions:
    """The options `intervene` and `intervene.KEY` of a comparison. They are evaluate.py's section `attention`.

    Raises InputError for an unknown intervention or a wrong value.
    """
    overrides = [f"attention.{name.removeprefix('intervene.')}={value}" for name, value in arguments.items()]
    try:
        composed, _ = compose_options("evaluate", ["checkpoint=RUN", *overrides], config.Evaluate)
        return load_options(config.Evaluate, composed).attention
    except InputError as error:
        message = str(error).replace("attention.intervene", "intervene").replace("attention.", "intervene.")
        raise InputError(message) from None


def evaluation_overrides(run: PlannedRun, interventions: Interventions) -> list[str]:
    """The overrides with which evaluate.py scores the finished run."""
    folder, dataset = RunFolder(run.folder), run.configuration.dataset
    device = run.configuration.device.model_dump(mode="json", exclude={"precision"})  # that of training
    return [
        f"checkpoint={quoted(folder.best)}",
        f"output={quoted(folder.interventions)}",
        f"dataset.cache={quoted(dataset.cache)}",
        f"device={device.pop('kind')}",
        *(f"device.{key}={_word(value)}" for key, value in device.items()),
        f"attention.intervene=[{','.join(interventions.intervene)}]",
        *(
            f"attention.{key}={quoted(value) if isinstance(value, str) else _word(value)}"
            for key, value in interventions.model_dump(mode="json", exclude={"intervene"}).items()
        ),
    ]


def _word(value: Any) -> str:
    return "null" if value is None else str(value).lower()


def intervention_scores(run: PlannedRun, interventions: Interventions) -> dict[str, dict[str, Any]]:
    """The scores of the run's test split by intervention, the untouched model's first; empty if there are none yet.

    Scores of other interventions, of other values or of an earlier checkpoint of the run do not count.
    """
    folder = RunFolder(run.folder)
    if not interventions.intervene:
        return {}
    evaluation = RunFolder(folder.interventions).evaluation
    try:
        results = json.loads(evaluation.read_text(encoding="utf-8"))
        if (donor := interventions.checkpoint) is not None:  # it may be another model by now
            changed = (checkpoint_folder(donor) / checkpoint.DESCRIPTION).stat().st_mtime
            if changed > evaluation.stat().st_mtime:
                return {}
        if results["step"] != json.loads(folder.results.read_text(encoding="utf-8"))["best"]["step"]:
            return {}
        scores = {UNTOUCHED: results["test"]}
        for name in interventions.intervene:
            entry = results["interventions"][name]
            if entry["options"] != _values(interventions, name):
                return {}
            scores[intervention_name(name, interventions)] = entry["test"]
        intervention_table([scores])  # a file that somebody has changed has no numbers where they must be
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return {}
    return scores


def _values(interventions: Interventions, name: str) -> dict[str, Any]:
    return interventions.model_dump(mode="json", include={*interventions.of(name)})


def check_interventions(runs: Sequence[PlannedRun], interventions: Interventions) -> None:
    """Raises InputError where a planned run cannot have one of the interventions."""
    if interventions.checkpoint is not None:
        checkpoint.load(checkpoint_folder(interventions.checkpoint))
    if interventions.head is None:
        return
    for run in runs:
        attention = run.configuration.attention
        if attention.score != "multihead" or attention.heads == 1:
            raise InputError(f"intervene=head is for attention=multihead, and the rule of {run.variant} has one head")
        if interventions.head >= attention.heads:
            raise InputError(
                f"intervene.head={interventions.head}: the heads of {run.variant} are 0 to {attention.heads - 1}"
            )
