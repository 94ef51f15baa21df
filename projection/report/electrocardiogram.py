"""Twelve-lead electrocardiograms in the standard layout: 25 mm/s and 10 mm/mV on paper ruled in 1 mm and 5 mm."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from projection.corpus.statements import LEADS
from projection.report.svg import element, path

MM = 10
"""User units per millimetre."""
MM_PER_SECOND = 25
MM_PER_MILLIVOLT = 10
WIDTH_MM = 260

LEVELS = (0.08, 0.2, 0.4, 0.7)
"""Where the steps of an attribution's colours begin, as parts of its largest absolute value."""

_ROW_MM, _LEFT_MM = 26, 8
# between the paper's edge and the outer baselines; more where the traces need it, and they are cut off beyond that
_TOP_MM, _BOTTOM_MM, _EXTRA_MM = 18, 22, 10
_COLUMN_S, _RHYTHM_S = 2.5, 10.0
_RHYTHM = "II"
_LAYOUT = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"))

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Strip:
    """A part of a lead as it is drawn.

    Args:
        row: From the top.
        start: Where it begins on the paper, in s.
        seconds: How long it is.
        first: Where it begins in the record, in s.
    """

    lead: str
    row: int
    start: float
    seconds: float
    first: float


def paper() -> Markup:
    """Draw the ruled paper once, for all drawings of a page to use: an SVG element that shows nothing itself."""
    fine, coarse = _ruling(1), _ruling(5)
    lines = '<path class="fine" d="{}"/><path class="coarse" d="{}"/>'
    head = '<svg width="0" height="0" aria-hidden="true" style="position:absolute"><defs><g id="ecg-paper">'
    return Markup(head) + Markup(lines).format(fine, coarse) + Markup("</g></defs></svg>")


def draw_ecg(title: str, signals: Floats, sampling_rate: int, attribution: Floats | None = None) -> Markup:
    """Draw a record, a tenth of a millimetre to a unit: three rows of four leads, 2.5 s each, above 10 s of lead II.

    Time runs on through the columns, as on paper: the second one shows 2.5 s to 5 s. Below, ten seconds of the lead
    with the strongest attribution follow, where lead II above does not show it.

    Args:
        title: The drawing's accessible name.
        signals: In mV, `(12, time)`, leads in the order of `projection.corpus.statements.LEADS`; of more than 10 s the
            first 10 s are drawn, of less what is there.
        sampling_rate: In Hz.
        attribution: What counts for (above 0) and against a prediction (below 0), `(12, time)`; it is drawn along the
            trace, its strength relative to the largest absolute value. None draws the traces alone.
    """
    strength = None if attribution is None else _relative(attribution)
    strips = strips_of(sampling_rate, attribution)
    baselines, height = layout(signals, sampling_rate, strips)
    traces, halos, names = [], [], []
    for strip in strips:
        span, baseline = _span(strip, sampling_rate), baselines[strip.row]
        values = signals[LEADS.index(strip.lead), span]
        xs, ys = _across(strip.start, len(values), sampling_rate), _down(baseline, values)
        traces.append(Markup('<path d="{}"/>').format(path(xs, ys)))
        if strength is not None:
            halos += _halo(xs, ys, strength[LEADS.index(strip.lead), span])
        names.append(_name(strip, baseline))
    group = '<g class="{}">{}</g>'
    parts = [
        Markup('<use href="#ecg-paper"/>'),
        Markup(group).format("halos", Markup("").join(halos)),
        Markup(group).format("traces", Markup("").join([*traces, *map(_calibration, baselines)])),
        *names,
        _scale(height, sampling_rate),
    ]
    return element(title, WIDTH_MM * MM, height * MM, parts, "ecg")


def strips_of(sampling_rate: int, attribution: Floats | None = None) -> list[Strip]:
    """List what is drawn: four columns of 2.5 s, lead II, and what shows the strongest attribution `(12, time)`."""
    columns = [
        Strip(lead, i, j * _COLUMN_S, _COLUMN_S, j * _COLUMN_S)
        for i, row in enumerate(_LAYOUT)
        for j, lead in enumerate(row)
    ]
    strips = [*columns, Strip(_RHYTHM, len(_LAYOUT), 0.0, _RHYTHM_S, 0.0)]
    if attribution is not None and np.abs(attribution).max() > 0:
        lead, seconds = strongest(attribution, sampling_rate)
        # of longer records, ten seconds that hold it
        first = min(seconds // _RHYTHM_S * _RHYTHM_S, max(0.0, attribution.shape[1] / sampling_rate - _RHYTHM_S))
        if (lead, first) != (_RHYTHM, 0.0):
            strips.append(Strip(lead, len(_LAYOUT) + 1, 0.0, _RHYTHM_S, first))
    return strips


def strongest(attribution: Floats, sampling_rate: int) -> tuple[str, float]:
    """Find the largest absolute attribution of `(12, time)`: its lead, and its place in s."""
    lead, sample = divmod(int(np.abs(attribution).argmax()), attribution.shape[1])
    return LEADS[lead], sample / sampling_rate


def layout(signals: Floats, sampling_rate: int, strips: Sequence[Strip]) -> tuple[list[int], int]:
    """Choose each row's baseline and the paper's height, in mm: more than usual where the outer rows need it."""
    last = strips[-1].row
    peaks, troughs = [0.0], [0.0]
    for strip in strips:
        values = signals[LEADS.index(strip.lead), _span(strip, sampling_rate)] * MM_PER_MILLIVOLT
        if strip.row == 0:
            peaks.append(float(np.nanmax(values, initial=0)))
        if strip.row == last:
            troughs.append(float(np.nanmin(values, initial=0)))
    first = _TOP_MM + _more(max(peaks) - _TOP_MM + 2)
    baselines = [first + _ROW_MM * row for row in range(last + 1)]
    return baselines, baselines[-1] + _BOTTOM_MM + _more(-min(troughs) - _BOTTOM_MM + 8)


def smoothed(attribution: Floats, sampling_rate: int, seconds: float = 0.05) -> Floats:
    """Average an attribution `(leads, time)` over a moving window, so that the eye can follow it."""
    width = max(1, round(seconds * sampling_rate))
    kernel = np.ones(width) / width
    return np.stack([np.convolve(lead, kernel, mode="same") for lead in attribution])


def _span(strip: Strip, sampling_rate: int) -> slice:
    # with the next strip's first sample, so that the trace has no gap
    return slice(round(strip.first * sampling_rate), round((strip.first + strip.seconds) * sampling_rate) + 1)


def _more(lacking: float) -> int:
    """Give what is lacking, in whole squares of 5 mm."""
    return min(_EXTRA_MM, 5 * ceil(max(0.0, lacking) / 5))


def _across(start: float, samples: int, sampling_rate: int) -> list[float]:
    return [MM * (_LEFT_MM + MM_PER_SECOND * (start + index / sampling_rate)) for index in range(samples)]


def _down(baseline: float, millivolts: Floats) -> list[float]:
    return [MM * (baseline - MM_PER_MILLIVOLT * float(value)) for value in millivolts]


def _relative(attribution: Floats) -> Floats:
    largest = float(np.abs(attribution).max())
    return attribution / largest if largest > 0 else attribution


def _halo(xs: Sequence[float], ys: Sequence[float], strength: Floats) -> list[Markup]:
    """Draw a coloured band along a trace: a path for each level of strength, weak ones left out."""
    between = (strength[:-1] + strength[1:]) / 2
    levels = np.sign(between).astype(int) * np.searchsorted(LEVELS, np.abs(between), side="right")
    gap = float("nan")
    parts = []
    for level in sorted(set(levels.tolist()) - {0}):
        there: list[float] = []
        up: list[float] = []
        for index in np.flatnonzero(levels == level).tolist():
            joined = bool(there) and there[-1] == xs[index]
            there += [xs[index + 1]] if joined else [gap, xs[index], xs[index + 1]]
            up += [ys[index + 1]] if joined else [gap, ys[index], ys[index + 1]]
        kind = f"{'for' if level > 0 else 'against'} level{abs(level)}"
        parts.append(Markup('<path class="{}" d="{}"/>').format(kind, path(there, up)))
    return parts


def _name(strip: Strip, baseline: float) -> Markup:
    (x,), (y,) = _across(strip.start, 1, 1), _down(baseline, np.array([0.95]))
    separator = Markup('<path class="break" d="M{} {}v80"/>').format(round(x), round(y) + 60) if strip.start else ""
    return Markup('<text x="{}" y="{}">{}</text>').format(round(x) + 12, round(y), strip.lead) + separator


def _calibration(baseline: float) -> Markup:
    """Draw a pulse of 1 mV and 0.2 s before a row."""
    low, high = _down(baseline, np.array([0.0, 1.0]))
    left = MM * (_LEFT_MM - 7)
    xs = [left + MM * offset for offset in (0, 1, 1, 6, 6, 7)]
    return Markup('<path class="calibration" d="{}"/>').format(path(xs, [low, low, high, high, low, low]))


def _scale(height: int, sampling_rate: int) -> Markup:
    text = '<text x="{}" y="{}">{} mm/s, {} mm/mV, sampled at {} Hz; a small square is 0.04 s by 0.1 mV</text>'
    return Markup(text).format(MM, MM * height - 15, MM_PER_SECOND, MM_PER_MILLIVOLT, sampling_rate)


def _ruling(millimetres: int) -> str:
    height = _TOP_MM + 4 * _ROW_MM + _BOTTOM_MM + 2 * _EXTRA_MM
    across = "".join(f"M{x * MM} 0V{height * MM}" for x in range(0, WIDTH_MM + 1, millimetres))
    return across + "".join(f"M0 {y * MM}H{WIDTH_MM * MM}" for y in range(0, height + 1, millimetres))
