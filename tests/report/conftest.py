"""Run folders that a test may change, and pages as tables of text."""

import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest

from projection.__main__ import main


class Tables(HTMLParser):
    """The tables of a page by their captions, each a list of rows of texts; `every` has all tables of a caption."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
        self.every: dict[str, list[list[list[str]]]] = {}
        self._rows: list[list[str]] = []
        self._caption, self._text = "", ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._rows = []
        if tag == "tr":
            self._rows.append([])
        if tag in ("caption", "th", "td"):
            self._text = ""

    def handle_data(self, data: str) -> None:
        self._text += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "caption":
            self._caption = self._text
        if tag in ("th", "td"):
            self._rows[-1].append(self._text)
        if tag == "table":
            self.found[self._caption] = self._rows
            self.every.setdefault(self._caption, []).append(self._rows)


@dataclass(frozen=True)
class Article:
    """A record as the page shows it."""

    heading: str
    facts: dict[str, str]
    chips: list[str]
    drawing: str
    words: str = ""


def articles(page: str) -> list[Article]:
    """Read the records on a page."""
    found = []
    for part in re.findall(r'<article class="case">(.*?)</article>', page, re.DOTALL):
        facts = {name: unescape(text) for name, text in re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", part)}
        facts.pop("probabilities")
        (heading,), words = re.findall("<h4>(.*?)</h4>", part), re.findall('<p class="small">(.*?)</p>', part)
        chips = re.findall(r'<span class="chip \w*">(.*?)</span>', part)
        found.append(Article(heading, facts, chips, part[part.index("<svg") : part.index("</svg>") + 6], *words))
    return found


def drawings(page: str) -> dict[str, str]:
    """Find the drawings of a page by their names."""
    return {unescape(name): svg for svg, name in re.findall(r'(<svg[^>]* aria-label="([^"]*)".*?</svg>)', page)}


@pytest.fixture
def trained(fitted: Path, tmp_path: Path) -> Path:
    """A run folder that a test may change."""
    return Path(shutil.copytree(fitted, tmp_path / "a <b>run</b>"))


Report = Callable[..., str]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Make a page and give its text."""

    def make(*words: str | Path) -> str:
        output = tmp_path / "page.html"
        main(["report", *map(str, words), "--output", str(output), "--resamples", "20"])
        return output.read_text()

    return make


@pytest.fixture(scope="session")
def page(fitted: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A page of one run, with two records of each kind."""
    output = tmp_path_factory.mktemp("page") / "page.html"
    main(["report", str(fitted), "--output", str(output), "--resamples", "20", "--cases", "2"])
    return output.read_text()
