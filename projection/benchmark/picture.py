"""A picture of the table: a panel for each label set, a line for each net."""

from collections.abc import Mapping, Sequence
from textwrap import wrap

from markupsafe import Markup

from projection.benchmark.cells import Row
from projection.benchmark.layout import Line, notes
from projection.benchmark.published import Published, verdict
from projection.evaluation.wording import percent
from projection.report import forest
from projection.report.forest import Mark
from projection.report.svg import number, standalone

_OURS, _THEIRS, _OTHERS = 0, 1, 5  # styles
_APART = 4.0  # of ours and the published number from the middle of their line
_LETTERS, _LEADING, _MARGIN = 62, 15.0, 14.0  # of notes and the legend


def draw(label_sets: Mapping[str, Sequence[Line]], confidence: float) -> str:
    """Draw the lines of each label set as an SVG file; `confidence` is that of our intervals (0 to 1)."""
    letters = max(len(_name(line)) for lines in label_sets.values() for line in lines)
    panels = [_panel(label_set, lines, letters) for label_set, lines in label_sets.items()]
    columns, across = min(2, len(panels)), panels[0][1] + _MARGIN
    parts, y = [], _MARGIN
    for first in range(0, len(panels), columns):
        row = panels[first : first + columns]
        parts += [_moved(_MARGIN + across * place, y, panel) for place, (panel, _, _) in enumerate(row)]
        y += max(height for _, _, height in row) + _MARGIN
    legend = _legend(confidence)
    height = y + len(legend) * _LEADING + _MARGIN
    parts.append(_moved(_MARGIN, y, legend))
    return standalone("Macro AUROC beside published numbers", _MARGIN + columns * across, height, parts)


def _panel(label_set: str, lines: Sequence[Line], letters: int) -> tuple[list[Markup], float, float]:
    records = next(ours.records for ours, _ in lines if ours)
    title = Markup('<text class="heading" x="2" y="12">{}, {:,} test records</text>').format(label_set, records)
    named = [forest.Line(_name(line), _marks(*line)) for line in lines]
    parts, width, height = forest.forest(named, "macro AUROC", letters=letters)
    said = [line for note in notes(label_set, lines) for line in wrap(note, _LETTERS)]
    below = [_text(2, 20 + height + _LEADING * place, line) for place, line in enumerate(said)]
    return [title, _moved(0, 16, parts), *below], width, 16 + height + _LEADING * len(said)


def _name(line: Line) -> str:
    ours, theirs = line
    return ours.net if ours else theirs.model if theirs else ""


def _marks(ours: Row | None, theirs: Published | None) -> list[Mark]:
    both = _APART if ours and theirs else 0.0
    marks = []
    if ours:
        marks += [Mark(value, shape="tick", style=_OURS, shift=-both) for value in ours.aurocs.values()]
        marks.append(Mark(ours.mean, ours.low, ours.high, style=_OURS, shift=-both))
    if theirs:
        overlaps = ours is not None and verdict(ours.low, ours.high, theirs) == "overlap"
        ends = (theirs.auroc - theirs.uncertainty, theirs.auroc + theirs.uncertainty)
        marks.append(Mark(theirs.auroc, *ends, "diamond", _THEIRS if ours else _OTHERS, not overlaps, both))
    return marks


def _legend(confidence: float) -> list[Markup]:
    entries = {
        f"ours: mean over seeds, {percent(confidence)} bootstrap interval": Mark(15, 4, 26, style=_OURS),
        "one seed": Mark(15, shape="tick", style=_OURS),
        "published, the same net": Mark(15, 4, 26, "diamond", _THEIRS, hollow=True),
        "the same, where the intervals overlap": Mark(15, 4, 26, "diamond", _THEIRS),
        "published, other models": Mark(15, 4, 26, "diamond", _OTHERS, hollow=True),
    }
    drawn = []
    for place, (text, mark) in enumerate(entries.items()):
        y = _LEADING * place + 4
        drawn.append(forest.draw_mark(mark, y, lambda value: value) + _text(34, y + 4, text))
    return drawn


def _text(x: float, y: float, text: str) -> Markup:
    return Markup('<text class="axis" x="{}" y="{}">{}</text>').format(number(x), number(y), text)


def _moved(x: float, y: float, parts: Sequence[Markup]) -> Markup:
    return Markup('<g transform="translate({} {})">{}</g>').format(number(x), number(y), Markup("").join(parts))
