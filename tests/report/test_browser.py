"""The page in a real browser."""

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
