"""Forest plots: estimates with their intervals, a line for each name."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor, isfinite, nan

from markupsafe import Markup

from projection.evaluation.subgroups import Subgroup
from projection.report.svg import STYLES, Axis, element, number

LETTERS = 20
"""Of a name; longer ones are cut. With these, a plot is as narrow as a phone, so that text keeps its size there."""

_HEAD, _ROW, _LETTER, _PLOT, _RIGHT = 12.0, 22.0, 6.0, 222.0, 16.0

Place = Callable[[float], float]
"""From a value to where it stands across."""

# about the middle of a mark
_SHAPES = {
    "square": "m-4-4h8v8h-8Z",
    "diamond": "m0-5l5 5l-5 5l-5-5Z",
    "tick": "m0-7v14",
}


@dataclass(frozen=True)
class Mark:
    """An estimate; NaN is not drawn.

    Args:
        shape: `square`, `diamond` or `tick`.
        style: Its series, for the colour.
        hollow: Whether the shape is an outline only.
        shift: By how much it stands below the middle of its line, in user units.
    """

    value: float
    low: float = nan
    high: float = nan
    shape: str = "square"
    style: int = 0
    hollow: bool = False
    shift: float = 0.0


@dataclass(frozen=True)
class Line:
    """A name and its estimates; one without any is a heading."""

    name: str
    marks: Sequence[Mark] = ()


def forest(
    lines: Sequence[Line], label: str, guide: float = nan, letters: int = LETTERS
) -> tuple[list[Markup], float, float]:
    """Draw lines from the top to the bottom.

    Args:
        lines: What to draw.
        label: Of the axis, which ends at 1.
        guide: Where an upright dashed line stands; NaN for none.
        letters: Room for names.

    Returns:
        The parts, their width and their height.
    """
    values = [value for line in lines for mark in line.marks for value in (mark.low, mark.value)]
    lowest = min((value for value in (*values, guide) if isfinite(value)), default=0.5)
    axis = Axis(label, max(0.0, floor(20 * lowest - 0.2) / 20), 1.0)
    left, bottom = _LETTER * letters + 14, _HEAD + _ROW * len(lines)

    def place(value: float) -> float:
        return left + axis.place(value) * _PLOT

    parts = _scale(axis, place, guide, bottom)
    for index, line in enumerate(lines):
        y = _HEAD + _ROW * (index + 0.5)
        parts += [_name(line, y, letters), *(draw_mark(mark, y, place) for mark in line.marks)]
    return parts, left + _PLOT + _RIGHT, bottom + 44


def forest_plot(groups: Sequence[Subgroup], overall: float) -> Markup:
    """Draw the AUROC of subgroups, a tick for that of all test records over the same classes, and a line for `overall`.

    Groups without a class that has both outcomes often enough are left out.
    """
    lines: list[Line] = []
    for attribute in dict.fromkeys(group.attribute for group in groups):
        members = [group for group in groups if group.attribute == attribute and isfinite(group.auroc)]
        lines += [Line(attribute)] if members else []
        for each in members:
            whole = Mark(each.everyone, shape="tick", style=1)
            lines.append(Line(each.group, [whole, Mark(each.auroc, each.low, each.high)]))
    parts, width, height = forest(lines, "macro AUROC", overall)
    return element("AUROC in subgroups", width, height, parts, "forest")


def draw_mark(mark: Mark, y: float, place: Place) -> Markup:
    """Draw a mark in a line about the height `y`."""
    height, style = number(y + mark.shift), mark.style % STYLES
    parts = [Markup("")]
    if isfinite(mark.low) and isfinite(mark.high):
        interval = '<path class="mark s{}" d="M{} {}H{}"/>'
        parts.append(Markup(interval).format(style, number(place(mark.low)), height, number(place(mark.high))))
    if isfinite(mark.value):
        kind = "" if mark.shape == "tick" else " hollow" if mark.hollow else f" f{style}"
        shape = '<path class="mark s{}{}" d="M{} {}{}"/>'
        where = (number(place(mark.value)), height, _SHAPES[mark.shape])
        parts.append(Markup(shape).format(style, kind, *where))
    return Markup("").join(parts)


def _scale(axis: Axis, place: Place, guide: float, bottom: float) -> list[Markup]:
    parts = []
    for value in axis.marks():
        mark = '<path class="grid" d="M{0} 8V{1}"/><text x="{0}" y="{2}" text-anchor="middle">{3:g}</text>'
        parts.append(Markup(mark).format(number(place(value)), number(bottom), number(bottom + 16), value))
    label = '<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text>'
    middle = number(place((axis.low + axis.high) / 2))
    parts.append(Markup(label).format(middle, number(bottom + 34), axis.label))
    if isfinite(guide):
        parts.append(Markup('<path class="guide" d="M{} 8V{}"/>').format(number(place(guide)), number(bottom)))
    return parts


def _name(line: Line, y: float, letters: int) -> Markup:
    short = line.name if len(line.name) <= letters else f"{line.name[: letters - 1]}…"
    text = '<text class="{}" x="{}" y="{}">{}<title>{}</title></text>'
    kind, x = ("name", 12) if line.marks else ("heading", 2)
    return Markup(text).format(kind, x, number(y + 4), short, line.name)
