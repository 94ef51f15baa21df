"""A run of the synthetic corpus, trained once for all tests of the report, and pages as tables of text."""

import shutil
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from projection.__main__ import main
from tests.conftest import ROOT


class Tables(HTMLParser):
    """The tables of a page by their captions, each a list of rows of texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, list[list[str]]] = {}
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


@pytest.fixture(scope="session")
def _trained(corpus_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "trained"
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder.parent)
        patch.setattr(sys, "argv", ["projection"])
        options = ["--config", str(ROOT / "configs" / "demo.yaml"), "--data.path", str(corpus_file)]
        options += ["--data.task", "superdiagnostic", "--data.batch_size", "32", "--trainer.max_epochs", "2"]
        options += ["--model.init_args.net.init_args.widths", "[4,8]", "--trainer.enable_model_summary", "false"]
        options += ["--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"]
        main(["fit", *options, "--trainer.log_every_n_steps", "1", "--trainer.default_root_dir", str(folder)])
    return folder


@pytest.fixture
def trained(_trained: Path, tmp_path: Path) -> Path:
    """A run folder that a test may change."""
    return Path(shutil.copytree(_trained, tmp_path / "a <b>run</b>"))


Report = Callable[..., str]


@pytest.fixture
def report(tmp_path: Path) -> Report:
    """Make a page and give its text."""

    def make(*words: str | Path) -> str:
        output = tmp_path / "page.html"
        main(["report", *map(str, words), "--output", str(output), "--resamples", "20"])
        return output.read_text()

    return make
