"""A translation as a piece of HTML, for a notebook."""

from seq2seq.reporting.attention import Attention
from seq2seq.reporting.html import templates

MOST_WORDS = 80
"""The most words on one side of a heat map. A page with more cells is slow, and too large to read."""


def translation_html(
    text: str, score: float, log_probability: float, attention: Attention, languages: tuple[str, str]
) -> str:
    """The text, its scores, and its attention as a table unless that is too large; all text is escaped."""
    fits = 0 < len(attention.target) <= MOST_WORDS and 0 < len(attention.source) <= MOST_WORDS
    return (
        templates()
        .get_template("translation.html.jinja")
        .render(
            text=text,
            score=score,
            log_probability=log_probability,
            attention=attention if fits else None,
            languages=languages,
        )
    )
