"""The verbs of the lexicon, grouped by the sentences in which they can stand."""

from seq2seq.text.grammar.entries import Lexicon, Noun, Verb
from seq2seq.text.grammar.frame import Role

# How often a list holds each verb of a pattern. Patterns with few verbs get a higher weight, so that they are drawn
# often enough; verbs that take a clause have lists of their own.
_WEIGHTS = {"clause": 0, "infinitive": 0, "copula": 12, "swapped": 2, "position": 2, "put": 2, "motion": 2}
_OBJECT_PATTERNS = ("transitive", "dative", "ditransitive", "prepositional")


class VerbGroups:
    """Lists of verbs to draw from, weighted by repetition."""

    def __init__(self, lexicon: Lexicon) -> None:
        self.with_clause = [verb for verb in lexicon.verbs if verb.pattern == "clause"]
        self.with_infinitive = [verb for verb in lexicon.verbs if verb.pattern == "infinitive"]
        self.simple = [verb for verb in lexicon.verbs for _ in range(_WEIGHTS.get(verb.pattern, 1))]
        self.personal = [verb for verb in self.simple if "person" in verb.subject and verb.pattern != "swapped"]
        self.dynamic = [verb for verb in self.personal if "stative" not in verb.flags]
        self.volitional = [verb for verb in self.personal if "unwilled" not in verb.flags]
        self.with_place = [
            verb
            for verb in self.personal
            if ("place" in verb.flags and verb.pattern != "motion") or verb.pattern == "position"
        ]
        self.separable = [verb for verb in self.personal if verb.particle and verb.pattern in ("transitive", "dative")]
        self.with_object = [verb for verb in self.personal if verb.object and verb.pattern in _OBJECT_PATTERNS]
        self.by_noun = {noun: self._by_role(noun) for noun in lexicon.nouns}

    def _by_role(self, noun: Noun) -> dict[Role, list[Verb]]:
        """The verbs that the noun can be the subject, accusative or dative object of."""
        classes = set(noun.classes)
        return {
            "subject": [
                verb
                for verb in self.simple
                if set(verb.subject) & classes and (verb.pattern != "copula" or noun.person)
            ],
            "accusative": [
                verb
                for verb in self.simple
                if verb.pattern in ("transitive", "ditransitive") and set(verb.object) & classes
            ],
            "dative": [verb for verb in self.simple if verb.pattern == "dative" and set(verb.object) & classes],
        }
