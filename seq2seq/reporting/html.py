"""A comparison as one HTML page that needs nothing beside it: no script, no network, pictures within."""

from collections.abc import Iterable, Sequence
from html import escape

from seq2seq.reporting.comparison import (
    KINDS,
    KINDS_NOTE,
    Example,
    Report,
    Shown,
    Table,
    by_kind,
    facts,
    notes,
    runs,
    summary,
)
from seq2seq.reporting.curves import COLOURS, Series, chart
from seq2seq.reporting.heatmap import Attention

LIGHT = ("#0b62c4", "#c2410c", "#15803d", "#a21caf", "#b8860b", "#0e7490", "#be123c", "#4b5563")
DARK = ("#6cb2ff", "#fb923c", "#4ade80", "#e879f9", "#facc15", "#22d3ee", "#fb7185", "#cbd5e1")
assert len(LIGHT) == len(DARK) == COLOURS

STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1b1f24; --soft: #57606a; --line: #d7dce2; --box: #f5f7f9;
  LIGHT }
@media (prefers-color-scheme: dark) {
  :root { --ground: #14171b; --ink: #e6e9ed; --soft: #9aa5b1; --line: #343b44; --box: #1d2228;
    DARK }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1rem; max-width: 72rem; background: var(--ground); color: var(--ink);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: .5rem 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.25rem 0 .75rem; }
h3 { font-size: 1.05rem; margin: 1.75rem 0 .25rem; }
p, dd, figcaption { max-width: 48rem; }
p { margin: .25rem 0; }
.soft, dt, figcaption span { color: var(--soft); }
pre, .scroll { overflow-x: auto; background: var(--box); border: 1px solid var(--line); border-radius: .5rem; }
pre { padding: .75rem; margin: 0 0 1rem; font-size: .85rem; white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; margin: 0; font-size: .9rem; }
dd { margin: 0; min-width: 0; overflow-wrap: anywhere; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .45rem .55rem; text-align: right; white-space: nowrap; border-bottom: 1px solid var(--line); }
tr:last-child > * { border-bottom: 0; }
thead th { font-weight: 600; color: var(--soft); vertical-align: bottom; white-space: normal; min-width: 4.5rem; }
th:first-child { position: sticky; left: 0; background: var(--box); text-align: left; white-space: normal;
  min-width: 6rem; max-width: 11rem; }
.notes { margin-top: .75rem; font-size: .9rem; }
svg { display: block; width: 100%; max-width: 48rem; height: auto; }
svg text { fill: var(--soft); font-size: 13px; }
.grid { stroke: var(--line); }
polyline { fill: none; stroke-linejoin: round; }
.mean { stroke-width: 2.5; } .seed { stroke-width: 1; opacity: .45; } .dashed { stroke-dasharray: 7 4; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; padding: 0; margin: 0 0 .5rem; list-style: none; }
.legend svg { display: inline-block; width: 1.75rem; height: .75rem; margin-right: .4rem; vertical-align: middle; }
.maps { display: flex; flex-wrap: wrap; gap: 1rem; margin-top: .75rem; align-items: start; }
figure { margin: 0; padding: .75rem; min-width: min(100%, 16rem); max-width: 100%; background: var(--box);
  border: 1px solid var(--line); border-radius: .5rem; }
.map { overflow-x: auto; margin-bottom: .5rem; }
.map table { width: auto; font-size: .8rem; line-height: 1.4; }
.map th, .map th:first-child { min-width: 0; padding: 0; border: 0; color: inherit; font-weight: 400; text-align: end; }
.map tbody th:first-child { inset-inline: 0 auto; padding-inline-end: .4rem; }
.map bdi { display: inline-block; max-width: 9rem; max-height: 9rem; overflow: hidden; text-overflow: ellipsis;
  white-space: nowrap; vertical-align: middle; }
.map thead bdi { writing-mode: vertical-rl; vertical-align: bottom; margin-bottom: .25rem; }
.map td { min-width: 1.5rem; height: 1.5rem; padding: 0; border: 1px solid var(--line); print-color-adjust: exact;
  forced-color-adjust: none; background: color-mix(in srgb, var(--ink) var(--weight), var(--ground)); }
figcaption { width: 0; min-width: 100%; }
figcaption span { display: block; font-size: .85rem; }
.failed { border-left: .25rem solid #c2410c; padding-left: .75rem; }
summary { cursor: pointer; margin: .75rem 0; }
@media (max-width: 40rem) {
  svg text { font-size: 21px; }
  dl { grid-template-columns: 1fr; } dd { margin-bottom: .4rem; }
}
"""


def page(report: Report) -> str:
    """The whole page; every text in it is escaped."""
    sections = [
        f"<h1>{escape(report.title)}</h1>",
        f"<pre><code>{escape(report.command)}</code></pre>",
        _definitions(facts(report)),
        *(f'<p class="failed">{escape(sentence)}</p>' for sentence in report.failed),
        "<h2>Scores, sizes and speeds</h2>",
        _table(summary(report), "Scores, sizes and speeds by variant"),
        f'<div class="notes">{"".join(f"<p>{escape(note)}</p>" for note in notes(report))}</div>',
        *_by_kind(report),
        *_curves(report),
        *(["<h2>Attention on the same sentences</h2>", _key(report)] if report.examples else []),
        *(_example(example, report.languages) for example in report.examples),
        "<h2>Details</h2>",
        f"<details><summary>Every run</summary>{_table(runs(report), 'Every run')}</details>",
        f"<details><summary>Configuration in common</summary>{_definitions(report.common)}</details>",
    ]
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}</title><style>{_style()}</style>"
    )
    body = "\n".join(sections)
    return (
        f'<!doctype html>\n<html lang="en">\n<head>{head}</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n'
    )


def _style() -> str:
    light, dark = (
        " ".join(f"--series-{number}: {colour};" for number, colour in enumerate(colours)) for colours in (LIGHT, DARK)
    )
    strokes = "\n".join(
        f".series-{number} {{ stroke: var(--series-{number}); }} circle.series-{number} "
        f"{{ fill: var(--series-{number}); }}"
        for number in range(COLOURS)
    )
    return STYLE.replace("LIGHT", light).replace("DARK", dark) + strokes


def _definitions(pairs: Iterable[tuple[str, str]]) -> str:
    inner = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in pairs)
    return f"<dl>{inner}</dl>"


def _table(table: Table, label: str) -> str:
    """A table that scrolls within its own box; the first cell of a row is its heading."""
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in table.headings)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in table.rows
    )
    inner = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(label)}">{inner}</div>'


def _by_kind(report: Report) -> list[str]:
    table = by_kind(report)
    if table is None:
        return []
    return [f"<h2>{KINDS}</h2>", _table(table, f"BLEU {KINDS.lower()}"), f'<p class="notes soft">{KINDS_NOTE}</p>']


def _curves(report: Report) -> list[str]:
    several = any(len(variant.runs) > 1 for variant in report.variants)
    series = [Series(variant.name, [run.curve for run in variant.runs]) for variant in report.variants]
    legend = "".join(
        f'<li><svg viewBox="0 0 28 12" aria-hidden="true"><polyline class="series-{number % COLOURS} mean'
        f'{" dashed" if number >= COLOURS else ""}" points="0,6 28,6"/></svg>{escape(each.name)}</li>'
        for number, each in enumerate(series)
    )
    lines = "Thick: the mean over the seeds; thin: each seed. " if several else ""
    return [
        "<h2>Learning curves</h2>",
        f'<ul class="legend">{legend}</ul>',
        chart(series, across="optimiser steps", up="BLEU"),
        f'<p class="notes soft">{lines}BLEU on the validation split, greedy search.</p>',
    ]


def _key(report: Report) -> str:
    return (
        '<p class="soft">Target words down the side, source words along the top; a cell is empty at weight 0 and '
        "filled at weight 1. "
        f"Sentences of the test split, chosen by their length alone; each variant with seed {report.seeds[0]}, or the "
        "first of its seeds that there is.</p>"
    )


def _example(example: Example, languages: tuple[str, str]) -> str:
    source, target = map(escape, languages)
    figures = "".join(_figure(shown, languages) for shown in example.shown)
    return (
        f'<section><h3><bdi lang="{source}">{escape(example.source)}</bdi></h3>'
        f'<p class="soft">Reference: <bdi lang="{target}">{escape(example.reference)}</bdi></p>'
        f'<div class="maps">{figures}</div></section>'
    )


def _figure(shown: Shown, languages: tuple[str, str]) -> str:
    label = f"Attention of {shown.variant}"
    picture = "" if shown.attention is None else _heatmap(shown.attention, label, languages)
    return (
        f"<figure>{picture}<figcaption><span>{escape(shown.variant)}</span>"
        f'<bdi lang="{escape(languages[1])}">{escape(shown.text)}</bdi></figcaption></figure>'
    )


def _heatmap(attention: Attention, label: str, languages: tuple[str, str]) -> str:
    """A table with a coloured cell for each weight, so that the browser finds the fonts and sets the words.

    Its text alternative is the label, and each target word with the source word that it attends to most. A source that
    is read from right to left begins at the right, and the table with it.
    """
    source, target = map(escape, languages)
    direction = "rtl" if attention.is_right_to_left else "ltr"
    alternative = escape(f"{label}: {_most_attended(attention)}")
    head = "".join(f"<th><bdi>{escape(word)}</bdi></th>" for word in attention.source)
    rows = "".join(
        f"<tr><th><bdi>{escape(word)}</bdi></th>{''.join(map(_cell, weights))}</tr>"
        for word, weights in zip(attention.target, attention.weights, strict=True)
    )
    return (
        f'<div class="map" role="img" tabindex="0" dir="{direction}" aria-label="{alternative}"><table>'
        f'<thead lang="{source}"><tr><th></th>{head}</tr></thead><tbody lang="{target}">{rows}</tbody></table></div>'
    )


def _cell(weight: float) -> str:
    return f'<td style="--weight:{weight:.0%}"></td>'


def _most_attended(attention: Attention) -> str:
    """Each target word with the source word that it looks at most."""
    best: Sequence[int] = attention.weights.argmax(axis=1) if attention.weights.size else []
    pairs = zip(attention.target, best, strict=False)
    return "; ".join(f"{word} from {attention.source[int(column)]}" for word, column in pairs)
