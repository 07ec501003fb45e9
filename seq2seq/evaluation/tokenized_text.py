"""Signs of tokenised text: BLEU and chrF are of detokenised text, and of other text they compare with nobody's."""

import logging
import re
from collections.abc import Sequence

# Only what no language writes: French has spaces before ! and ?, Dutch writes "in 't huis".
SIGNS = re.compile(
    r" \.\s*$"  # what sacreBLEU itself looks for, in hypotheses
    r"|&(?:apos|quot|amp|lt|gt|#39|#91|#93|#124);"  # what Moses's tokenizer escapes
    r"|\w n't\b|\b(?:ca|wo|do|does|did|is|was|are|were|have|has|had|could|would|should|must)n ['’]t\b",
    re.IGNORECASE,
)
MANY, SHARE = 100, 0.1
"""So many lines are a sign (sacreBLEU's own number), and so large a share of fewer."""

logging.getLogger("sacrebleu").setLevel(logging.ERROR)  # three lines for each score, where one is enough


def tokenization_warning(name: str, references: Sequence[str], hypotheses: Sequence[str]) -> str | None:
    """A sentence where many references of the split `name`, or many of their translations, look tokenised."""
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
