"""What the paths answer: the numbers of the library, the text of `translate.py`, and one sentence for each mistake."""

import json
import re
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import negative_data_rejection, positive_data_acceptance

import seq2seq
from seq2seq.config.intervention import USES
from seq2seq.runtime.errors import InputError
from seq2seq.trained_model import TrainedModel
from seq2seq.web.app import MEDIA_TYPES
from seq2seq.web.loading import model_names
from tests.support.programs import ROOT
from tests.web.conftest import BEST, Client

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("unchecked")]

OLD = ROOT / "tests" / "data" / "old_run"
TEXTS = (OLD / "sentences.de").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def translator() -> seq2seq.Translator:
    return seq2seq.load(BEST, device="cpu")


def test_the_models_and_the_limits(client: Client) -> None:
    answer = client.get("/models").json()
    assert [model["name"] for model in answer["models"]] == ["one", "two"]
    expected = {"source": "de", "target": "en", "attention": "additive", "decoder": "bahdanau", "encoder": "gru"}
    assert answer["models"][0].items() >= expected.items()
    assert answer["models"][0]["parameters"] > 20_000
    assert answer["models"][0]["heads"] == 1
    assert answer["limits"] == {"characters": 300, "texts": 11, "bytes": 20_000, "beam_size": 7, "n_best": 6}
    assert client.get("/health").json() == {"status": "ok"}


def test_requests_that_arrive_together_have_the_texts_of_the_program(client: Client) -> None:
    """Options differ between them, and a request may have several texts, a blank one and a strange one."""
    expected = [line.partition("\t")[0] for line in (OLD / "translated.en").read_text(encoding="utf-8").splitlines()]
    texts = [*TEXTS, "\0\x1b[31m 😀\u2028"]

    def ask(number: int) -> list[str]:
        size = [None, None, 2][number % 3]
        chosen = [texts[number % len(texts)]] if number % 4 else texts
        answer = client.ask("/translate", texts=chosen, beam_size=size, model=["one", "two"][number % 2])
        return [translation["text"] for translation in answer["translations"]]

    with ThreadPoolExecutor(12) as pool:
        together = list(pool.map(ask, range(36)))
    assert together == [ask(number) for number in range(36)]
    assert together[0][: len(TEXTS)] == expected
    assert len(expected) > 3
    assert len({tuple(translations) for translations in together}) > 5


def test_scores_and_alternatives_are_the_librarys(client: Client, translator: seq2seq.Translator) -> None:
    (answer,) = client.ask("/translate", texts=TEXTS[:1], beam_size=5, n_best=3, length_penalty=0.6)["translations"]
    expected = translator.translate(TEXTS[0], beam_size=5, n_best=3, length_penalty=0.6)
    assert answer["score"] == pytest.approx(expected.score, abs=1e-5)
    assert answer["log_probability"] == pytest.approx(expected.log_probability, abs=1e-4)
    assert [other["text"] for other in answer["alternatives"]] == [other.text for other in expected.alternatives]
    assert len(answer["alternatives"]) == 2


@pytest.mark.parametrize("target", [None, "The boy sees a girl.", ""])
def test_attention_is_the_librarys(client: Client, translator: seq2seq.Translator, target: str | None) -> None:
    answer = client.ask("/attend", source=TEXTS[0], target=target)
    expected = translator.translate(TEXTS[0]) if target is None else translator.attend(TEXTS[0], target)
    assert answer["text"] == expected.text
    for name in ("source_words", "target_words"):
        assert answer[name] == list(getattr(expected, name))
    for name in ("attention", "subword_attention", "token_log_probabilities"):
        assert answer[name] == [pytest.approx(row, abs=1e-5) for row in map(_plain, getattr(expected, name))]
    assert answer["alignment"] == [list(link) for link in expected.alignment]
    rows, columns = len(answer["subword_attention"]), len(answer["source_subwords"])
    assert answer["source_subwords"] == [*expected.source_subwords, "</s>"]
    assert answer["target_subwords"] == [*expected.target_subwords, "</s>"]
    assert (rows, {len(row) for row in answer["subword_attention"]}) == (len(answer["target_subwords"]), {columns})
    for side, length in (("source", columns), ("target", rows)):
        words = answer[f"{side}_word_of_subword"]
        assert (len(words), words[-1]) == (length, None)
        assert sorted(set(words[:-1])) == list(range(len(answer[f"{side}_words"])))


def test_candidates_and_tree_are_the_librarys(client: Client, translator: seq2seq.Translator) -> None:
    prefix = translator.translate(TEXTS[1]).target_subwords[:2]
    options = {"beam_size": 3, "n_best": 2}
    answer = client.ask("/attend", source=TEXTS[1], prefix=prefix, candidates=4, tree=True, **options)
    expected = translator.search_tree(TEXTS[1], prefix=prefix, beam_size=3, n_best=2)
    assert answer["target_subwords"][:2] == list(prefix)
    assert answer["text"] == expected.translation.text
    assert [other["text"] for other in answer["alternatives"]] == [expected.translation.alternatives[0].text]
    assert [(node["subword"], node["status"], node["hypothesis"]) for node in answer["tree"]] == [
        (node.subword, node.status, node.hypothesis) for node in expected.nodes
    ]
    assert [[each["subword"] for each in row] for row in answer["candidates"]] == [
        [subword for subword, _ in row] for row in expected.translation.candidates(4)
    ]
    assert len(answer["candidates"]) == len(answer["target_subwords"])
    assert client.ask("/attend", source=TEXTS[1], candidates=0)["candidates"] == []


@pytest.mark.parametrize("where", [{}, {"tree": True, "beam_size": 3}, {"prefix": "The"}, {"target": "The boy."}])
def test_changed_attention_is_the_librarys(
    client: Client, translator: seq2seq.Translator, where: dict[str, Any]
) -> None:
    """The intervention comes first, and the rows stand before it."""
    untouched = client.ask("/attend", source=TEXTS[0], **where)
    columns = len(untouched["source_subwords"])
    row = [0, 3, *[0] * (columns - 2)]
    attention = [None, None, row]
    texts = {untouched["text"]}
    for name, values in [
        ("shift", {"shift": 2}),
        ("permute", {"seed": 5}),
        ("temperature", {"temperature": 3}),
        ("uniform", {}),
    ]:
        answer = client.ask(
            "/attend", source=TEXTS[0], intervene={"name": name, **values}, attention=attention, **where
        )
        changed = translator.intervene(name, **values)
        if "target" in where:
            expected = changed.attend(TEXTS[0], where["target"], attention=attention)
        else:
            options = {key: value for key, value in where.items() if key != "tree"}
            expected = changed.translate(TEXTS[0], attention=attention, **options)
        assert answer["text"] == expected.text
        assert answer["log_probability"] == pytest.approx(expected.log_probability, abs=1e-4)
        assert answer["subword_attention"] == [
            pytest.approx(row, abs=1e-5) for row in expected.subword_attention.tolist()
        ]
        assert answer["subword_attention"][2][1] == 1
        assert max(answer["subword_attention"][1]) < 1
        assert len(answer["candidates"]) == len(answer["target_subwords"])
        assert (answer["tree"] is not None) == ("tree" in where)
        texts.add(answer["text"])
    assert "target" in where or len(texts) > 2
    assert client.ask("/attend", source=TEXTS[0], attention=[None] * 300, **where) == untouched
    assert client.ask("/attend", source=TEXTS[0], attention=[], intervene=None, **where) == untouched
    assert client.ask("/attend", source="", attention=[[1]])["text"] == ""


def test_a_prefix_is_text_or_subwords(client: Client, translator: seq2seq.Translator) -> None:
    prefixes = ["The girl", ["▁A", "▁"], None, ""]
    answer = client.ask("/translate", texts=TEXTS[:4], prefixes=prefixes)["translations"]
    expected = translator.translate(TEXTS[:4], prefix=prefixes)
    assert [translation["text"] for translation in answer] == [translation.text for translation in expected]
    assert answer[0]["text"].startswith("The girl")
    assert answer[1]["text"].startswith("A ")


def _plain(row: Any) -> Any:
    return row.tolist() if hasattr(row, "tolist") else row


def test_a_blank_text_has_no_attention(client: Client) -> None:
    answer = client.ask("/attend", source="  ")
    assert (answer["text"], answer["attention"], answer["source_subwords"]) == ("", [], [])


LONG = "x" * 301
WRONG: list[tuple[str, dict[str, Any], str | None, str]] = [
    ("/translate", {}, "texts", "not given"),
    ("/translate", {"texts": "Der Hund."}, "texts", "valid array"),
    ("/translate", {"texts": ["a", 7]}, "texts.1", "should be a valid string, found 7"),
    ("/translate", {"texts": ["a", LONG]}, "texts.1", "at most 300 characters"),
    ("/translate", {"texts": ["a"] * 12}, "texts", "at most 11 items"),
    ("/translate", {"texts": ["a"], "beam_size": 8}, "beam_size", "less than or equal to 7, found 8"),
    ("/translate", {"texts": ["a"], "beam_size": 0}, "beam_size", "found 0"),
    ("/translate", {"texts": ["a"], "beam_size": 2.5}, "beam_size", "found 2.5"),
    ("/translate", {"texts": ["a"], "beam_size": True}, "beam_size", "found true"),
    ("/translate", {"texts": ["a"], "beam_size": 10**400}, "beam_size", "less than"),
    ("/translate", {"texts": ["a"], "beam_size": 2, "n_best": 3}, "n_best", "more than the beam size of 2"),
    ("/translate", {"texts": ["a"], "length_penalty": 11}, "length_penalty", "less than or equal to 10"),
    ("/translate", {"texts": ["a"], "beam": 3}, "beam", "no such key, choose from model, beam_size"),
    ("/translate", {"texts": ["a"], "\x1b[2J": 3}, "\\x1b[2J", "no such key"),
    ("/translate", {"texts": ["a"], "model": "three"}, "model", "no such choice 'three'"),
    ("/translate", {"texts": ["a"], "prefixes": ["The", None]}, "prefixes", "found 2 for 1 texts"),
    ("/translate", {"texts": ["a", "b"], "prefixes": []}, "prefixes", "found 0 for 2 texts"),
    ("/translate", {"texts": ["a"], "prefixes": [{}]}, "prefixes.0", "valid"),
    ("/translate", {"texts": ["a", "b"], "prefixes": [None, ["▁The", "</s>"]]}, "prefixes.1", "ends a translation"),
    ("/attend", {"source": "a", "prefix": ["no such subword"]}, "prefix", "no subword of the target vocabulary"),
    ("/attend", {"source": "a", "target": "b", "tree": True}, "tree", "a target is given"),
    ("/attend", {"source": "a", "target": "b", "prefix": "c"}, "prefix", "a target is given"),
    ("/attend", {"source": "a", "candidates": 21}, "candidates", "less than or equal to 20"),
    ("/attend", {"source": "a", "intervene": "hard"}, "intervene", "should be an object"),
    ("/attend", {"source": "a", "intervene": {}}, "intervene.name", "not given"),
    ("/attend", {"source": "a", "intervene": {"name": "checkpoint"}}, "intervene.name", "no such choice 'checkpoint'"),
    ("/attend", {"source": "a", "intervene": {"name": "hard", "checkpoint": "/"}}, "intervene.checkpoint", "no such"),
    (
        "/attend",
        {"source": "a", "intervene": {"name": "hard", "\x1b[2J": 1}},
        "intervene.\\x1b[2J",
        "name, seed, shift",
    ),
    ("/attend", {"source": "a", "intervene": {"name": "shift", "shift": 0.5}}, "intervene.shift", "found 0.5"),
    ("/attend", {"source": "a", "intervene": {"name": "shift", "seed": 1}}, "intervene", "shift does not use seed"),
    ("/attend", {"source": "a", "intervene": {"name": "temperature"}}, "intervene", "needs the key temperature: below"),
    ("/attend", {"source": "a", "intervene": {"name": "temperature", "temperature": 0}}, "intervene.temperature", "0"),
    ("/attend", {"source": "a", "intervene": {"name": "head"}}, "intervene", "head needs the key head"),
    ("/attend", {"source": "a", "intervene": {"name": "head", "head": 0}}, "intervene.head", "this model has one head"),
    ("/attend", {"source": "a", "attention": [None, [1]]}, "attention.1", "found 1 weights, expected 2"),
    ("/attend", {"source": "a", "attention": [[0, 0, 0]]}, "attention.0", "finite sum above 0"),
    ("/attend", {"source": "a", "attention": [[1e308] * 3]}, "attention.0", "finite sum above 0"),
    ("/attend", {"source": "a", "attention": [[1, -1, 1]]}, "attention.0.1", "greater than or equal to 0, found -1"),
    ("/attend", {"source": "a", "attention": [[1, "1", 1]]}, "attention.0.1", "valid number"),
    ("/attend", {"source": "a", "attention": [7]}, "attention.0", "valid array"),
    ("/attend", {"source": "a", "attention": "x"}, "attention", "valid array"),
    ("/attend", {"source": "a", "attention": [None] * 301}, "attention", "at most 300 items"),
    ("/translate", {"texts": ["a"], "attention": [None]}, "attention", "no such key"),
]


@pytest.mark.parametrize(("path", "body", "field", "words"), WRONG)
def test_a_mistake_is_one_sentence_about_its_field(
    client: Client, path: str, body: dict[str, Any], field: str | None, words: str
) -> None:
    answer = client.ask(path, 422, **body)
    assert answer["field"] == field
    assert words in answer["error"]
    assert "\n" not in answer["error"]
    assert len(answer["error"]) < 300


def test_a_text_of_too_many_subwords_disturbs_no_other(
    start: Callable[..., AbstractContextManager[Client]], trained: TrainedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trained.translator, "options", replace(trained.translator.options, longest_source=20))
    texts = [TEXTS[0], "Der Hund schläft nicht. " * 9]
    with start() as client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda i: client.post("/translate", json={"texts": [texts[i % 2]]}), range(16)))
    assert [answer.status_code for answer in answers] == [200, 422] * 8
    assert re.fullmatch(r"texts\.0: \d+ subwords, more than the 20 .*", answers[1].json()["error"])


# --- the whole -------------------------------------------------------------------------------------------------------


OPERATIONS = [("/health", "GET"), ("/models", "GET"), ("/translate", "POST"), ("/attend", "POST")]
RELATED = ("n_best", "prefix", "tree", "intervene", "attention")
"""Fields that depend on others, or on the vocabulary, which a schema cannot say."""


@pytest.mark.parametrize("mode", [*GenerationMode])
def test_the_schema_is_true(client: Client, mode: GenerationMode) -> None:
    """Requests made from the schema, possible ones and impossible ones, have the answers that it describes."""
    schema = schemathesis.openapi.from_url(f"http://127.0.0.1:{client.port}/openapi.json")
    operations = [schema[path][method] for path, method in OPERATIONS]
    strategies = [
        operation.as_strategy(generation_mode=mode) for operation in operations if operation.body or mode == "positive"
    ]

    @given(case=st.one_of(strategies))
    @settings(max_examples=40, derandomize=True, deadline=None)
    def check(case: schemathesis.Case) -> None:
        response = case.call()
        field = response.json().get("field") or ""
        excluded = [positive_data_acceptance] if field.startswith(RELATED) else []
        excluded += [negative_data_rejection] if response.status_code == 413 else []  # it expects other statuses
        case.validate_response(response, excluded_checks=excluded)

    check()


def test_the_schema_has_the_limits_and_the_names(client: Client) -> None:
    schemas = client.get("/openapi.json").json()["components"]["schemas"]
    request = schemas["TranslateRequest"]
    assert request["additionalProperties"] is False
    assert (request["properties"]["texts"]["maxItems"], request["properties"]["texts"]["items"]["maxLength"]) == (
        11,
        300,
    )
    assert {"enum": ["one", "two"], "type": "string"} in request["properties"]["model"]["anyOf"]
    rows, _ = schemas["AttendRequest"]["properties"]["attention"]["anyOf"]
    assert rows["maxItems"] == 300
    assert set(schemas["Intervene"]["properties"]["name"]["enum"]) == {*USES} - {"checkpoint"}


def test_no_answer_has_a_path_of_the_machine(client: Client) -> None:
    answers = [client.get(path).text for path in ("/", "/models", "/openapi.json", "/static/x", f"/static/{ROOT}")]
    answers.append(json.dumps(client.ask("/translate", 422, texts=["a"], model="x")))
    answers.append(json.dumps(client.ask("/attend", source="Der Hund.")))
    assert not [answer for answer in answers[:-3] + answers[-2:] if str(ROOT) in answer or "checkpoints" in answer]


def test_the_page_and_its_files(client: Client) -> None:
    """Everything that the page names is served, nothing is inline, and other files of the folder are not served."""
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    names = re.findall(r'(?:src|href)="/?static/([^"]+)"', page.text)
    assert {name.rpartition(".")[2] for name in names} >= {"css", "js"}
    served = {name: client.get(f"/static/{name}") for name in names}
    assert {response.status_code for response in served.values()} == {200}
    assert all(response.headers["content-type"].split(";")[0] in MEDIA_TYPES.values() for response in served.values())
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|https?://(?!www\.w3\.org)", page.text)
    assert [client.get(f"/static/{name}").status_code for name in ("", "nix.js", "__init__.py")] == [404] * 3


def test_every_answer_has_the_headers(client: Client) -> None:
    for response in (client.get("/models"), client.get("/nix"), client.post("/translate"), client.head("/health")):
        assert response.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["referrer-policy"] == "no-referrer"
        assert "server" not in response.headers
        assert response.headers["content-type"].startswith("application/json")


def test_a_log_line_has_no_text_and_no_control_character(client: Client) -> None:
    def wait_for(last: str) -> None:
        """Until the line is written: that comes after the answer."""
        end = time.monotonic() + 10
        while not any(last in line for line in client.lines) and time.monotonic() < end:
            time.sleep(0.01)

    client.get("/health")
    wait_for("GET /health")
    client.lines.clear()
    client.ask("/translate", texts=["Geheim", "geheim"])
    client.get("/models?text=Geheim")
    client.get("/a%0a%1b[2J\u2028")
    client.ask("/translate", 422, texts=["Geheim"], beam_size=99)
    wait_for("422")
    assert [re.sub(r" [\d.]+ ms", " MS", line) for line in client.lines] == [
        "POST /translate 200 MS 2 texts",
        "GET /models 200 MS",
        "GET /a%0a%1b[2J%E2%80%A8 404 MS",
        "POST /translate 422 MS",
    ]


# --- names ------------------------------------------------------------------------------------------------------------


def test_names_are_as_short_as_they_can_be(tmp_path: Path) -> None:
    def names(*paths: str) -> list[str]:
        return model_names([tmp_path / path for path in paths])

    assert names("runs/a/checkpoints/best") == ["a"]
    assert names("runs/a/checkpoints/best", "runs/b/checkpoints/best") == ["a", "b"]
    assert names("x/runs/a/checkpoints/best", "y/runs/a/checkpoints/best") == ["x/runs/a", "y/runs/a"]
    assert names("a/checkpoints/best", "a/checkpoints/best-2") == ["a/best", "a/best-2"]
    assert names("moved", "a/checkpoints/best") == ["moved", "a"]
    with pytest.raises(InputError, match="is given twice"):
        names("a/checkpoints/best", "b/../a/checkpoints/best")
