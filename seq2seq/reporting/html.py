"""A comparison as one HTML page without scripts or external files. The templates `*.jinja` hold markup and style."""

from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from seq2seq.reporting.attention import Attention
from seq2seq.reporting.comparison import (
    INTERVENTIONS_HEADING,
    INTERVENTIONS_NOTE,
    KINDS_HEADING,
    KINDS_NOTE,
    Report,
    bleu_by_kind,
    facts,
    interventions,
    notes,
    runs,
    summary,
)
from seq2seq.reporting.curves import Series, chart


def page(report: Report) -> str:
    """The whole page; the template escapes every text in it."""
    series = [Series(variant.name, [run.curve for run in variant.runs]) for variant in report.variants]
    template = templates().get_template("report.html.jinja")
    return template.render(
        report=report,
        facts=facts(report),
        summary=summary(report),
        notes=notes(report),
        kinds=bleu_by_kind(report),
        kinds_heading=KINDS_HEADING,
        kinds_note=KINDS_NOTE,
        interventions=interventions(report),
        interventions_heading=INTERVENTIONS_HEADING,
        interventions_note=INTERVENTIONS_NOTE,
        chart=chart(series, x_label="optimiser steps", y_label="BLEU"),
        runs=runs(report),
    )


@cache
def templates() -> Environment:
    """The templates beside this file. A missing variable raises `jinja2.UndefinedError`."""
    environment = Environment(
        loader=PackageLoader("seq2seq.reporting", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"most_attended": most_attended, "percent": "{:.0%}".format}
    return environment


def most_attended(attention: Attention) -> str:
    """The text alternative of a heat map: each target word with the source word that has its greatest weight."""
    columns = attention.weights.argmax(axis=1) if attention.weights.size else []
    pairs = zip(attention.target, columns, strict=False)
    return "; ".join(f"{word} from {attention.source[column]}" for word, column in pairs)
