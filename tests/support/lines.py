"""Lines of made-up words, the same ones every time."""

import random

WORDS = ["".join(random.Random(seed).choices("abdegilmnorstü", k=3 + seed % 4)) for seed in range(40)]


def line(seed: int) -> str:
    draw = random.Random(seed)
    return " ".join(draw.choices(WORDS, k=1 + seed % 9)) + draw.choice([".", "!", ""])


def altered(text: str, seed: int) -> str:
    """Some words of the text, in nearly their order, and one that is not from it."""
    draw = random.Random(seed)
    words = [word for word in text.split() if draw.random() < 0.8] + draw.choices(WORDS, k=draw.randint(0, 1))
    if len(words) > 2 and draw.random() < 0.3:
        words[0], words[1] = words[1], words[0]
    return " ".join(words)


REFERENCES = [line(seed) for seed in range(60)]
HYPOTHESES = [altered(text, seed) for seed, text in enumerate(REFERENCES)]


def made_up_text(lines: int, *, letters: str = "abdegilmnorstu", seed: int = 0) -> list[str]:
    """Lines of made-up words, of which some are frequent."""
    draw = random.Random(seed)
    words = ["".join(draw.choices(letters, k=draw.randint(2, 8))) for _ in range(300)]
    return [" ".join(draw.choices(words, range(300, 0, -1), k=draw.randint(3, 12))) for _ in range(lines)]
