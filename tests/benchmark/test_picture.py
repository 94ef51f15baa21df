"""The picture of a table: what it shows, and that it stands alone."""

import re
from dataclasses import replace
from itertools import pairwise
from math import nan
from pathlib import Path
from xml.etree.ElementTree import Element, fromstring, tostring

import pytest

from projection.benchmark.cells import Row
from projection.benchmark.layout import beside_published
from projection.benchmark.picture import draw
from projection.benchmark.published import TEST_RECORDS, read_published
from tests.report.browser import browser, find_chromium
from tests.report.drawings import Forest, forest

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = '<script>alert("net")</script>'


def row(label_set: str, net: str, aurocs: dict[int, float], apart: float = 0.01) -> Row:
    middle = sum(aurocs.values()) / len(aurocs)
    records = TEST_RECORDS.get(label_set, 1)
    return Row(label_set, net, aurocs, middle - apart, middle + apart, records, 5, "50", ("PTB-XL", "0"), "")


ROWS = [
    row("all", "xresnet1d101", {0: 0.92, 1: 0.93}),
    row("all", "lstm", {0: 0.7}, apart=nan),
    row("form", "s4", {0: 0.8}),
    replace(row("rhythm", HOSTILE, {0: 0.8}), records=300),
]


def panels(text: str) -> dict[str, tuple[Element, Forest]]:
    """Read the panels by their titles."""
    root = fromstring(re.sub(r' xmlns="[^"]*"', "", text, count=1))
    found = {}
    for panel in root.findall("g"):
        title = panel.find("text")
        inner = panel.find("g")
        if title is not None and title.get("class") == "heading" and inner is not None:
            found[title.text or ""] = (panel, forest(tostring(inner, encoding="unicode")))
    return found


def test_each_label_set_has_a_panel_with_ours_and_the_published_numbers() -> None:
    lines = beside_published(ROWS)
    found = panels(draw(lines, 0.95))
    assert list(found) == ["all, 2,198 test records", "form, 880 test records", "rhythm, 300 test records"]
    published = {(each.label_set, each.net or each.model): each for each in read_published()}
    all_of_them = found["all, 2,198 test records"][1].lines
    assert list(all_of_them)[:2] == ["xresnet1d101", "lstm"]
    others = [
        each.model for each in read_published() if each.label_set == "all" and each.net not in ("xresnet1d101", "lstm")
    ]
    assert sorted(list(all_of_them)[2:]) == sorted(others)
    near = {"abs": 1e-3}
    theirs = published["all", "xresnet1d101"]
    ends = (theirs.auroc - theirs.uncertainty, theirs.auroc + theirs.uncertainty)
    assert all_of_them["xresnet1d101"] == [
        ("tick 0", pytest.approx(0.92, **near)),
        ("tick 0", pytest.approx(0.93, **near)),
        ("interval 0", pytest.approx((0.915, 0.935), **near)),
        ("square 0", pytest.approx(0.925, **near)),
        ("interval 1", pytest.approx(ends, **near)),
        # both intervals overlap
        ("diamond 1", pytest.approx(theirs.auroc, **near)),
    ]
    theirs = published["all", "lstm"]
    # ours has no interval, so that nothing can be told
    assert [kind for kind, _ in all_of_them["lstm"]] == ["tick 0", "square 0", "interval 1", "hollow diamond 1"]
    assert [kind for kind, _ in all_of_them["ECG-CPC"]] == ["interval 5", "hollow diamond 5"]
    assert found["rhythm, 300 test records"][1].lines[HOSTILE][1:] == [
        ("interval 0", pytest.approx((0.79, 0.81), **near)),
        ("square 0", pytest.approx(0.8, **near)),
    ]


def test_panels_lie_beside_and_below_each_other_and_have_their_notes_and_legend() -> None:
    text = draw(beside_published(ROWS), 0.975)
    root = fromstring(text)
    width, height = (float(root.get(side, "")) for side in ("width", "height"))
    assert root.get("viewBox") == f"0 0 {width:g} {height:g}"
    places = [[float(n) for n in re.findall(r"[\d.]+", node.get("transform", ""))] for node in root.findall(f"{SVG}g")]
    assert [x for x, _ in places[:3]] == [places[0][0], places[1][0], places[0][0]]
    assert places[0][1] == places[1][1] < places[2][1] < places[3][1] < height
    assert places[0][0] < places[1][0] < width
    words = " ".join(node.text or "" for node in root.iter(f"{SVG}text"))
    assert "Published numbers stand on all of PTB-XL (2,098 test records), these on 300." in words.replace("\n", " ")
    assert "ours: mean over seeds, 97.5% bootstrap interval" in words
    # lines of a note and of the legend do not lie on each other
    for group in root.iter(f"{SVG}g"):
        heights = [float(node.get("y", "")) for node in group.findall(f"{SVG}text") if node.get("class") == "axis"]
        assert all(after - before >= 14 for before, after in pairwise(heights))


def test_a_picture_stands_alone_and_escapes_the_names_of_others() -> None:
    text = draw(beside_published(ROWS), 0.95)
    assert text.startswith('<svg xmlns="http://www.w3.org/2000/svg" ')
    assert "<script" not in text
    assert not re.search(r"href|url\(|@import|src=", text)
    style = text[text.index("<style>") : text.index("</style>")]
    used = {word for names in re.findall(r' class="([^"]*)"', text) for word in names.split()}
    assert {f".{word}" for word in used - {"name"}} <= set(re.findall(r"\.[a-z]\w*", style))
    for name in re.findall(r"var\((--\w+)\)", style):
        assert f"{name}: #" in style
    assert '<rect width="100%" height="100%" fill="#fff"/>' in text
    assert "<title>Macro AUROC beside published numbers</title>" in text


@pytest.mark.slow
def test_a_browser_draws_the_picture_on_its_own(tmp_path: Path) -> None:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium here: tests/engines/install.sh brings it to a Debian machine")
    (tmp_path / "table.svg").write_text(draw(beside_published(ROWS), 0.95))
    with browser(chromium, tmp_path / "profile") as page:
        page.open((tmp_path / "table.svg").as_uri(), 1280)
        assert page.value_of("getComputedStyle(document.querySelector('.mark.s0')).stroke") == "rgb(0, 114, 178)"
        boxes = "[...document.querySelectorAll('text, path')].map(each => each.getBoundingClientRect())"
        width = float(page.value_of("document.documentElement.getAttribute('width')"))
        assert page.value_of(f"Math.max(...{boxes}.map(box => box.right))") <= width
        # names end where the marks begin
        names = "[...document.querySelectorAll('g > g > text.name')]"
        grid = "each.parentNode.querySelector('.grid').getBoundingClientRect().left"
        assert page.value_of(f"Math.max(...{names}.map(each => each.getBoundingClientRect().right - {grid}))") <= 1
