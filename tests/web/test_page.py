"""The page in a real Chromium, on a real `seq2seq serve` with two models."""

import json
import math
import os
import re
import shutil
import subprocess
import sys
import urllib.request
import xml.etree.ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.support.programs import ROOT

try:
    from playwright.sync_api import Browser, Locator, Page, Route, ViewportSize, expect, sync_playwright
except ImportError:
    sync_playwright = None

pytestmark = [pytest.mark.program, pytest.mark.slow]

RUN = ROOT / "tests" / "data" / "old_run" / "run"
TEXT = "Die Frau kauft dem Kind einen Apfel."
WIDE: "ViewportSize" = {"width": 1200, "height": 900}
NARROW: "ViewportSize" = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    if sync_playwright is None:
        pytest.skip("playwright is not installed: pip install -e '.[dev]'")
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
        names = ("chromium", "chromium-browser", "google-chrome")
        path = own if Path(own).exists() else next(filter(None, map(shutil.which, names)), None)
        if path is None:
            pytest.skip("no Chromium is installed")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the program, with the models `first` and `second`."""
    folder = tmp_path_factory.mktemp("page")
    for name in ("first", "second"):
        shutil.copytree(RUN, folder / name)
    command = [sys.executable, "-m", "seq2seq", "serve", "checkpoint=[first,second]"]
    command += ["port=0", "device=cpu", "device.threads=1"]
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    with subprocess.Popen(
        command,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": path},
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"http://\S+", line)
        assert address, line + process.stdout.read()
        yield address[0].rstrip("/")
        process.terminate()
        process.stdout.read()


@pytest.fixture
def page(browser: "Browser") -> Iterator["Page"]:
    """A tab, in which no error, no message of the console and no request to another server may occur."""
    context = browser.new_context(viewport=WIDE, accept_downloads=True, reduced_motion="reduce")
    page = context.new_page()
    page.set_default_timeout(10_000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: problems.append(dialog.message) or dialog.dismiss())
    page.on("console", lambda message: problems.append(message.text))
    page.on("request", lambda request: "//127.0.0.1:" in request.url or problems.append(request.url))
    yield page
    context.close()
    assert [problem for problem in problems if not problem.startswith(("Failed to load resource", "blob:"))] == []


def visit(page: "Page", server: str, **state: Any) -> None:
    """Opens the page in a state. Without `model` it shows the first model alone."""
    page.goto("about:blank")
    page.goto(f"{server}/#{urlencode({'model': 'first'} | state, doseq=True)}")


def attend(server: str, **body: Any) -> dict[str, Any]:
    """What the server answers to the same question."""
    defaults = {"model": "first", "source": TEXT}
    data = json.dumps(defaults | body).encode()
    request = urllib.request.Request(f"{server}/attend", data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def words(page: "Page", panel: int = 0) -> list[str]:
    """The translation as it is shown."""
    line = page.locator(".panel").nth(panel).locator(".translation")
    expect(line.locator("button").first).to_be_visible()
    return [text.strip() for text in line.locator("button").all_inner_texts()]


def edges(locator: "Locator") -> tuple[float, float, float, float]:
    """Left, top, right and bottom of an element in the window."""
    box = locator.bounding_box()
    assert box is not None
    return box["x"], box["y"], box["x"] + box["width"], box["y"] + box["height"]


def is_too_wide(page: "Page") -> bool:
    result: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return result


def test_the_translation_follows_the_keys(page: "Page", server: str) -> None:
    visit(page, server)
    expect(page.get_by_text("Type a sentence in German")).to_be_visible()
    page.get_by_label("German").press_sequentially(TEXT, delay=5)
    answer = attend(server)
    expect(page.locator(".translation")).to_have_text(re.compile(re.escape(answer["text"][:5])))
    assert words(page) == answer["target_words"]
    expect(page.locator(".numbers")).to_contain_text(f"{answer['log_probability']:.2f}".replace("-", "−"))
    page.get_by_label("German").fill(" \n ")
    expect(page.get_by_text("Type a sentence in German")).to_be_visible()


def test_a_stale_answer_is_dropped(page: "Page", server: str) -> None:
    """The answer to the first text is held back until that to the second is shown."""
    held: list[Route] = []

    def hold(route: "Route") -> None:
        if route.request.post_data_json["source"] == "Der Hund.":
            held.append(route)
        else:
            route.continue_()

    page.route("**/attend", hold)
    visit(page, server)
    page.get_by_label("German").fill("Der Hund.")
    expect(page.locator(".panel")).to_have_class(re.compile("waiting"))
    for name in ("Subwords", "Words"):
        page.get_by_label(name, exact=True).check()  # while there is no answer
    page.get_by_label("German").fill(TEXT)
    expected = attend(server)["target_words"]
    assert words(page) == expected
    assert len(held) == 1
    held[0].continue_()
    page.wait_for_timeout(300)
    assert words(page) == expected


def test_what_is_pointed_at_is_lit_and_said(page: "Page", server: str) -> None:
    answer = attend(server)
    visit(page, server, source=TEXT)
    page.locator(".ribbons .to button").nth(1).hover()
    row = [round(weight * 100) for weight in answer["attention"][1]]
    assert list(map(int, page.locator("td.lit").all_text_contents())) == row
    best = max(range(len(row)), key=answer["attention"][1].__getitem__)
    reading = page.locator(".reading")
    expect(reading).to_contain_text(answer["target_words"][1])
    expect(reading).to_contain_text(re.compile(rf"looks at .*{answer['source_words'][best]}\W+{row[best]} %"))
    assert reading.get_attribute("aria-live") == "polite"
    drawn = page.locator("path.lit").count()
    assert drawn == sum(weight >= 0.01 for weight in answer["attention"][1])

    page.locator(".ribbons .from button").nth(2).hover()
    column = [round(weights[2] * 100) for weights in answer["attention"]]
    assert list(map(int, page.locator("td.lit").all_text_contents())) == column
    expect(reading).to_contain_text(answer["source_words"][2])


def test_every_picture_is_reached_by_the_keyboard(page: "Page", server: str) -> None:
    answer = attend(server)
    visit(page, server, source=TEXT)
    words(page)
    page.locator(".translation button").first.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".reading")).to_contain_text(answer["target_words"][1])
    page.keyboard.press("End")
    expect(page.locator(".translation .lit")).to_have_text(answer["target_words"][-1])

    page.get_by_label(re.compile("^Source")).get_by_role("button").first.focus()
    page.keyboard.press("ArrowDown")
    expect(page.locator("th.lit")).to_have_text(answer["source_words"][1])
    page.keyboard.press("ArrowRight")
    best = max(range(len(answer["attention"])), key=lambda t: answer["attention"][t][1])
    expect(page.locator(".ribbons .to .lit")).to_contain_text(answer["target_words"][best])

    page.get_by_label(re.compile("^Heat map")).focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight"):
        page.keyboard.press(key)
    percent = f"{answer['attention'][1][1] * 100:.1f}"
    expect(page.locator(".reading")).to_contain_text(re.compile(rf"{percent} %|under 0.1 %"))
    expect(page.locator("td.lit")).to_have_text(str(round(answer["attention"][1][1] * 100)))


def test_words_and_subwords(page: "Page", server: str) -> None:
    answer = attend(server)
    visit(page, server, source=TEXT)
    words(page)
    page.get_by_label("Subwords").check()
    shown = page.locator(".heat tbody th").all_inner_texts()
    assert shown == ["end" if subword == "</s>" else subword for subword in answer["target_subwords"]]
    assert page.locator(".heat tbody td").count() == math.prod(
        len(answer[side]) for side in ("source_subwords", "target_subwords")
    )


def test_another_word_is_forced_and_released(page: "Page", server: str) -> None:
    answer = attend(server)
    subword = answer["target_word_of_subword"].index(1)
    visit(page, server, source=TEXT)
    before = words(page)
    page.locator(".translation button").nth(1).click()
    menu = page.get_by_role("dialog")
    choices = menu.get_by_role("group").get_by_role("button")
    candidates = [candidate["subword"] for candidate in answer["candidates"][subword]]
    shown = [text.split("\n")[0] for text in choices.all_inner_texts()]
    assert shown == ["end" if candidate == "</s>" else candidate for candidate in candidates]
    assert len(candidates) == 8
    page.keyboard.press("ArrowDown")
    expect(choices.nth(1)).to_be_focused()
    page.keyboard.press("Enter")
    expect(menu).to_have_count(0)
    prefix = [*answer["target_subwords"][:subword], candidates[1]]
    expect(page.get_by_text("Forced start")).to_be_visible()
    assert words(page) == attend(server, prefix=prefix)["target_words"] != before
    assert page.locator(".word.forced").count() == 2
    expect(page.locator(".translation button").nth(1)).to_be_focused()
    page.get_by_role("button", name="Release").click()
    expect(page.get_by_text("Forced start")).to_be_hidden()
    assert words(page) == before

    visit(page, server, source=TEXT, prefix=json.dumps(["first", ["no such subword"]]))
    page.get_by_role("button", name="Release").click()  # of a prefix that the server refuses
    assert words(page) == before

    page.locator(".translation button").nth(2).press("Enter")
    page.get_by_label("Another word").fill("apple")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Forced start")).to_be_visible()
    assert words(page)[2].startswith("apple")
    page.locator(".translation button").first.press("Enter")
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    expect(page.locator(".translation button").first).to_be_focused()


def test_the_beam_is_a_tree_that_says_why(page: "Page", server: str) -> None:
    answer = attend(server, tree=True, beam_size=3)
    tree = answer["tree"]
    visit(page, server, source=TEXT, beam=3)
    nodes = page.locator(".tree .node")
    expect(nodes).to_have_count(len(tree))
    dropped = next(index for index, node in enumerate(tree) if node["status"] == "dropped")
    page.locator(f"[data-node='{dropped}']").focus()
    expect(page.locator(".reading")).to_contain_text("Dropped: better continuations fill the beam of 3")
    best = next(index for index, node in enumerate(tree) if node["hypothesis"] == 1)
    page.keyboard.press("End")
    expect(page.locator(f"[data-node='{best}']")).to_be_focused()
    expect(page.locator(".reading")).to_contain_text("The best translation.")
    expect(page.locator(".results li bdi").first).to_have_text(answer["text"])
    assert page.locator(".results li").count() == sum(node["score"] is not None for node in tree) > 1
    page.keyboard.press("ArrowLeft")
    expect(page.locator(f"[data-node='{tree[best]['parent']}']")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.get_by_label("Beam size").fill("1")
    expect(nodes).not_to_have_count(len(tree))
    expect(page.locator(".results li")).to_have_count(1)
    assert "beam=1" in page.url


def test_a_translation_of_ones_own(page: "Page", server: str) -> None:
    visit(page, server, source=TEXT)
    first = words(page)
    page.get_by_label("My own").check()
    own = page.get_by_label(re.compile("^Your translation"))
    assert own.input_value().split() == first
    own.fill("The woman sleeps.")
    forced = attend(server, target="The woman sleeps.")
    expect(page.locator(".numbers")).to_contain_text(f"{forced['log_probability']:.2f}".replace("-", "−"))
    expect(page.locator(".numbers")).to_contain_text("The model’s own")
    assert words(page) == ["The", "woman", "sleeps."]
    expect(page.get_by_text("Beam search").first).to_be_hidden()


def test_what_is_typed_in_two_fields_at_once_is_kept(page: "Page", server: str) -> None:
    visit(page, server)
    page.get_by_label("German").fill(TEXT)
    page.get_by_label("Beam size").fill("2")
    page.get_by_label("Length penalty").fill("-1")
    assert words(page) == attend(server, beam_size=2)["target_words"]
    page.get_by_label("German").focus()
    assert page.get_by_label("Length penalty").input_value() == "1"
    assert re.search(r"beam=2(?!.*penalty)", page.url)


def test_a_number_that_is_not_possible_is_named(page: "Page", server: str) -> None:
    visit(page, server, source=TEXT)
    first = words(page)
    for label, value, message in (
        ("Beam size", "0", "Beam size: a whole number from 1 to"),
        ("Beam size", "5.5", "Beam size: a whole number"),
        ("Length penalty", "11", "Length penalty: a number from 0 to 10."),
    ):
        page.get_by_label(label).fill(value)
        expect(page.get_by_role("alert")).to_contain_text(message)
        assert words(page) == first
        page.get_by_label("German").focus()
        expect(page.get_by_role("alert")).to_have_count(0)


def test_weight_on_the_end_of_the_source_is_told(page: "Page", server: str) -> None:
    """With words it is no part of the pictures, but of the line under them."""
    answer = attend(server)
    ends = [1 - sum(row) for row in answer["attention"]]
    greatest = max(range(len(ends)), key=ends.__getitem__)
    assert ends[greatest] > 0.05
    visit(page, server, source=TEXT)
    page.locator(".translation button").nth(greatest).focus()
    share = page.locator(".reading").inner_text().partition("the end of the source has ")[2].partition(" %")[0]
    assert abs(int(share) - 100 * ends[greatest]) < 1


def test_two_models_side_by_side_or_one_under_another(page: "Page", server: str) -> None:
    long = " ".join([TEXT] * 3)
    visit(page, server, source=long, model=["first", "second"])
    assert words(page, 0) == words(page, 1)
    first, second = (edges(page.locator(".panel").nth(panel)) for panel in (0, 1))
    assert first[1] == second[1]
    assert first[2] < second[0]
    assert not is_too_wide(page)
    page.locator(".panel").first.locator(".from button").nth(1).hover()
    assert page.locator("th.lit").count() == 2  # the same word in both
    page.set_viewport_size(NARROW)
    first, second = (edges(page.locator(".panel").nth(panel)) for panel in (0, 1))
    assert first[0] == second[0]
    assert first[3] < second[1]
    assert not is_too_wide(page)
    page.locator(".translation button").nth(5).click()
    left, _, right, _ = edges(page.get_by_role("dialog"))
    assert 0 <= left < right <= NARROW["width"]
    page.keyboard.press("Enter")
    expect(page.get_by_text("Forced start").first).to_be_visible()
    assert page.locator(".panel").nth(1).locator(".word.forced").count() == 0
    page.get_by_role("checkbox", name="second").uncheck()
    expect(page.locator(".panel")).to_have_count(1)


def test_a_link_holds_the_state(page: "Page", server: str) -> None:
    visit(page, server, source=TEXT, beam=2, penalty=0.5)
    page.locator(".translation button").nth(1).click()
    page.keyboard.press("Enter")
    expect(page.get_by_text("Forced start")).to_be_visible()
    page.get_by_label("Subwords").check()
    link, shown = page.url, page.locator(".content").inner_text()
    page.goto("about:blank")
    page.goto(link)
    expect(page.get_by_text("Forced start")).to_be_visible()
    assert page.locator(".content").inner_text() == shown
    assert page.get_by_label("German").input_value() == TEXT
    assert [page.get_by_label(name).input_value() for name in ("Beam size", "Length penalty")] == ["2", "0.5"]
    assert page.get_by_label("Subwords").is_checked()


HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>\"'&%s\0\ud7ff"


@pytest.mark.parametrize(
    "fragment",
    [
        urlencode({"source": HOSTILE, "own": HOSTILE, "mode": HOSTILE, "unit": "__proto__", "model": "constructor"}),
        urlencode({"source": TEXT, "beam": "1e9", "penalty": "NaN", "prefix": '["first", [1, {}]]', "tree": HOSTILE}),
        urlencode({"source": TEXT, "prefix": json.dumps(["__proto__", ["x"]]), "model": ""}) + "&%E0%A4%A&==&prefix={",
        urlencode({"source": TEXT, "prefix": json.dumps(["first", ["no such subword " + HOSTILE]]), "model": "first"}),
        urlencode({"source": "x" * 3000, "model": "first"}),
        urlencode({"source": TEXT, "model": "first", "weights": HOSTILE, "hand": json.dumps(["first", [[0, "x"]]])}),
        urlencode({"source": TEXT, "weights": "constructor:1", "hand": json.dumps(["__proto__", [[-1, [1e400]]]])}),
        urlencode({"source": TEXT, "weights": "shift:1e9", "hand": json.dumps(["first", [[1e9, [1]], None]])}),
        urlencode(
            {"source": TEXT, "weights": "checkpoint:/", "hand": json.dumps(["first", [[2, []], [3, [0, None]]]])}
        ),
    ],
)
def test_a_hostile_link_is_harmless(page: "Page", server: str, fragment: str) -> None:
    """The page works or says in a sentence what is wrong; the fixture refuses dialogs and errors."""
    page.goto(f"{server}/#{fragment}")
    expect(page.locator(".translation button, .message.problem").first).to_be_visible()
    assert page.locator("img, .panel script").count() == 0
    page.get_by_label("German").fill("Der Hund.")
    assert words(page)[0]


def test_pictures_and_numbers_are_saved(page: "Page", server: str) -> None:
    answer = attend(server)
    visit(page, server, source=TEXT)
    words(page)

    def saved(name: str) -> tuple[str, bytes]:
        with page.expect_download() as download:
            page.get_by_role("button", name=name, exact=True).click()
        return download.value.suggested_filename, Path(download.value.path()).read_bytes()

    for title in ("Ribbons", "Heat map"):
        name, content = saved(f"Save {title} as SVG")
        assert name == f"first-{title.lower().replace(' ', '-')}.svg"
        texts = [element.text for element in xml.etree.ElementTree.fromstring(content).iter() if element.text]
        assert set(answer["source_words"] + answer["target_words"]) <= set(texts)
    name, content = saved("Save Heat map as PNG")
    assert name == "first-heat-map.png"
    assert content.startswith(b"\x89PNG")
    assert len(content) > 1000
    name, content = saved("JSON")
    assert json.loads(content)["attention"] == answer["attention"]


def test_a_server_that_is_gone_is_asked_again(page: "Page", server: str) -> None:
    page.route("**/models", lambda route: route.abort())
    visit(page, server, source=TEXT)
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    page.unroute("**/models")
    before = words(page)
    page.route("**/attend", lambda route: route.abort())
    page.get_by_label("German").fill("Der Hund.")
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    page.unroute("**/attend")
    page.get_by_label("German").fill(TEXT)
    assert words(page) == before
    page.route("**/attend", lambda route: route.abort())
    page.get_by_label("German").fill("Die Frau schläft.")
    expect(page.get_by_text("The server does not answer.")).to_be_visible()
    page.unroute("**/attend")
    page.get_by_role("button", name="Try now").click()
    assert words(page)
    page.get_by_label("German").fill(" ".join(["Hund"] * 900))
    expect(page.locator(".problem:visible")).to_have_count(1)
    assert re.search(r"\w+.*\.$", page.locator(".problem:visible").inner_text())


def test_a_script_from_right_to_left_and_a_dark_page(page: "Page", server: str) -> None:
    page.emulate_media(color_scheme="dark")
    visit(page, server, source="نحن نذهب إلى المدرسة", mode="own", own="نحن نذهب")
    expect(page.locator(".heat")).to_have_attribute("dir", "rtl")
    first, second = (edges(page.locator(".translation button").nth(index)) for index in (0, 1))
    assert first[0] > second[2]
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 27)"


# --- changed attention ------------------------------------------------------------------------------------------------


def look_only(answer: dict[str, Any], target: int, source: int) -> list[list[float] | None]:
    """Rows by which a target word looks at one source word, spread evenly over its subwords."""
    row = [float(word == source) for word in answer["source_word_of_subword"]]
    last = max(index for index, word in enumerate(answer["target_word_of_subword"]) if word == target)
    return [row if word == target else None for word in answer["target_word_of_subword"][: last + 1]]


def cell(page: "Page", target: int, source: int) -> "Locator":
    return page.locator(f"td[data-target='{target}'][data-source='{source}']")


def test_an_intervention_changes_the_text_and_a_link_restores_it(page: "Page", server: str) -> None:
    untouched = attend(server)
    visit(page, server, source=TEXT)
    assert words(page) == untouched["target_words"]
    before = page.locator(".content").inner_text()
    page.get_by_label("Attention weights").select_option("Shifted")
    expect(page.locator(".numbers")).to_contain_text(f"With the model’s weights: “{untouched['text']}”")
    assert words(page) == attend(server, intervene={"name": "shift", "shift": 1})["target_words"]
    page.locator("#weights-number").fill("-2")
    changed = attend(server, intervene={"name": "shift", "shift": -2})
    expect(page.locator(".numbers")).to_contain_text(f"{changed['log_probability']:.2f}".replace("-", "−"))
    assert words(page) == changed["target_words"] != untouched["target_words"]
    expect(page.locator(".numbers")).to_contain_text(f"{untouched['log_probability']:.2f}".replace("-", "−"))
    expect(page.get_by_text("Each weight moves by so many subwords")).to_be_visible()
    link, shown = page.url, page.locator(".content").inner_text()
    page.goto("about:blank")
    page.goto(link)
    assert words(page) == changed["target_words"]
    assert page.locator(".content").inner_text() == shown
    assert page.get_by_label("Attention weights").input_value() == "shift"

    page.locator("#weights-number").fill("1.5")
    expect(page.get_by_role("alert")).to_have_text("Subwords: a whole number from −1000 to 1000.")
    page.get_by_label("Attention weights").select_option("Permuted")
    expect(page.get_by_role("alert")).to_have_count(0)
    page.get_by_role("button", name="Another permutation").click()
    permuted = attend(server, intervene={"name": "permute", "seed": 2})
    expect(page.locator(".numbers")).to_contain_text(f"{permuted['log_probability']:.2f}".replace("-", "−"))
    assert words(page) == permuted["target_words"]
    page.get_by_label("German").fill("Der Hund schläft.")  # the choice stays
    other = attend(server, source="Der Hund schläft.", intervene={"name": "permute", "seed": 2})
    expect(page.locator(".numbers")).to_contain_text(f"{other['log_probability']:.2f}".replace("-", "−"))
    page.get_by_label("German").fill(TEXT)
    page.get_by_label("Attention weights").select_option("The model’s")
    expect(page.locator(".content")).not_to_contain_text("With the model’s weights")
    assert page.locator(".content").inner_text() == before
    assert "weights" not in page.url


def test_a_row_by_hand_moves_the_ribbon_and_is_released(page: "Page", server: str) -> None:
    untouched = attend(server, beam_size=1)
    visit(page, server, source=TEXT, beam=1)
    words(page)
    before = page.locator(".content").inner_text()
    cell(page, 1, 5).click()
    page.get_by_role("button", name="Look only here").click()
    expect(page.locator(".fixed", has_text="Weights by hand: 1 word")).to_be_visible()
    answer = attend(server, beam_size=1, attention=look_only(untouched, 1, 5))
    assert words(page) == answer["target_words"]
    assert page.locator("tr.changed").count() == 1
    page.locator(".translation button").nth(1).focus()
    expect(page.locator(".reading")).to_contain_text("weights by hand")
    lit = page.locator("path.lit")
    drawn = [s for s, weight in enumerate(answer["attention"][1]) if weight >= 0.01]
    assert [int(lit.nth(i).get_attribute("data-source") or "") for i in range(lit.count())] == drawn
    assert answer["attention"][1][5] > untouched["attention"][1][5] + 0.1
    assert page.locator("td.lit").all_text_contents() == [str(round(w * 100)) for w in answer["attention"][1]]
    expect(page.locator(".numbers")).to_contain_text(untouched["text"])
    link, shown = page.url, page.locator(".content .translation, .numbers").all_inner_texts()
    page.goto("about:blank")
    page.goto(link)
    expect(page.locator(".fixed", has_text="Weights by hand: 1 word")).to_be_visible()
    assert page.locator(".content .translation, .numbers").all_inner_texts() == shown

    cell(page, 0, 0).click()
    page.get_by_role("button", name="Do not look here").click()
    expect(page.locator(".fixed", has_text="Weights by hand: 2 words")).to_be_visible()
    expect(cell(page, 0, 0)).to_have_text("0")
    row = [float(text) for text in page.locator("tr.changed").first.locator("td").all_text_contents()]
    assert sum(row) > 5
    cell(page, 0, 2).click()
    page.get_by_role("button", name="Release this row").click()
    expect(page.locator(".fixed", has_text="Weights by hand: 1 word")).to_be_visible()
    page.get_by_role("button", name="Release all").click()
    expect(page.locator(".fixed", has_text="Weights by hand")).to_have_count(0)
    page.mouse.move(1, 1)
    page.get_by_label("German").focus()
    assert page.locator(".content").inner_text() == before
    assert "hand" not in page.url

    cell(page, 1, 5).click()
    page.get_by_role("button", name="Look only here").click()
    expect(page.locator(".fixed", has_text="Weights by hand: 1 word")).to_be_visible()
    page.get_by_label("German").fill("Der Hund schläft.")
    expect(page.locator(".fixed", has_text="Weights by hand")).to_have_count(0)
    assert words(page) == attend(server, source="Der Hund schläft.", beam_size=1)["target_words"]


def test_a_cell_is_changed_by_the_keyboard_alone(page: "Page", server: str) -> None:
    """In the table of subwords, whose last row and column are the ends of the sentences."""
    untouched = attend(server)
    visit(page, server, source=TEXT, unit="subwords")
    words(page)
    heat_map = page.get_by_label(re.compile("^Heat map"))
    heat_map.focus()
    for key in ("ArrowDown", "ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    menu = page.get_by_role("dialog", name=re.compile("^Weight of"))
    first, second, third = menu.get_by_role("button").all()
    expect(first).to_be_focused()
    expect(third).to_be_disabled()
    page.keyboard.press("Tab")
    expect(heat_map).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Escape")
    expect(heat_map).to_be_focused()
    expect(page.locator("td.lit")).to_have_attribute("data-target", "1")  # the cell is not lost
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowDown")
    expect(second).to_be_focused()
    page.keyboard.press("Enter")
    expect(menu).to_have_count(0)
    expect(page.locator(".fixed", has_text="Weights by hand: 1 subword")).to_be_visible()
    expect(heat_map).to_be_focused()
    expect(page.locator("td.lit")).to_have_text("0")
    assert page.locator("td.lit").get_attribute("data-source") == "1"
    row = [0 if i == 1 else weight for i, weight in enumerate(untouched["subword_attention"][1])]
    answer = attend(server, attention=[None, row])
    shown = [int(text) for text in page.locator("tr.changed td").all_text_contents()]
    assert shown == pytest.approx([weight * 100 for weight in answer["subword_attention"][1]], abs=0.6)
    expect(page.get_by_role("rowheader", name=re.compile("weights by hand$"))).to_have_count(1)
    expect(page.locator("#status")).to_contain_text("Weights by hand: 1 subword")
    page.keyboard.press("End")
    for key in ("Enter", "ArrowUp", "Enter"):  # the last enabled choice releases the row
        page.keyboard.press(key)
    expect(page.locator(".fixed", has_text="Weights by hand")).to_have_count(0)
    assert words(page) == ["end" if each == "</s>" else each for each in untouched["target_subwords"]]


def test_weights_of_a_given_translation(page: "Page", server: str) -> None:
    target = "The woman sleeps."
    visit(page, server, source=TEXT, mode="own", own=target, weights="temperature:0.5")
    sharp, given = (
        attend(server, target=target, intervene={"name": "temperature", "temperature": 0.5}),
        attend(server, target=target),
    )
    for answer in (sharp, given):
        expect(page.locator(".numbers")).to_contain_text(f"{answer['log_probability']:.2f}".replace("-", "−"))
    assert page.get_by_label("Temperature").input_value() == "0.5"
    assert words(page) == target.split()


def test_only_a_model_with_heads_offers_one(page: "Page", server: str) -> None:
    """A choice that no chosen model has is given up. A model beside them without heads says so in a sentence."""
    visit(page, server, source=TEXT, weights="head:1")
    assert words(page) == attend(server)["target_words"]
    options = page.get_by_label("Attention weights").locator("option")
    assert len(options.all_inner_texts()) == 7
    assert "One head" not in options.all_inner_texts()

    def with_heads(route: "Route") -> None:
        answer = route.fetch().json()
        answer["models"][1]["heads"] = 2
        route.fulfill(json=answer)

    page.route("**/models", with_heads)
    visit(page, server, source=TEXT, model=["first", "second"], weights="head:9")
    expect(page.locator(".panel").first).to_contain_text("The attention of this model has one head.")
    assert page.get_by_label("Head", exact=True).input_value() == "1"
    page.get_by_role("checkbox", name="second").uncheck()
    assert words(page) == attend(server)["target_words"]


def test_rows_that_do_not_fit_are_released(page: "Page", server: str) -> None:
    """Those of a link to a model of the same name with other subwords; and a menu fits a narrow dark page."""
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size(NARROW)
    visit(page, server, source=TEXT, hand=json.dumps(["first", [[1, [0, 1]]]]))
    expect(page.locator(".message")).to_contain_text("found 2 weights, expected")
    page.get_by_role("button", name="Release all").click()
    assert words(page) == attend(server)["target_words"]
    cell(page, 2, len(attend(server)["source_words"]) - 1).click()
    left, _, right, _ = edges(page.get_by_role("dialog"))
    assert 0 <= left < right <= NARROW["width"]
    page.get_by_role("button", name="Look only here").click()
    expect(page.locator(".fixed", has_text="Weights by hand")).to_be_visible()
    assert not is_too_wide(page)


def test_a_row_by_hand_from_right_to_left(page: "Page", server: str) -> None:
    visit(page, server, source="نحن نذهب إلى المدرسة", mode="own", own="نحن 去")
    words(page)
    page.get_by_label(re.compile("^Heat map")).focus()
    for key in ("ArrowLeft", "ArrowLeft", "Enter", "Enter"):
        page.keyboard.press(key)
    expect(page.locator(".fixed", has_text="Weights by hand: 1 word")).to_be_visible()
    expect(cell(page, 0, 1)).to_have_text("100")
