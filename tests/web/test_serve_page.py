"""docs/serve.md says what works: its commands, its requests, its options and its tables."""

import re
import shlex

import pytest
import yaml
from omegaconf import OmegaConf

from seq2seq.commands.composition import compose_options
from seq2seq.config import Serve, load
from seq2seq.web.messages import AttendRequest, TranslateRequest
from seq2seq.web.refusal import STATUSES
from tests.support.programs import ROOT
from tests.web.conftest import Client

pytestmark = pytest.mark.usefixtures("unchecked")

PAGE = (ROOT / "docs" / "serve.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```\w*\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
LINES = "".join(BLOCKS).replace("\\\n", " ").splitlines()
REQUESTS = [shlex.split(line) for line in LINES if line.startswith("curl ")]
COMMANDS = [line.partition(" #")[0].split()[2:] for line in LINES if line.startswith("seq2seq serve ")]


@pytest.mark.parametrize("words", REQUESTS, ids=range(len(REQUESTS)))
def test_the_requests_are_answered(client: Client, words: list[str]) -> None:
    path = words[1].removeprefix("http://127.0.0.1:8000")
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert options.keys() <= {"-H", "-d"}
    if "-d" in options:
        name, _, value = options["-H"].partition(": ")
        answer = client.post(path, headers={name: value}, content=options["-d"].encode())
    else:
        answer = client.get(path)
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_the_commands_compose(arguments: list[str]) -> None:
    values, _ = compose_options("serve", arguments, Serve)
    load(Serve, OmegaConf.to_container(values, resolve=True, throw_on_missing=True))


def test_the_page_has_commands_and_requests_of_every_path() -> None:
    assert {words[1].rpartition("/")[2] for words in REQUESTS} == {"models", "translate", "attend", "health"}
    assert len(COMMANDS) >= 3


def test_the_options_have_the_values_of_the_yaml() -> None:
    values = yaml.safe_load((ROOT / "configs" / "serve.yaml").read_text(encoding="utf-8"))
    shown = dict(re.findall(r"`limits\.(\w+)=(\d+)`", PAGE))
    assert {name: int(value) for name, value in shown.items()} == values["limits"]
    assert f"`host={values['host']}`" in PAGE
    assert f"`port={values['port']}`" in PAGE


def test_the_tables_have_every_field_and_status() -> None:
    rows = "\n".join(line for line in PAGE.splitlines() if line.startswith("|"))
    own = (TranslateRequest.model_fields | AttendRequest.model_fields).keys()
    assert {f"`{name}`" for name in own} <= {*re.findall(r"`\w+`", PAGE)}
    assert {str(status) for status in STATUSES} - {"500"} <= {*re.findall(r"\b[45]\d\d\b", rows)}
