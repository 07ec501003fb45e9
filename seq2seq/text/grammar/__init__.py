"""The built-in corpus: German and English sentences from a grammar, reproducible from a seed, word links known by
construction.
"""

from seq2seq.text.grammar.corpus import CHALLENGES, PRESETS, Grammar, generate, training_frame
from seq2seq.text.grammar.example import Example

__all__ = ["CHALLENGES", "PRESETS", "Example", "Grammar", "generate", "training_frame"]
