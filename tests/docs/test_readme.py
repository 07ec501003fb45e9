"""README, its Chinese translation and docs/ say what works: commands, links, figures, the traced sentence."""

import re
import shlex
import tomllib
from collections import Counter

import pytest
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

import seq2seq
from seq2seq import config
from seq2seq.commands.compare_request import parse_request
from seq2seq.commands.composition import load_options
from tests.support.programs import ROOT
from tests.support.warm import Warm

ENGLISH, CHINESE = "README.md", "README.zh.md"
NAMES = [ENGLISH, CHINESE, "CONTRIBUTING.md", *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))]
PAGES = {name: (ROOT / name).read_text(encoding="utf-8") for name in NAMES}
KINDS = {"train": config.Train, "evaluate": config.Evaluate, "translate": config.Translate, "score": config.Score}
SCRIPTS = {"scripts/compare", "scripts/benchmark", "scripts/grammar", "scripts/curves"}
PROGRAM = re.compile(r"(?:python|torchrun\s[^|;&]*?) (train|evaluate|translate|score|scripts/\w+)\.py([^#<>|&]*)")


def command_lines(text: str) -> list[str]:
    """The lines of fenced blocks of commands, without comments, continued lines as one."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    blocks = "\n".join(block for language, block in fenced if language in ("", "sh")).replace("\\\n", " ")
    return [" ".join(line.partition(" #")[0].split()) for line in blocks.splitlines() if line.strip()]


def commands(text: str) -> set[tuple[str, str]]:
    """Programs and their arguments, in fenced blocks, and where a table or sentence has a whole command."""
    inline = re.findall(r"`(python [^`\n]*)`", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE))
    pairs = {match.groups() for line in [*command_lines(text), *inline] for match in PROGRAM.finditer(line)}
    return {(program, arguments.strip()) for program, arguments in pairs if "..." not in arguments}


def anchors(text: str) -> set[str]:
    """What GitHub makes of headings."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def keys(values: object, prefix: str = "") -> set[str]:
    """The dotted keys of a nested configuration."""
    if not isinstance(values, dict):
        return {prefix}
    return set().union(*(keys(value, f"{prefix}.{key}" if prefix else key) for key, value in values.items()))


COMMANDS = sorted(set().union(*map(commands, PAGES.values())))


def check_configuration(program: str, words: list[str]) -> None:
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        values = compose(program, words)
    load_options(KINDS[program], values)


@pytest.mark.parametrize(("program", "arguments"), [command for command in COMMANDS if command[0] in KINDS])
def test_every_command_composes_to_a_valid_configuration(program: str, arguments: str) -> None:
    words = [word for word in shlex.split(arguments) if not word.startswith(("-", "resume=", "hydra"))]
    words = [word for word in words if not word.endswith(")")]  # ranges for Optuna
    words = [word.replace("NAME", "dot") if word.startswith("attention=") else word for word in words]
    check_configuration(program, [re.sub(r"=([^\[,]*),.*", r"=\1", word) for word in words])  # a sweep's first choice


@pytest.mark.parametrize("arguments", [arguments for program, arguments in COMMANDS if program == "scripts/compare"])
def test_every_comparison_composes_to_valid_configurations(arguments: str) -> None:
    comparison = parse_request(shlex.split(arguments))
    for axis in comparison.axes:
        for value in axis.values:
            check_configuration("train", [*comparison.fixed, f"{axis.key}={value}"])


@pytest.mark.parametrize(
    ("program", "arguments"),
    [command for command in COMMANDS if command[0].startswith("scripts/") and command[0] != "scripts/compare"],
)
def test_every_option_of_the_scripts_exists(warm: Warm, program: str, arguments: str) -> None:
    shown = warm(program, "--help", folder=ROOT, status=0).printed.decode()
    _, usage, _ = re.split(r"(usage:.*?\n\n)", shown, maxsplit=1, flags=re.DOTALL)
    assert [word for word in shlex.split(arguments) if word.startswith("--") and word not in usage] == []


def test_every_option_that_is_named_exists() -> None:
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        trained = [
            compose("train", ["encoder=self_attention", f"dataset={name}"])
            for name in ("grammar", "tsv", "huggingface", "multi30k")
        ]
        evaluate = compose("evaluate")
        values = [*trained, evaluate, compose("translate"), compose("score"), compose("serve")]
    known = set().union(*(keys(OmegaConf.to_container(each)) for each in values))
    known |= {f"intervene.{key}" for key in evaluate.attention}  # of scripts/compare.py
    named = set(re.findall(r"(?<![\w./])([a-z_]+(?:\.[a-z_]+)+)=", "\n".join(PAGES.values())))
    assert len(named) > 30
    assert {name for name in named if not name.startswith("hydra.")} <= known


def test_the_pages_have_commands_of_every_program() -> None:
    assert {program for program, _ in COMMANDS} >= KINDS.keys() | SCRIPTS
    assert {program for program, _ in commands(PAGES[ENGLISH])} >= KINDS.keys() - {"score"}


def test_continuous_integration_does_what_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (install,) = re.findall(r"pip install -c (\S+) -e ('\.\[dev\]') && (\S+)", PAGES[ENGLISH])
    assert f"--constraint {install[0]} --editable {install[1]}" in script
    assert f"{install[2]} --all" in script.splitlines()  # and every combination


@pytest.mark.parametrize("name", NAMES)
def test_every_picture_file_and_heading_that_is_linked_exists(name: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", PAGES[name]) if "://" not in link]
    for link in links:
        path, _, anchor = link.partition("#")
        target = ((ROOT / name).parent / path).resolve() if path else ROOT / name
        assert target.exists(), link
        assert not anchor or anchor in anchors(target.read_text(encoding="utf-8")), link


def test_the_readme_leads_to_every_page() -> None:
    for name in (ENGLISH, CHINESE):
        links = set(re.findall(r"\]\(([^)\s]+)\)", PAGES[name]))
        assert links >= {page for page in NAMES if page.startswith("docs/")} | {"LICENSE", "CITATION.cff"}


def test_the_readme_is_short_and_its_lines_fit_a_screen() -> None:
    for name in (ENGLISH, CHINESE):
        lines = PAGES[name].splitlines()
        assert len(lines) <= 150
        assert [line for line in lines if len(line) > 140 and not line.startswith("|")] == []


def test_the_chinese_readme_has_the_same_commands_options_and_figures() -> None:
    english, chinese = PAGES[ENGLISH], PAGES[CHINESE]
    assert command_lines(english) == command_lines(chinese)
    assert len(command_lines(english)) > 7
    for pattern in (r"`[^`\n]+`", r"(?<![\w.])\d+(?:[.,]\d+)*"):  # code; figures
        ours, theirs = (Counter(re.findall(pattern, text, re.ASCII)) for text in (english, chinese))
        assert len(ours) > 30
        assert ours == theirs


def test_the_traced_sentence_is_what_the_program_prints(warm: Warm) -> None:
    (block,) = re.findall(r"--trace 11\n```[^`]*```text\n(.*?)```", PAGES["docs/data.md"], re.DOTALL)
    ended = warm("scripts/grammar", "--preset", "tiny", "--trace", "11", folder=ROOT, status=0)
    printed = ended.printed.decode().splitlines()
    assert [line for line in block.splitlines() if line.strip() != "..." and line not in printed] == []


def test_the_index_of_decisions_lists_all_in_their_groups() -> None:
    index, body = re.split(r"^## Index$", PAGES["docs/decisions.md"], flags=re.MULTILINE)[1].split("\n## ", 1)
    listed = re.findall(r"^(?:\*\*(.*)\*\*|- \[(.*)\]\(#.*\))$", index, re.MULTILINE)
    headings = re.findall(r"^(?:## (.*)|### (.*))$", f"## {body}", re.MULTILINE)
    assert listed == headings
    entries = f"## {body}".split("\n### ")[1:]
    labels = ["What", "Why", "Else", "Reconsider"]
    assert entries
    assert [re.findall(r"^- \*\*(\w+):\*\*", entry, re.MULTILINE) for entry in entries] == [labels] * len(entries)


def test_the_version_is_one() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    newest = re.findall(r"^## (\S+) - (\S+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[0]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert newest == (seq2seq.__version__, str(citation["date-released"]))
    assert (citation["version"], citation["license"]) == (seq2seq.__version__, project["license"])
    assert all(f"{seq2seq.__version__}, {citation['date-released'].year}" in PAGES[name] for name in (ENGLISH, CHINESE))
