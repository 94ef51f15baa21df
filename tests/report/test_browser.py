"""The page in a real browser."""

from pathlib import Path

import pytest

from tests.report.browser import browser, find_chromium
from tests.report.conftest import Report


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
