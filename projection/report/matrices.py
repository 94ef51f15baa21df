"""Which statements come together, and which are predicted where others are true."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from markupsafe import Markup
from torch import Tensor

from projection.report.svg import element, number
from projection.runs.predictions import Predictions

MOST_CLASSES = 25
"""Rows and columns that a matrix can have and be read."""

_CELL_WIDTH, _CELL_HEIGHT, _LETTER = 40.0, 25.0, 7.0


@dataclass(frozen=True)
class Mistake:
    """Where one statement was predicted instead of, or beside, another.

    Args:
        count: Records of which both hold.
        records: Records with the true statement and without the other one.
        elsewhere: Share for which it is predicted among all records without it (0 to 1).
    """

    true: str
    predicted: str
    count: int
    records: int
    elsewhere: float


def co_occurrence(labels: Tensor) -> Tensor:
    """Compute how often a statement is true where another one is.

    Args:
        labels: 0 or 1, `(records, classes)`.

    Returns:
        float64 `(classes, classes)`: of the records with the row's statement, the share that also has the column's;
        NaN where there is none.
    """
    true = (labels > 0).double()
    return (true.T @ true) / true.sum(dim=0).unsqueeze(1)


def confusion_matrix(labels: Tensor, decisions: Tensor) -> tuple[Tensor, Tensor]:
    """Compute how often a statement is predicted where another one is true.

    Args:
        labels: 0 or 1, `(records, classes)`.
        decisions: bool `(records, classes)`.

    Returns:
        Two float64 `(classes, classes)`, hits and records. Off the diagonal, records are those with the row's statement
        and without the column's, and hits those of them for which the column's is predicted none the less. On the
        diagonal, records are those with the statement, and hits those for which it is predicted.
    """
    true, reported = (labels > 0).double(), decisions.double()
    hits = true.T @ (reported * (1 - true))
    records = true.T @ (1 - true)
    diagonal = torch.eye(len(hits), dtype=torch.bool)
    hits = torch.where(diagonal, (true * reported).sum(dim=0), hits)
    return hits, torch.where(diagonal, true.sum(dim=0), records)


def mistakes(test: Predictions, decisions: Tensor, most: int = 15, fewest: int = 5) -> list[Mistake]:
    """List the confusions seen most often beyond what false reports elsewhere explain, by this excess.

    It lists `most` of those that are seen in `fewest` records or more; `decisions` are bool `(records, classes)`.
    """
    hits, records = confusion_matrix(test.labels, decisions)
    negative = (test.labels == 0).double()
    elsewhere = (decisions.double() * negative).sum(dim=0) / negative.sum(dim=0)
    excess = hits - records * elsewhere
    excess = excess.fill_diagonal_(-torch.inf).masked_fill(hits < fewest, -torch.inf).nan_to_num(nan=-torch.inf)
    names, found = test.class_names, []
    for place in excess.flatten().argsort(descending=True)[:most].tolist():
        i, j = divmod(place, len(names))
        if excess[i, j] > 0:
            found.append(Mistake(names[i], names[j], int(hits[i, j]), int(records[i, j]), float(elsewhere[j])))
    return found


def matrix_figure(title: str, rows: Sequence[str], columns: Sequence[str], shares: Tensor, corner: str) -> Markup:
    """Draw shares of 0 to 1, `(rows, columns)`, as shaded cells with numbers in per cent; NaN stays empty.

    `title` is the figure's accessible name, and `corner` tells what rows and columns are.
    """
    left = 14 + _LETTER * max(len(name) for name in (*rows, corner))
    top = 14 + _LETTER * max(len(name) for name in columns) if len(columns) > 8 else 30.0
    parts = [Markup('<text class="axis" x="4" y="14">{}</text>').format(corner)]
    for j, name in enumerate(columns):
        parts.append(_column_name(left + (j + 0.5) * _CELL_WIDTH, top - 6, name, turned=len(columns) > 8))
    for i, name in enumerate(rows):
        y = top + (i + 0.5) * _CELL_HEIGHT + 4
        text = '<text x="{}" y="{}" text-anchor="end">{}</text>'
        parts.append(Markup(text).format(number(left - 6), number(y), name))
        parts += [
            _cell(left + j * _CELL_WIDTH, top + i * _CELL_HEIGHT, share) for j, share in enumerate(shares[i].tolist())
        ]
    width, height = left + len(columns) * _CELL_WIDTH + 4, top + len(rows) * _CELL_HEIGHT + 4
    return element(title, width, height, parts, "matrix")


def _cell(x: float, y: float, share: float) -> Markup:
    if share != share:
        return Markup("")
    # from white to dark blue; the number turns white where its ground is dark
    red, green, blue = (round(255 - share * (255 - dark)) for dark in (8, 48, 107))
    cell = '<rect x="{}" y="{}" width="{}" height="{}" fill="rgb({},{},{})"/>'
    box = Markup(cell).format(number(x), number(y), number(_CELL_WIDTH - 1), number(_CELL_HEIGHT - 1), red, green, blue)
    text = '<text x="{}" y="{}" text-anchor="middle"{}>{:.0f}</text>'
    white = Markup(' class="light"') if share > 0.5 else ""
    return box + Markup(text).format(number(x + _CELL_WIDTH / 2), number(y + _CELL_HEIGHT / 2 + 4), white, 100 * share)


def _column_name(x: float, y: float, name: str, turned: bool) -> Markup:
    text = (
        '<text transform="translate({} {}) rotate(-90)">{}</text>'
        if turned
        else '<text x="{}" y="{}" text-anchor="middle">{}</text>'
    )
    return Markup(text).format(number(x + (4 if turned else 0)), number(y), name)
