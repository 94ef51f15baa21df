"""Forest plots: a model's AUROC in each subgroup, with its interval."""

from collections.abc import Sequence
from math import floor, isfinite

from markupsafe import Markup

from projection.evaluation.subgroups import Subgroup
from projection.report.svg import Axis, element, number

_ROW, _SECOND, _TEXT, _PLOT, _RIGHT = 22.0, 110.0, 220.0, 360.0, 20.0


def forest_plot(groups: Sequence[Subgroup], overall: float) -> Markup:
    """Draw the AUROC of subgroups.

    Args:
        groups: The subgroups; those without a class that has both outcomes often enough are left out.
        overall: Macro AUROC of all test records over all classes: the vertical line.

    Returns:
        The SVG element: a square and its interval for each group, and a tick for the AUROC of all test records over the
        same classes.
    """
    drawn = [group for group in groups if isfinite(group.auroc)]
    ends = [value for group in drawn for value in (group.low, group.everyone, group.auroc) if isfinite(value)]
    axis = Axis("macro AUROC", max(0.0, floor(20 * min([*ends, overall]) - 0.2) / 20), 1.0)
    bottom = 12 + _ROW * len(drawn)
    parts = [_guides(axis, overall, bottom)]
    last = ""
    for index, group in enumerate(drawn):
        y = 12 + _ROW * (index + 0.5)
        parts.append(_names(group, y, group.attribute != last))
        parts.append(_marks(axis, group, y))
        last = group.attribute
    return element("AUROC in subgroups", _TEXT + _PLOT + _RIGHT, bottom + 44, parts, "forest")


def _guides(axis: Axis, overall: float, bottom: float) -> Markup:
    parts = [Markup("")]
    for value in axis.marks():
        mark = '<path class="grid" d="M{0} 8V{1}"/><text x="{0}" y="{2}" text-anchor="middle">{3:g}</text>'
        parts.append(Markup(mark).format(_across(axis, value), number(bottom), number(bottom + 16), value))
    label = '<text class="axis" x="{}" y="{}" text-anchor="middle">{}</text><path class="guide" d="M{} 8V{}"/>'
    where = (number(_TEXT + _PLOT / 2), number(bottom + 34), axis.label)
    return Markup("").join([*parts, Markup(label).format(*where, _across(axis, overall), number(bottom))])


def _names(group: Subgroup, y: float, first: bool) -> Markup:
    text = '<text class="axis" x="4" y="{0}">{1}</text><text x="{3}" y="{0}">{2}</text>'
    return Markup(text).format(number(y + 4), group.attribute if first else "", group.group, number(_SECOND))


def _marks(axis: Axis, group: Subgroup, y: float) -> Markup:
    parts = []
    if isfinite(group.low):
        interval = '<path class="line s0" d="M{} {}H{}"/>'
        parts.append(Markup(interval).format(_across(axis, group.low), number(y), _across(axis, group.high)))
    tick = '<path class="line s1" d="M{} {}V{}"/><rect class="f0" x="{}" y="{}" width="8" height="8"/>'
    square = (number(_TEXT + axis.place(group.auroc) * _PLOT - 4), number(y - 4))
    parts.append(Markup(tick).format(_across(axis, group.everyone), number(y - 8), number(y + 8), *square))
    return Markup("").join(parts)


def _across(axis: Axis, value: float) -> str:
    return number(_TEXT + axis.place(value) * _PLOT)
