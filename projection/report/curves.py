"""ROC and precision-recall curves with pointwise bootstrap bands, and the points at which the model decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import NamedTuple

import torch
from torch import Tensor

from projection.errors import ProjectionError
from projection.evaluation.protocol import Protocol, ends
from projection.evaluation.wording import percent, shown
from projection.metrics.bootstrap import draw_counts
from projection.report.svg import UNIT, Axis, Chart
from projection.report.tables import between
from projection.runs.predictions import Predictions

GRID = torch.linspace(0, 1, 51, dtype=torch.float64)
"""Where bands are computed."""

MOST_BANDS = 2
"""Of more runs than these, only the first one's band is drawn."""


@dataclass(frozen=True)
class Curve:
    """A curve, float64 `(points,)`, and the ends of its band at `GRID`, `(51,)`."""

    x: Tensor
    y: Tensor
    low: Tensor
    high: Tensor


class Curves(NamedTuple):
    """The curves of a class: sensitivity over 1 - specificity, and precision over recall."""

    roc: Curve
    precision_recall: Curve


Numbers = Mapping[str, float]
"""What a judgement says of a class."""


def cumulated(scores: Tensor, positive: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Count the reports above each distinct score; records of one score are reported together.

    Args:
        scores: `(records,)`.
        positive: bool `(records,)`.
        weights: How often each record counts, `(records, resamples)`.

    Returns:
        True and false reports, float64 `(resamples, distinct scores + 1)`, beginning with none.
    """
    ordered, order = scores.sort(descending=True)
    last = torch.cat([ordered[1:] != ordered[:-1], torch.ones(1, dtype=torch.bool)])
    found = []
    for each in (weights * positive.unsqueeze(1), weights):
        # counts are whole numbers, exact in single precision
        running = each[order].cumsum(dim=0)[last].T.double()
        found.append(torch.cat([running.new_zeros(len(running), 1), running], dim=1))
    return found[0], found[1] - found[0]


def roc_points(true: Tensor, false: Tensor) -> tuple[Tensor, Tensor]:
    """Turn what `cumulated` counts into false-positive rates and sensitivities, from (0, 0) to (1, 1)."""
    return false / false[:, -1:], true / true[:, -1:]


def precision_recall_points(true: Tensor, false: Tensor) -> tuple[Tensor, Tensor]:
    """Turn what `cumulated` counts into recalls and precisions, `(resamples, points - 1)`, by falling threshold."""
    hits, reported = true[:, 1:], (true + false)[:, 1:]
    # nothing is reported yet by a resample that lacks the highest scores
    return hits / hits[:, -1:], torch.where(reported > 0, hits / reported, 1.0)


def counts_of(test: Predictions, protocol: Protocol, patients: Tensor | None) -> Tensor:
    """Count how often each resample of the intervals holds each record, `(records, resamples)`.

    Where classes are too rare for resampling, each record is held once: bands have no width then.
    """
    try:
        return draw_counts(test.labels, protocol.resamples, protocol.seed, patients)
    except ProjectionError:
        return torch.ones(len(test.labels), 1)


def class_curves(test: Predictions, counts: Tensor, confidence: float) -> dict[str, Curves]:
    """Compute the curves of every class that has both outcomes; `counts` are those of `counts_of`."""
    positive = test.labels > 0
    defined = positive.any(dim=0) & ~positive.all(dim=0)
    return {
        name: _curves(test.scores[:, i], positive[:, i], counts, confidence)
        for i, name in enumerate(test.class_names)
        if defined[i]
    }


def roc_chart(name: str, runs: Sequence[Curve], numbers: Sequence[Numbers]) -> Chart:
    """Draw a class's ROC curve of each run, with a dot at the run's threshold."""
    chart = Chart(f"ROC curve of {name}", Axis("1 - specificity", *UNIT), Axis("sensitivity", *UNIT))
    chart.line([0, 1], [0, 1], faint=True)
    return _with_curves(chart, runs, [(1 - each["specificity"], each["sensitivity"]) for each in numbers])


def precision_recall_chart(name: str, runs: Sequence[Curve], numbers: Sequence[Numbers], prevalence: float) -> Chart:
    """Draw a class's precision-recall curve of each run, with a dot at its threshold; guessing has the prevalence."""
    across, up = Axis("recall (sensitivity)", *UNIT), Axis("precision (PPV)", *UNIT)
    chart = Chart(f"Precision-recall curve of {name}", across, up)
    chart.line([0, 1], [prevalence, prevalence], faint=True)
    return _with_curves(chart, runs, [(each["sensitivity"], each["ppv"]) for each in numbers])


def in_words(numbers: Numbers, confidence: float) -> str:
    """Say a class's areas with their intervals, and what its threshold reaches."""
    areas = [
        f"{title} {shown(numbers[key], 3)} ({percent(confidence)}: {between(numbers, key)})"
        for key, title in (("auroc", "AUROC"), ("average_precision", "average precision"))
    ]
    if not isfinite(numbers["threshold"]):
        return f"{', '.join(areas)}. It has no threshold and is never predicted: the validation records do not tell."
    reached = [
        f"{title} {shown(numbers[key], 3)}"
        for key, title in (("sensitivity", "sensitivity"), ("specificity", "specificity"), ("ppv", "PPV"))
    ]
    return f"{', '.join(areas)}. At the threshold {shown(numbers['threshold'], 3)}: {', '.join(reached)}."


def _with_curves(chart: Chart, runs: Sequence[Curve], points: Sequence[tuple[float, float]]) -> Chart:
    # more than two bands hide each other
    for style, curve in enumerate(runs if len(runs) <= MOST_BANDS else runs[:1]):
        chart.band(GRID.tolist(), curve.low.tolist(), curve.high.tolist(), style)
    for style, curve in enumerate(runs):
        chart.line(curve.x.tolist(), curve.y.tolist(), style)
    for style, (x, y) in enumerate(points):
        chart.dots([x], [y], style)
    return chart


def _curves(scores: Tensor, positive: Tensor, counts: Tensor, confidence: float) -> Curves:
    observed = cumulated(scores, positive, torch.ones(len(scores), 1))
    resampled = cumulated(scores, positive, counts)
    return Curves(
        _banded(roc_points(*observed), _sensitivity_at(*roc_points(*resampled)), confidence),
        _banded(precision_recall_points(*observed), _precision_at(*precision_recall_points(*resampled)), confidence),
    )


def _banded(points: tuple[Tensor, Tensor], resampled: Tensor, confidence: float) -> Curve:
    low, high = ends(resampled, confidence)
    return Curve(points[0][0], points[1][0], low, high)


def _sensitivity_at(false_rate: Tensor, sensitivity: Tensor) -> Tensor:
    """Read sensitivities off at the grid's false-positive rates, between neighbouring points on a straight line."""
    grid = GRID.expand(len(false_rate), -1).contiguous()
    after = torch.searchsorted(false_rate, grid, right=True).clamp(max=false_rate.shape[1] - 1)
    before = (after - 1).clamp(min=0)
    x0, x1 = false_rate.gather(1, before), false_rate.gather(1, after)
    y0, y1 = sensitivity.gather(1, before), sensitivity.gather(1, after)
    share = torch.where(x1 > x0, (grid - x0) / (x1 - x0), 1.0)
    return y0 + share * (y1 - y0)


def _precision_at(recall: Tensor, precision: Tensor) -> Tensor:
    """Read precisions off at the highest threshold that reaches the grid's recalls."""
    grid = GRID.clamp(min=1e-9).expand(len(recall), -1).contiguous()
    return precision.gather(1, torch.searchsorted(recall, grid - 1e-12).clamp(max=recall.shape[1] - 1))
