"""The recall of function words and of content words: which share of a reference's words its translation has.

Function words are the closed classes of a language: articles, pronouns, prepositions, conjunctions, auxiliaries, the
most frequent particles. All others, numerals too, are content words.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

WORD = re.compile(r"\w+")  # `don't` is `don` and `t`

ENGLISH = """
a an the this that these those
i you he she it we they me him her us them my your his its our their mine yours hers ours theirs
myself yourself himself herself itself ourselves yourselves themselves one
who whom whose which what where when why how whoever whatever whichever
some any no none every each either neither both all many much few little more most several other others another such
someone somebody something anyone anybody anything nobody nothing everyone everybody everything
about above across after against along among around as at before behind below beneath beside besides between beyond by
despite down during except for from in inside into like near of off on onto out outside over past since through
throughout till to toward towards under underneath until unlike up upon via with within without
and or but nor so yet because although though if unless while whereas whether than once
am is are was were be been being have has had having do does did doing done
will would shall should can could may might must ought
isn aren wasn weren haven hasn hadn don doesn didn won wouldn shan shouldn couldn mustn t s d ll m o re ve cannot
not too very also only just even there here then
"""

GERMAN = """
der die das des dem den ein eine einer eines einem einen
kein keine keiner keines keinem keinen dieser diese dieses diesem diesen jener jene jenes jenem jenen
jeder jede jedes jedem jeden mancher manche manches manchem manchen solcher solche solches solchem solchen
ich du er sie es wir ihr mich dich sich uns euch mir dir ihm ihn ihnen man
mein meine meiner meines meinem meinen dein deine deiner deines deinem deinen
sein seine seiner seines seinem seinen ihre ihrer ihres ihrem ihren
unser unsere unserer unseres unserem unseren euer eure eurer eures eurem euren
wer wen wem wessen was welcher welche welches welchem welchen wo wann warum wie wohin woher
alle aller alles allem allen viele vieler vielen beide beider beiden einige einiger einigen andere anderer anderen
jemand niemand etwas nichts
ab an am ans auf aufs aus außer bei beim bis durch für fürs gegen hinter in im ins mit nach neben ohne seit trotz über
um unter von vom vor während wegen zu zum zur zwischen entlang gegenüber
und oder aber denn sondern doch dass daß weil da ob wenn als damit obwohl nachdem bevor sobald sodass indem
bin bist ist sind seid war warst waren wart gewesen sei wäre wären
habe hast hat haben habt hatte hattest hatten hattet gehabt hätte hätten
werde wirst wird werden werdet wurde wurdest wurden wurdet worden geworden würde würdest würden
kann kannst können könnt konnte konnten könnte könnten muss musst müssen müsst musste mussten
soll sollst sollen sollt sollte sollten will willst wollen wollt wollte wollten darf darfst dürfen durfte durften
mag möchte möchten
nicht auch nur noch schon sehr so ja nein dort hier dann
"""

FUNCTION_WORDS: Mapping[str, frozenset[str]] = {"en": frozenset(ENGLISH.split()), "de": frozenset(GERMAN.split())}
"""The function words of a language, in lower case."""


def word_recall(hypotheses: Sequence[str], references: Sequence[str], language: str) -> dict[str, float]:
    """The recall of `function` and of `content` words; empty for a language without a list of function words.

    It is the sum over sentences and words of `min(count in the hypothesis, count in the reference)`, divided by the
    number of these words in the references. Case and punctuation do not count. A class without words is left out.
    """
    function_words = FUNCTION_WORDS.get(re.split("[-_@]", language.lower())[0])
    if function_words is None:
        return {}
    hits, totals = Counter[str](), Counter[str]()
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        words, counts = Counter(_words(hypothesis)), Counter(_words(reference))
        for word, count in counts.items():
            kind = "function" if word in function_words else "content"
            totals[kind] += count
            hits[kind] += min(words[word], count)
    return {kind: hits[kind] / totals[kind] for kind in ("function", "content") if totals[kind]}


def _words(text: str) -> list[str]:
    return WORD.findall(text.lower())
