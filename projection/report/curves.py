"""ROC and precision-recall curves with pointwise bootstrap bands."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from projection.errors import ProjectionError
from projection.evaluation.protocol import Protocol
from projection.metrics.bootstrap import draw_counts
from projection.report.svg import UNIT, Axis, Chart
from projection.runs.predictions import Predictions

GRID = torch.linspace(0, 1, 51, dtype=torch.float64)
"""Where bands are computed."""

MOST_BANDS = 2
"""Of more runs than these, only the first one's band is drawn."""


@dataclass(frozen=True)
class Curve:
    """A curve and its band.

    Args:
        x: Abscissae, float64 `(points,)`.
        y: Ordinates, float64 `(points,)`.
        low: Lower end of the band at `GRID`, float64 `(51,)`.
        high: Its upper end.
    """

    x: Tensor
    y: Tensor
    low: Tensor
    high: Tensor


@dataclass(frozen=True)
class Curves:
    """The curves of a class.

    Args:
        roc: Sensitivity over 1 - specificity.
        precision_recall: Precision over recall.
    """

    roc: Curve
    precision_recall: Curve


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
    """Compute the points of ROC curves, one for each distinct score.

    Args:
        true: True reports, as `cumulated` counts them, `(resamples, points)`.
        false: False reports, likewise.

    Returns:
        False-positive rates and sensitivities, float64 `(resamples, points)`, from (0, 0) to (1, 1).
    """
    return false / false[:, -1:], true / true[:, -1:]


def precision_recall_points(true: Tensor, false: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the points of precision-recall curves, one for each distinct score.

    Args:
        true: True reports, as `cumulated` counts them, `(resamples, points)`.
        false: False reports, likewise.

    Returns:
        Recalls and precisions, float64 `(resamples, points - 1)`, by falling threshold.
    """
    hits, reported = true[:, 1:], (true + false)[:, 1:]
    # nothing is reported yet by a resample that lacks the highest scores
    return hits / hits[:, -1:], torch.where(reported > 0, hits / reported, 1.0)


def draw_resamples(test: Predictions, protocol: Protocol, patients: Tensor | None) -> Tensor:
    """Draw the resamples of the AUROC's interval again.

    Args:
        test: Test predictions.
        protocol: Resamples and seed.
        patients: Whose each record is, to draw patients; None draws records.

    Returns:
        How often each resample holds each record, float32 `(records, resamples)`; the records themselves, once, where
        classes are too rare for resampling, so that there are no bands as there is no interval.
    """
    positive = test.labels > 0
    defined = positive.any(dim=0) & ~positive.all(dim=0)
    try:
        return draw_counts(positive[:, defined], protocol.resamples, protocol.seed, patients)
    except ProjectionError:
        return torch.ones(len(positive), 1)


def class_curves(test: Predictions, counts: Tensor, confidence: float) -> dict[str, Curves]:
    """Compute the curves of every class that has both outcomes.

    Args:
        test: Test predictions.
        counts: How often each resample holds each record, `(records, resamples)`.
        confidence: Of the bands (0 to 1).

    Returns:
        The curves by class name.
    """
    positive = test.labels > 0
    defined = positive.any(dim=0) & ~positive.all(dim=0)
    return {
        name: _curves(test.scores[:, i], positive[:, i], counts, confidence)
        for i, name in enumerate(test.class_names)
        if defined[i]
    }


def roc_chart(name: str, runs: Sequence[Curve]) -> Chart:
    """Draw the ROC curves of a class.

    Args:
        name: The class.
        runs: A curve for each run.

    Returns:
        The chart.
    """
    chart = Chart(f"ROC curve of {name}", Axis("1 - specificity", *UNIT), Axis("sensitivity", *UNIT))
    chart.line([0, 1], [0, 1], faint=True)
    return _with_curves(chart, runs)


def precision_recall_chart(name: str, runs: Sequence[Curve], prevalence: float) -> Chart:
    """Draw the precision-recall curves of a class.

    Args:
        name: The class.
        runs: A curve for each run.
        prevalence: Share of the test records that have the statement: what guessing reaches.

    Returns:
        The chart.
    """
    across, up = Axis("recall (sensitivity)", *UNIT), Axis("precision (PPV)", *UNIT)
    chart = Chart(f"Precision-recall curve of {name}", across, up)
    chart.line([0, 1], [prevalence, prevalence], faint=True)
    return _with_curves(chart, runs)


def _with_curves(chart: Chart, runs: Sequence[Curve]) -> Chart:
    # more than two bands hide each other
    for style, curve in enumerate(runs if len(runs) <= MOST_BANDS else runs[:1]):
        chart.band(GRID.tolist(), curve.low.tolist(), curve.high.tolist(), style)
    for style, curve in enumerate(runs):
        chart.line(curve.x.tolist(), curve.y.tolist(), style)
    return chart


def _curves(scores: Tensor, positive: Tensor, counts: Tensor, confidence: float) -> Curves:
    observed = cumulated(scores, positive, torch.ones(len(scores), 1))
    resampled = cumulated(scores, positive, counts)
    return Curves(
        _banded(roc_points(*observed), _sensitivity_at(*roc_points(*resampled)), confidence),
        _banded(precision_recall_points(*observed), _precision_at(*precision_recall_points(*resampled)), confidence),
    )


def _banded(points: tuple[Tensor, Tensor], resampled: Tensor, confidence: float) -> Curve:
    outside = (1 - confidence) / 2
    low, high = resampled.quantile(torch.tensor([outside, 1 - outside], dtype=torch.float64), dim=0)
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
