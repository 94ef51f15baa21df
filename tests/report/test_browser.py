"""The page in a real browser."""

import base64
import re
from pathlib import Path

import pytest

from tests.report.browser import browser, find_chromium
from tests.report.conftest import Report

pytestmark = pytest.mark.slow


def test_a_page_opens_offline_and_fits_any_screen(trained: Path, report: Report, tmp_path: Path) -> None:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium here: tests/engines/install.sh brings it to a Debian machine")
    report(trained)
    address = (tmp_path / "page.html").as_uri()
    with browser(chromium, tmp_path / "profile") as page:
        for width in (1280, 360):
            page.open(address, width)
            root = "document.documentElement"
            wide, room = page.value_of(f"[{root}.scrollWidth, {root}.clientWidth]")
            assert wide <= room == width
            assert page.value_of("document.querySelectorAll('svg.ecg[role=img]').length") > 0
            methods = [event.get("method") for event in page.events]
            assert "Log.entryAdded" not in methods
            assert "Runtime.exceptionThrown" not in methods
            requests = [
                e["params"]["request"]["url"] for e in page.events if e["method"] == "Network.requestWillBeSent"
            ]
            assert requests == [address]
        page.call("Emulation.setEmulatedMedia", media="print")
        page.open(address, 680)  # of A4, less its margins
        # a browser shrinks all pages if something is wider than one of them, and drawings lose their scale
        inside = "[...document.querySelectorAll('body *')].filter(each => !each.closest('.records'))"
        assert page.value_of(f"Math.max(...{inside}.map(each => each.getBoundingClientRect().right))") <= 680
        assert page.value_of("document.querySelector('svg.ecg[role=img]').clientWidth") == round(260 / 25.4 * 96)


def test_a_forest_plot_is_read_whole_on_a_phone(trained: Path, report: Report, tmp_path: Path) -> None:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium here: tests/engines/install.sh brings it to a Debian machine")
    report(trained, "--cases", "0")
    with browser(chromium, tmp_path / "profile") as page:
        page.open((tmp_path / "page.html").as_uri(), 390)
        plot = "document.querySelector('svg.forest')"
        left, right = page.value_of(f"(box => [box.left, box.right])({plot}.getBoundingClientRect())")
        assert 0 <= left < right <= 390
        frame = f"{plot}.parentElement"
        assert page.value_of(f"{frame}.scrollWidth <= {frame}.clientWidth")
        heights = page.value_of(
            f"[...{plot}.querySelectorAll('text')].map(each => each.getBoundingClientRect().height)"
        )
        assert min(heights) > 11  # of a line of 10 px and more
        names = f"[...{plot}.querySelectorAll('text.name')].map(each => each.getBoundingClientRect().right)"
        grid = f"{plot}.querySelector('.grid').getBoundingClientRect().left"
        assert page.value_of(f"Math.max(...{names}) <= {grid}")


def test_on_paper_records_fill_their_pages_and_the_rest_flows(trained: Path, report: Report, tmp_path: Path) -> None:
    chromium = find_chromium()
    if chromium is None:
        pytest.skip("no Chromium here: tests/engines/install.sh brings it to a Debian machine")
    text = report(trained, "--classes", "[NORM, MI]")
    with browser(chromium, tmp_path / "profile") as page:
        page.open((tmp_path / "page.html").as_uri(), 1280)
        options = {"preferCSSPageSize": True, "paperWidth": 8.27, "paperHeight": 11.69}
        pdf = base64.b64decode(page.call("Page.printToPDF", **options)["data"])
    pages = [[float(n) for n in box.split()] for box in re.findall(rb"/MediaBox\s*\[([^\]]*)\]", pdf)]
    landscape = [box for box in pages if box[2] > box[3]]
    assert len(landscape) == text.count('<article class="case">')
    # of eight sections, which had a page and more each
    assert len(pages) - len(landscape) <= 7
