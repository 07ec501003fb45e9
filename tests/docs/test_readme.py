"""What the README tells people to type is what works."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from seq2seq import config

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
KINDS = {"train": config.Train, "evaluate": config.Evaluate, "translate": config.Translate}
BLOCKS = "\n".join(re.findall(r"```\n(.*?)```", README, re.DOTALL)).replace("\\\n", " ")
COMMANDS = sorted(set(re.findall(r"python (train|evaluate|translate)\.py([^#<>|&\n]*)", BLOCKS)))


@pytest.mark.parametrize(("program", "arguments"), COMMANDS)
def test_every_command_composes_to_a_valid_configuration(program: str, arguments: str) -> None:
    overrides = [word for word in shlex.split(arguments) if not word.startswith("-")]
    sweep = [re.sub("=([^,]*),.*", r"=\1", word) for word in overrides]  # a sweep's first choice
    with initialize_config_dir(str(ROOT / "configs"), version_base="1.3"):
        values = compose(program, sweep)
    config.load(KINDS[program], OmegaConf.to_container(values, resolve=True, throw_on_missing=True))


def test_the_readme_has_commands_for_all_three_programs() -> None:
    assert {program for program, _ in COMMANDS} == set(KINDS)


def test_continuous_integration_does_what_the_readme_says() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    (install,) = re.findall(r"pip install -c (\S+) -e ('\.\[dev\]') && (\S+)", README)
    assert f"--constraint {install[0]} --editable {install[1]}" in script
    assert f"{install[2]} --all" in script.splitlines()  # and every combination


def test_every_picture_and_file_that_is_linked_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_traced_sentence_is_what_the_program_prints() -> None:
    (block,) = re.findall(r"--trace 11`[^`]*```\n(.*?)```", README, re.DOTALL)
    command = [sys.executable, "scripts/grammar.py", "--preset", "tiny", "--trace", "11"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert [line for line in block.splitlines() if line.strip() != "..." and line not in printed] == []
