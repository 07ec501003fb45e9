"""Print or write the built-in corpus, or trace how one of its pairs is made.

python scripts/grammar.py --show --number 20          pairs with tags and links
python scripts/grammar.py --preset full --write out   train.de, train.en, train.align, train.tags, validation.de, ...
python scripts/grammar.py --trace 7                   the frame, the words of both sides with their units, and the links
"""

import argparse
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path

from seq2seq.runtime.errors import InputError, print_errors
from seq2seq.runtime.program_name import program
from seq2seq.text.alignment import format_pharaoh
from seq2seq.text.grammar import PRESETS, Example, Grammar, generate, training_frame
from seq2seq.text.grammar.alignment import Token
from seq2seq.text.grammar.english import translations
from seq2seq.text.grammar.example import Drawn, translate


def splits(corpus: Grammar) -> dict[str, list[Example]]:
    """The examples of each split, by its name."""
    challenges = {f"challenge-{name}": examples for name, examples in corpus.challenges.items()}
    return {"train": corpus.train, "validation": corpus.validation, "test": corpus.test, **challenges}


def show(example: Example) -> None:
    print(f"{example.source}\n{example.target}")
    for text in example.acceptable:
        print(f"  or: {text}")
    print(f"  links: {format_pharaoh(example.links)}\n  tags: {' '.join(example.tags)}\n")


def write(folder: Path, corpus: Grammar) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, examples in splits(corpus).items():
        columns = {
            "de": [example.source for example in examples],
            "en": [example.target for example in examples],
            "align": [format_pharaoh(example.links) for example in examples],
            "tags": [" ".join(example.tags) for example in examples],
        }
        for ending, lines in columns.items():
            (folder / f"{name}.{ending}").write_text(
                "".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n"
            )


def outline(value: object, depth: int = 0) -> list[str]:
    """A frame as indented lines, without empty fields."""
    lines = []
    for entry in fields(value):  # type: ignore[arg-type]
        inner = getattr(value, entry.name)
        parts = inner.items() if isinstance(inner, dict) else [(entry.name, part) for part in _as_list(inner)]
        for name, part in parts:
            if part in ("", None, (), False) or name == "antecedent":
                continue
            if (
                is_dataclass(part)
                and not hasattr(part, "german")
                and not hasattr(part, "infinitive")
                and not hasattr(part, "text")
            ):
                lines += [f"{'  ' * depth}{name}:", *outline(part, depth + 1)]
            else:
                lines.append(f"{'  ' * depth}{name}: {_word(part)}")
    return lines


def _as_list(value: object) -> list[object]:
    return value if isinstance(value, list) else [value]


def _word(value: object) -> str:
    """An entry of the lexicon by its German word or its name, another value as text."""
    for attribute in ("german", "text", "name"):
        value = getattr(value, attribute, value)
    return " ".join(_word(part) for part in value) if isinstance(value, tuple) else str(value)


def trace(drawn: Drawn) -> None:
    example = translate(drawn)
    german: list[Token] = drawn.german
    english = [token for token in translations(drawn.frame)[0] if token.text != ","]
    print("frame\n" + "\n".join(outline(drawn.frame, 1)))
    for title, text, tokens in (("German", example.source, german), ("English", example.target, english)):
        print(f"\n{title}: {text}")
        for number, token in enumerate(tokens):
            possible = f"   possibly {', '.join(token.possible)}" if token.possible else ""
            print(f"  {number:2} {token.text:16} {', '.join(token.sure)}{possible}")
    print(f"\nlinks: {format_pharaoh(example.links)}\ntags: {' '.join(example.tags)}")


def main() -> None:
    """Prints, writes or traces what the command line asks for."""
    with print_errors():
        run(sys.argv[1:])


def run(arguments: list[str]) -> None:
    assert __doc__ is not None
    description = __doc__.replace("python scripts/grammar.py", program("grammar"))
    parser = argparse.ArgumentParser(
        prog=program("grammar"), description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    presets = ", ".join(f"{preset.train:,}" for preset in PRESETS.values())
    parser.add_argument(
        "--preset", choices=list(PRESETS), default="tiny", help=f"{presets} training pairs (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="the seed, as dataset.seed (default: %(default)s)")
    parser.add_argument(
        "--invented-names",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the names of training, as dataset.invented_names (default: %(default)s)",
    )
    parser.add_argument("--split", default="train", help="train, validation, test or challenge-NAME (default: train)")
    parser.add_argument("--number", type=int, default=10, metavar="N", help="how many pairs to print (default: 10)")
    parser.add_argument("--show", action="store_true", help="print other translations, links and tags, too")
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument("--write", type=Path, metavar="FOLDER", help="write every split to files instead")
    actions.add_argument("--trace", type=int, metavar="N", help="show how the training pair N (from 0) is made instead")
    options = parser.parse_args(arguments)
    if options.number < 1:
        raise InputError(f"--number: found {options.number}, expected 1 or more")
    share = options.invented_names
    if not 0 <= share <= 1:
        raise InputError(f"--invented-names: found {share}, expected a share between 0 and 1")
    if options.trace is not None:
        trace(training_frame(options.trace, options.preset, seed=options.seed, invented_names=share))
        return
    corpus = generate(options.preset, seed=options.seed, invented_names=share)
    if options.write is not None:
        write(options.write, corpus)
        return
    examples = splits(corpus)
    if options.split not in examples:
        raise InputError(f"--split: found '{options.split}', expected one of: {', '.join(examples)}")
    for example in examples[options.split][: options.number]:
        if options.show:
            show(example)
        else:
            print(f"{example.source}\t{example.target}")
