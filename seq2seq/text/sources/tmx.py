"""Corpora in TMX, the exchange format of translation memories (LISA 2005, TMX 1.4b)."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree.ElementTree import Element

from seq2seq.runtime.errors import InputError
from seq2seq.text.corpus import Pair, pair_digest
from seq2seq.text.encodings import DAMAGE, open_unpacked
from seq2seq.text.lines import in_one_line

CODES = ("bpt", "ept", "ph", "it", "ut")
"""Elements within a segment that hold codes of a document, such as a change of font, and no text."""
LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


@dataclass(frozen=True)
class Tmx:
    """A TMX file: each translation unit `tu` is a pair. It is read one unit at a time.

    A variant `tuv` has one of the languages if its `xml:lang` is the same. Where no variant has it, `de` is also
    `de-AT`, and `de-AT` is also `de`. A unit without one of the languages is a pair with an empty side. Codes of
    documents within a segment are left out, and white space becomes a space. Raises `InputError` for what is no TMX.
    """

    path: Path
    name: str
    languages: tuple[str, str]

    def __iter__(self) -> Iterator[Pair]:
        any_side, any_unit = [False, False], False
        try:
            with open_unpacked(self.path) as file:
                path: list[Element] = []
                for event, element in ElementTree.iterparse(file, events=("start", "end")):
                    if event == "start":
                        if not path and element.tag != "tmx":
                            raise InputError(f"{self.path} is no TMX: expected the element tmx, found {element.tag}")
                        path.append(element)
                        continue
                    path.pop()
                    if element.tag != "tu":
                        continue
                    pair = self._pair(element)
                    any_unit, any_side = True, [seen or bool(text) for seen, text in zip(any_side, pair, strict=True)]
                    yield pair
                    path[-1].clear()  # else the file would grow in memory
        except ElementTree.ParseError as error:
            line, column = error.position
            reason = str(error).partition(":")[0]
            raise InputError(f"{self.path}, line {line}, column {column}: the XML is damaged: {reason}") from None
        except EOFError:
            raise InputError(f"{self.path} is cut short: the compressed file lacks its end; copy it again") from None
        except RecursionError:
            raise InputError(f"{self.path}: elements that are nested too deeply") from None
        except (*DAMAGE, LookupError, ValueError) as error:
            raise InputError(f"cannot read {self.path}: {getattr(error, 'strerror', None) or error}") from None
        if not any_unit:
            raise InputError(f"{self.path} has no translation units; expected elements tu")
        for language, seen in zip(self.languages, any_side, strict=True):
            if not seen:
                raise InputError(
                    f"{self.path} has no text whose xml:lang is {language}: see dataset.source, dataset.target"
                )

    def _pair(self, unit: Element) -> Pair:
        variants: dict[str, str] = {}
        for variant in unit.iter("tuv"):
            language = (variant.get(LANGUAGE) or variant.get("lang") or "").lower()
            segment = variant.find("seg")
            variants.setdefault(language, "" if segment is None else " ".join("".join(_text(segment)).split()))
        return Pair(*(in_one_line(_in_language(variants, language.lower())) for language in self.languages))

    def fingerprint(self) -> str:
        """See `Split.fingerprint`."""
        return pair_digest(self)


def _in_language(variants: dict[str, str], language: str) -> str:
    names = (language, *(name for name in variants if name.partition("-")[0] == language), language.partition("-")[0])
    return next((variants[name] for name in names if name in variants), "")


def _text(element: Element) -> Iterator[str]:
    """The text within an element, without codes."""
    yield element.text or ""
    for child in element:
        if child.tag not in CODES:
            yield from _text(child)
        yield child.tail or ""
