"""ROC and precision-recall curves with their bands, and calibration, against scikit-learn on resampled records."""

from math import nan

import numpy as np
import pytest
import scipy.special
import sklearn.metrics
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from projection.evaluation.judge import judge
from projection.evaluation.protocol import Protocol
from projection.metrics.bootstrap import draw_counts
from projection.report.curves import (
    GRID,
    class_curves,
    counts_of,
    cumulated,
    in_words,
    precision_recall_chart,
    precision_recall_points,
    roc_chart,
    roc_points,
)
from projection.report.reliability import reliability_charts, reliability_table
from projection.runs.predictions import Predictions
from tests.evaluation.made_up import made_up
from tests.report.drawings import Chart

PIXEL = 4e-4  # coordinates are written to a tenth of one


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from([0.1, 0.2, 0.35, 0.6, 0.9]), st.booleans()), min_size=2, max_size=40))
def test_curves_agree_with_scikit_learn(pairs: list[tuple[float, bool]]) -> None:
    pairs = [*pairs, (0.35, True), (0.35, False)]
    scores = torch.tensor([score for score, _ in pairs], dtype=torch.float64)
    labels = torch.tensor([label for _, label in pairs])
    reports = cumulated(scores, labels, torch.ones(len(pairs), 1))
    false, true, _ = sklearn.metrics.roc_curve(labels, scores, drop_intermediate=False)
    found = roc_points(*reports)
    np.testing.assert_allclose(found[0][0], false)
    np.testing.assert_allclose(found[1][0], true)
    precision, recall, _ = sklearn.metrics.precision_recall_curve(labels, scores)
    drawn = precision_recall_points(*reports)
    np.testing.assert_allclose(drawn[0][0], recall[-2::-1])
    np.testing.assert_allclose(drawn[1][0], precision[-2::-1])


def with_ties(records: int = 60) -> Predictions:
    """Predictions of which many have the same probability."""
    test = made_up(1.0, records=records)
    return Predictions(test.ids, (20 * test.scores).round() / 20, test.labels, test.class_names)


def resampled(test: Predictions, counts: torch.Tensor) -> list[tuple[np.ndarray, np.ndarray]]:
    """Labels and scores of the records of each resample, as often as it holds them."""
    chosen = [np.repeat(np.arange(len(test.ids)), count) for count in counts.T.long().numpy()]
    return [(test.labels.numpy()[rows], test.scores.numpy()[rows]) for rows in chosen]


def roc_at_grid(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    false, true, _ = sklearn.metrics.roc_curve(labels, scores, drop_intermediate=False)
    return np.interp(GRID.numpy(), false, true)


def precision_at_grid(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    precision, recall, _ = sklearn.metrics.precision_recall_curve(labels, scores)
    # by falling threshold, the first that finds any record and reaches the recall
    falling = list(zip(recall[-2::-1], precision[-2::-1], strict=True))
    return np.array([next(p for r, p in falling if r > 0 and r >= wanted - 1e-9) for wanted in GRID.tolist()])


@pytest.mark.parametrize("confidence", [0.95, 0.5])
def test_bands_hold_the_middle_of_the_curves_of_all_resamples(confidence: float) -> None:
    test = with_ties()
    counts = draw_counts(test.labels > 0, 25, 0)
    curves = class_curves(test, counts, confidence)
    ends = [(1 - confidence) / 2, (1 + confidence) / 2]
    for i, name in enumerate(test.class_names):
        for curve, at_grid in ((curves[name].roc, roc_at_grid), (curves[name].precision_recall, precision_at_grid)):
            every = np.array([at_grid(labels[:, i], scores[:, i]) for labels, scores in resampled(test, counts)])
            low, high = np.quantile(every, ends, axis=0)
            np.testing.assert_allclose(curve.low, low, atol=1e-9)
            np.testing.assert_allclose(curve.high, high, atol=1e-9)


@pytest.mark.parametrize("by_patient", [False, True])
def test_bands_are_of_the_resamples_of_the_interval(by_patient: bool) -> None:
    test = with_ties()
    protocol = Protocol("youden", 0.9, 40, 3, 0.9, by_patient)
    patients = torch.arange(60) // 4 if by_patient else None
    counts = counts_of(test, protocol, patients)
    values = [sklearn.metrics.roc_auc_score(labels, scores) for labels, scores in resampled(test, counts)]
    summary = judge(test, test, protocol, patients).summary
    expected = (summary["auroc_low"], summary["auroc_high"])
    np.testing.assert_allclose(np.quantile(values, [0.05, 0.95]), expected, atol=1e-9)
    if by_patient:
        assert (counts.view(15, 4, -1) == counts.view(15, 4, -1)[:, :1]).all()


def test_classes_that_are_constant_or_too_rare_have_no_bands() -> None:
    test = with_ties()
    test.labels[:, 0], test.labels[:, 1] = 1, 0
    protocol = Protocol("youden", 0.9, 5, 0, 0.95)
    assert counts_of(test, protocol, None).shape == (60, 5)
    assert set(class_curves(test, torch.ones(60, 1), 0.95)) == {"C"}
    rare = Predictions(torch.arange(40), torch.rand(40, 40).double(), torch.eye(40).byte(), tuple(map(str, range(40))))
    counts = counts_of(rare, protocol, None)
    assert torch.equal(counts, torch.ones(40, 1))
    curve = class_curves(rare, counts, 0.95)["7"].roc
    assert torch.equal(curve.low, curve.high)


def distinct(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Join coordinates, repeated points once: `(points, 2)`."""
    joined = np.stack([x, y], axis=1)
    return joined[np.append(True, np.any(np.diff(joined, axis=0) != 0, axis=1))]


def test_a_chart_shows_the_curve_of_its_class_its_band_and_what_guessing_reaches() -> None:
    test = with_ties(40)
    counts = draw_counts(test.labels > 0, 25, 0)
    labels, scores = test.labels.numpy()[:, 1], test.scores.numpy()[:, 1]
    curves = class_curves(test, counts, 0.9)["B"]
    false, true, _ = sklearn.metrics.roc_curve(labels, scores, drop_intermediate=False)
    precision, recall, _ = sklearn.metrics.precision_recall_curve(labels, scores)
    numbers = [{"sensitivity": 0.8, "specificity": 0.7, "ppv": 0.6}]
    drawings = {
        "ROC": (roc_chart("B", [curves.roc], numbers), curves.roc, (false, true), (0, 1), (0.3, 0.8)),
        "PR": (
            precision_recall_chart("B", [curves.precision_recall], numbers, 0.3),
            curves.precision_recall,
            (recall[-2::-1], precision[-2::-1]),
            (0.3, 0.3),
            (0.8, 0.6),
        ),
    }
    for chart, curve, expected, guessing, operating in drawings.values():
        drawn = Chart(chart.svg())
        (line,), (band,), (guide,) = drawn.curves(), drawn.bands(), drawn.lines("guide")
        np.testing.assert_allclose(line, distinct(*expected), atol=PIXEL)
        np.testing.assert_allclose(band, torch.stack([GRID, curve.low, curve.high], dim=1), atol=PIXEL)
        np.testing.assert_allclose(guide, [[0, guessing[0]], [1, guessing[1]]], atol=PIXEL)
        np.testing.assert_allclose(drawn.dots(), [operating], atol=PIXEL)
        assert [drawn.labels, chart.title] in (
            [["1 - specificity", "sensitivity"], "ROC curve of B"],
            [["recall (sensitivity)", "precision (PPV)"], "Precision-recall curve of B"],
        )


def test_of_more_than_two_runs_only_the_first_one_s_band_is_drawn() -> None:
    runs = [class_curves(made_up(skill, records=40), torch.ones(40, 1), 0.9)["A"].roc for skill in (0.5, 1.0, 2.0)]
    at = [{"sensitivity": 0.1 * i, "specificity": 0.9} for i in range(3)]
    for chart, bands in ((roc_chart("A", runs[:2], at[:2]), [1, 1, 0]), (roc_chart("A", runs, at), [1, 0, 0])):
        drawn = Chart(chart.svg())
        assert [len(drawn.bands(style)) for style in range(3)] == bands
        expected = torch.stack([GRID, runs[0].low, runs[0].high], dim=1)
        np.testing.assert_allclose(drawn.bands(0)[0], expected, atol=PIXEL)
    for style, run in enumerate(runs):
        np.testing.assert_allclose(drawn.curves(style)[0], torch.stack([run.x, run.y], dim=1), atol=PIXEL)


def test_a_threshold_that_nothing_reaches_has_no_precision_and_no_dot() -> None:
    row = {"sensitivity": 0.0, "specificity": 1.0, "ppv": float("nan"), "threshold": float("inf")}
    curves = class_curves(made_up(1.0, records=40), torch.ones(40, 1), 0.9)["A"]
    assert "<circle" in roc_chart("A", [curves.roc], [row]).svg()
    assert "<circle" not in precision_recall_chart("A", [curves.precision_recall], [row], 0.3).svg()
    areas = {f"{key}{end}": nan for key in ("auroc", "average_precision") for end in ("", "_low", "_high")}
    reached = in_words({**row, **areas, "threshold": 0.25}, 0.95)
    assert reached.endswith(". At the threshold 0.250: sensitivity 0.000, specificity 1.000, PPV -.")
    assert in_words({**row, **areas}, 0.975) == (
        "AUROC - (97.5%: -), average precision - (97.5%: -). "
        "It has no threshold and is never predicted: the validation records do not tell."
    )


def bins(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Count, mean probability and observed frequency in tenths, `(bins, 3)`."""
    rows = []
    for i in range(10):
        inside = (scores >= i / 10) & ((scores < (i + 1) / 10) | (i == 9))
        held = int(inside.sum())
        rows.append([held, scores[inside].mean(), labels[inside].mean()] if held else [0, np.nan, np.nan])
    return np.array(rows)


def test_calibration_is_drawn_and_listed_before_and_after_temperature_scaling() -> None:
    test = made_up(1.5, records=60)  # few enough for bins that are empty, with temperature or in some resamples
    counts = draw_counts(test.labels > 0, 30, 0)
    cooled = scipy.special.expit(scipy.special.logit(test.scores.numpy()) / 2)
    charts = reliability_charts(test, 2.0, counts, 0.8)
    assert [chart.title for chart in charts] == ["Reliability as predicted", "Reliability at temperature 2.0000"]
    table = reliability_table(test, 2.0)
    assert [name.split(",")[0] for name in table.head[1:4]] == [name.split(",")[0] for name in table.head[4:]]
    rows = np.array(table.rows)
    assert rows[[0, 3, 9], 0].tolist() == ["0.0 to 0.1", "0.3 to 0.4", "0.9 to 1.0"]
    for place, (scores, chart) in enumerate(zip((test.scores, torch.from_numpy(cooled)), charts, strict=True)):
        drawn, found = Chart(chart.svg()), bins(test.labels.numpy(), scores.numpy())
        assert drawn.labels == ["predicted probability", "observed frequency"]
        held, predicted, observed = found.T
        known = held > 0
        np.testing.assert_allclose(drawn.dots(), found[known, 1:], atol=PIXEL)
        np.testing.assert_allclose(drawn.curves()[0], found[known, 1:], atol=PIXEL)
        np.testing.assert_allclose(drawn.lines("guide")[0], [[0, 0], [1, 1]], atol=PIXEL)
        version = Predictions(test.ids, scores, test.labels, test.class_names)
        every = np.array([bins(*pair)[known, 2] for pair in resampled(version, counts)])
        expected = np.stack([predicted[known], *np.nanquantile(every, [0.1, 0.9], axis=0)], axis=1)
        np.testing.assert_allclose(drawn.whiskers(), expected, atol=PIXEL)
        error = np.nansum(held * np.abs(predicted - observed)) / held.sum()
        assert f"calibration error {error:.4f}" in drawn.texts
        listed = [[f"{n:.0f}", *(f"{value:.3f}" if n else "-" for value in pair)] for n, *pair in found]
        assert rows[:, 1 + 3 * place : 4 + 3 * place].tolist() == listed
