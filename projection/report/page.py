"""The page as a file: written whole or not at all."""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from projection import __version__
from projection.errors import ProjectionError
from projection.evaluation.wording import percent
from projection.files import completed_or_removed
from projection.report.svg import STYLES, stylesheet


def check_output(output: Path) -> None:
    """Make sure that a page can be written, before anything is computed."""
    folder = output.resolve().parent
    if output.is_dir():
        raise ProjectionError(f"{output} is a folder: name the page to write, such as --output {output}/report.html")
    if not folder.is_dir():
        raise ProjectionError(f"There is no folder {folder} for the page: make it, or choose another --output.")
    if not os.access(folder, os.W_OK):
        raise ProjectionError(f"Nothing can be written to {folder}: choose another --output.")


def write_page(output: Path, content: Mapping[str, Any]) -> None:
    """Render the template with its variables, and write the page whole or not at all."""
    text = render(content)
    with completed_or_removed(output) as partial:
        partial.write_text(text, encoding="utf-8")


def render(content: Mapping[str, Any]) -> str:
    """Render the template with its variables; whatever is not drawn by this package is escaped."""
    # reports, names and configurations are others' text
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    created = datetime.now().astimezone().strftime("%d %B %Y, %H:%M %Z")
    template = environment.get_template("page.html")
    constants = {"version": __version__, "styles": STYLES, "charts": Markup(stylesheet())}
    return template.render(content, created=created, percent=percent, **constants)
