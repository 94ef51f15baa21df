"""A picture of the table: a panel for each task, a line for each net."""

import io
from collections.abc import Mapping, Sequence
from math import ceil, isnan, sqrt
from textwrap import fill

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from projection.benchmark.cells import Row
from projection.benchmark.layout import Line, notes
from projection.benchmark.published import Published, verdict

_OURS, _THEIRS, _OTHERS = "#1f4e9c", "#c8631b", "#8a8a8a"
_APART = 0.17  # of ours and the published number from the middle of their line


def draw(tasks: Mapping[str, Sequence[Line]], confidence: float) -> bytes:
    """Draw the table.

    Args:
        tasks: The lines of each task.
        confidence: Of our intervals (0 to 1).

    Returns:
        A PNG.
    """
    columns = ceil(sqrt(len(tasks)))
    rows = -(-len(tasks) // columns)
    most = max(map(len, tasks.values()))
    figure = Figure(figsize=(1.5 + 5 * columns, 1.2 + (1.1 + 0.28 * most) * rows), layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flatten()
    for panel, (task, lines) in zip(panels, tasks.items(), strict=False):
        _draw_task(panel, task, lines)
    for panel in panels[len(tasks) :]:
        panel.remove()
    legend = {"ncols": min(2, columns), "frameon": False, "fontsize": 9}
    figure.legend(handles=_legend(confidence), loc="outside lower center", **legend)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=150)
    return file.getvalue()


def _draw_task(panel: Axes, task: str, lines: Sequence[Line]) -> None:
    for place, (ours, published) in enumerate(lines):
        if ours:
            _draw_ours(panel, place - _APART, ours)
        if published:
            overlaps = ours is not None and verdict(ours.low, ours.high, published) == "overlap"
            colour = _THEIRS if ours else _OTHERS
            _draw_published(panel, place + (_APART if ours else 0), published, colour, overlaps)
    names = [ours.net if ours else published.model if published else "" for ours, published in lines]
    panel.set_yticks(range(len(lines)), names, fontsize=8)
    panel.tick_params(axis="x", labelsize=8)
    panel.invert_yaxis()
    panel.grid(axis="x", alpha=0.3)
    panel.spines[["top", "right"]].set_visible(False)
    records = next(ours.records for ours, _ in lines if ours)
    panel.set_title(f"{task}, {records:,} test records", fontsize=10)
    panel.set_xlabel("\n".join(["macro AUROC", *(fill(note, 58) for note in notes(task, lines))]), fontsize=8)


def _draw_ours(panel: Axes, height: float, row: Row) -> None:
    if not isnan(row.low):
        panel.hlines(height, row.low, row.high, color=_OURS, linewidth=2.5, alpha=0.6)
    panel.plot(list(row.aurocs.values()), [height] * len(row.aurocs), "|", color=_OURS, markersize=8)
    panel.plot(row.mean, height, "o", color=_OURS, markersize=5)


def _draw_published(panel: Axes, height: float, published: Published, colour: str, overlaps: bool) -> None:
    low, high = published.auroc - published.uncertainty, published.auroc + published.uncertainty
    panel.hlines(height, low, high, color=colour, linewidth=1.2)
    panel.plot(
        published.auroc, height, "D", color=colour, markersize=4.5, markerfacecolor=colour if overlaps else "white"
    )


def _legend(confidence: float) -> list[Line2D]:
    labels = {
        f"ours: mean over seeds, {confidence:.0%} bootstrap interval": Line2D([], [], color=_OURS, marker="o"),
        "one seed": Line2D([], [], color=_OURS, marker="|", linestyle=""),
        "published, the same net": Line2D([], [], color=_THEIRS, marker="D", markerfacecolor="white"),
        "the same, where the intervals overlap": Line2D([], [], color=_THEIRS, marker="D"),
        "published, other models": Line2D([], [], color=_OTHERS, marker="D", markerfacecolor="white"),
    }
    for label, line in labels.items():
        line.set_label(label)
    return list(labels.values())
