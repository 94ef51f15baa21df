"""Reliability diagrams: whether probabilities mean what they say, before and after temperature scaling."""

import torch
from torch import Tensor

from projection.evaluation.wording import shown
from projection.metrics import reliability
from projection.metrics.calibration import logit
from projection.report.svg import UNIT, Axis, Chart
from projection.report.tables import Table
from projection.runs.predictions import Predictions

BINS = 10


def reliability_charts(test: Predictions, temperature: float, counts: Tensor, confidence: float) -> list[Chart]:
    """Draw predicted probability against observed frequency, before and after logits are divided by the temperature.

    `counts` tell how often each resample holds each record, `(records, resamples)`.
    """
    versions = {
        "Reliability as predicted": test.scores,
        f"Reliability at temperature {temperature:.4f}": _cooled(test, temperature),
    }
    return [_chart(title, scores, test.labels, counts, confidence) for title, scores in versions.items()]


def reliability_table(test: Predictions, temperature: float) -> Table:
    """List what the bins of both reliability diagrams hold."""
    both = [reliability(scores, test.labels, BINS) for scores in (test.scores, _cooled(test, temperature))]
    rows = []
    for i in range(BINS):
        cells = [f"{i / BINS:.1f} to {(i + 1) / BINS:.1f}"]
        for each in both:
            values = (shown(float(value[i]), 3) for value in (each.predicted, each.observed))
            cells += [f"{each.counts[i]:,.0f}", *values]
        rows.append(cells)
    columns = ["predictions", "mean probability", "observed frequency"]
    head = ["probability", *columns, *(f"{column}, with temperature" for column in columns)]
    return Table("Bins of the reliability diagrams", head, rows)


def _cooled(test: Predictions, temperature: float) -> Tensor:
    return (logit(test.scores) / temperature).sigmoid()


def _chart(title: str, probabilities: Tensor, labels: Tensor, counts: Tensor, confidence: float) -> Chart:
    found = reliability(probabilities, labels, BINS)
    low, high = _intervals(probabilities, labels, counts, confidence)
    chart = Chart(title, Axis("predicted probability", *UNIT), Axis("observed frequency", *UNIT))
    chart.line([0, 1], [0, 1], faint=True)
    predicted, observed = found.predicted.tolist(), found.observed.tolist()
    chart.whiskers(predicted, low.tolist(), high.tolist())
    chart.line(predicted, observed)
    chart.dots(predicted, observed)
    chart.note(0.98, 0.04, f"calibration error {float(found.expected_calibration_error):.4f}")
    return chart


def _intervals(probabilities: Tensor, labels: Tensor, counts: Tensor, confidence: float) -> tuple[Tensor, Tensor]:
    place = (probabilities * BINS).long().clamp(max=BINS - 1)
    held = torch.zeros(len(place), BINS).scatter_add_(1, place, torch.ones(place.shape))
    hits = torch.zeros(len(place), BINS).scatter_add_(1, place, (labels > 0).float())
    shares = ((counts.T @ hits) / (counts.T @ held)).double()  # NaN where a resample leaves a bin empty
    outside = (1 - confidence) / 2
    low, high = shares.nanquantile(torch.tensor([outside, 1 - outside], dtype=torch.float64), dim=0)
    return low, high
