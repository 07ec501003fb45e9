"""A warning about tokenised text: BLEU and chrF can be compared with others' only on detokenised text."""

import logging
import re
from collections.abc import Sequence

# Only patterns that no language writes: French has spaces before ! and ?, Dutch writes "in 't huis".
SIGNS = re.compile(
    r" \.\s*$"  # sacreBLEU looks for this in hypotheses
    r"|&(?:apos|quot|amp|lt|gt|#39|#91|#93|#124);"  # escapes of the Moses tokenizer
    r"|\w n't\b|\b(?:ca|wo|do|does|did|is|was|are|were|have|has|had|could|would|should|must)n ['’]t\b",
    re.IGNORECASE,
)
MANY, SHARE = 100, 0.1
"""The number of lines that gives a warning (sacreBLEU's threshold), or the share of all lines if that is fewer."""

logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # it prints three lines for each score


def tokenization_warning(name: str, references: Sequence[str], hypotheses: Sequence[str]) -> str | None:
    """A warning where many references or translations of the split `name` look tokenised, else None."""
    counts, example = [], ""
    for kind, lines in (("references", references), ("translations", hypotheses)):
        signs = [line for line in lines if SIGNS.search(line)]
        if signs and len(signs) >= min(MANY, SHARE * len(lines)):
            counts.append(f"{len(signs):,} of {len(lines):,} {kind}")
            example = example or signs[0][:80]
    if not counts:
        return None
    return (
        f"{name}: {' and '.join(counts)} look tokenised, such as {example!r}; scores are of detokenised text: "
        "detokenise it, for training too"
    )
