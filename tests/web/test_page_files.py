"""The files of the page: colours with contrast, and nothing from elsewhere."""

import re

import pytest

from tests.support.programs import ROOT

STATIC = ROOT / "seq2seq" / "web" / "static"


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", [0, 1])
def test_colours_have_contrast(theme: int) -> None:
    """4.5 for text, 3 for edges of controls and for the ends of the ribbons (WCAG 2, AA)."""
    style = (STATIC / "page.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", re.findall(r":root \{(.*?)\}", style, re.S)[theme]))

    def contrast(one: str, other: str) -> float:
        darker, lighter = sorted(luminance(colours[name]) for name in (one, other))
        return (lighter + 0.05) / (darker + 0.05)

    for text in ("ink", "soft", "accent", "alarm"):
        for ground in ("ground", "box"):
            assert contrast(text, ground) >= 4.5, (text, ground)
    assert contrast("on-accent", "accent") >= 4.5
    assert contrast("ink", "tint") >= 4.5
    for edge in ("edge", "first", "second", "third", "fourth", "fifth"):
        for ground in ("ground", "box"):
            assert contrast(edge, ground) >= 3, (edge, ground)


def test_the_files_of_the_page_stand_alone() -> None:
    """Nothing from another server, no inline script or style, no text that is parsed as HTML."""
    files = {path.name: path.read_text(encoding="utf-8") for path in STATIC.iterdir()}
    assert len(files) > 10
    for name, text in files.items():
        addresses = set(re.findall(r"https?://[^\s\"'`]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, name
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", text), name
        assert max(map(len, text.splitlines())) <= 120, name
        assert text.count("\n") <= 250, name
    assert not re.search(r"<style|style=|\son\w+=|<script(?! type=\"module\" src=)", files["index.html"])
    imports = [name for text in files.values() for name in re.findall(r'from "\./([\w.]+)"', text)]
    assert set(imports) | {"index.html", "page.css", "menus.css", "page.js", "icon.svg"} == set(files)
