"""Curves, matrices and drawings by themselves, against independent computations."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
import torch
from hypothesis import given
from hypothesis import strategies as st

from projection.data.statements import LEADS
from projection.evaluation.judge import judge
from projection.evaluation.protocol import Protocol
from projection.report.curves import GRID, class_curves, cumulated, draw_resamples, precision_recall_points, roc_points
from projection.report.ecg import MM, draw_ecg, layout, smoothed
from projection.report.learning import learning_curves, read_metrics
from projection.report.matrices import co_occurrence, confusion_matrix, mistakes
from projection.report.svg import Axis, Chart, path, ticks
from projection.report.tables import auroc_table
from tests.evaluation.made_up import made_up


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


def test_resampled_curves_are_those_of_the_resampled_records() -> None:
    test = made_up(1.0, records=60)
    scores, labels = test.scores[:, 0], test.labels[:, 0] > 0
    chosen = torch.randint(60, (60,), generator=torch.Generator().manual_seed(3))
    counts = torch.bincount(chosen, minlength=60).float().unsqueeze(1)
    false, true, _ = sklearn.metrics.roc_curve(labels[chosen], scores[chosen], drop_intermediate=False)
    found = roc_points(*cumulated(scores, labels, counts))
    grid = GRID.numpy()
    np.testing.assert_allclose(np.interp(grid, found[0][0], found[1][0]), np.interp(grid, false, true), atol=1e-12)


def test_bands_hold_the_curve_and_narrow_with_more_records() -> None:
    protocol = Protocol("youden", 0.9, 200, 0, 0.95)
    widths = []
    for records in (200, 3200):
        test = made_up(1.0, records=records)
        curve = class_curves(test, draw_resamples(test, protocol, None), 0.95)["A"].roc
        at_grid = np.interp(GRID.numpy(), curve.x, curve.y)
        inside = (curve.low.numpy() <= at_grid + 1e-9) & (at_grid - 1e-9 <= curve.high.numpy())
        assert inside.mean() > 0.95
        widths.append(float((curve.high - curve.low).mean()))
    assert 2.5 < widths[0] / widths[1] < 6


def test_confusion_counts_false_reports_beside_what_is_true() -> None:
    #                       A true twice, once with B
    labels = torch.tensor([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1]])
    decisions = torch.tensor([[1, 1, 0], [0, 1, 1], [0, 0, 0], [0, 1, 1]]).bool()
    hits, records = confusion_matrix(labels, decisions)
    assert hits.tolist() == [[1, 1, 1], [0, 1, 1], [0, 1, 1]]
    assert records.tolist() == [[2, 1, 2], [1, 2, 2], [1, 1, 1]]
    assert co_occurrence(labels).tolist() == [[1, 0.5, 0], [0.5, 1, 0], [0, 0, 1]]


def test_mistakes_are_listed_where_they_are_more_frequent_than_elsewhere() -> None:
    test = made_up(1.0)
    decisions = test.labels.bool().clone()
    beside = torch.nonzero((test.labels[:, 0] == 1) & (test.labels[:, 2] == 0))[:, 0]
    decisions[beside[:20], 2] = True
    (found,) = mistakes(test, decisions)
    assert (found.true, found.predicted, found.count, found.records) == ("A", "C", 20, len(beside))
    assert found.elsewhere == pytest.approx(20 / int((test.labels[:, 2] == 0).sum()))


def test_classes_without_positives_are_undefined_and_shown_so() -> None:
    test = made_up(1.0)
    test.labels[:, 1] = 0
    judged = judge(test, test, Protocol("youden", 0.9, 5, 0, 0.95))
    assert auroc_table({"one": judged, "other": judged}).rows[1] == ["B", "0", "-", "-", "-", "-"]
    assert set(class_curves(test, torch.ones(len(test.ids), 1), 0.95)) == {"A", "C"}


def points(data: str) -> np.ndarray:
    return np.array([[float(value) for value in pair.split()] for pair in re.split("[ML]", data)[1:]])


@pytest.mark.parametrize("rate", [100, 250, 500])
def test_a_drawing_is_to_scale(rate: int) -> None:
    time = np.arange(10 * rate) / rate
    signals = np.stack([0.1 * lead + 0.5 * np.sin(2 * np.pi * 0.8 * time) for lead in range(12)])
    svg = draw_ecg("drawing", signals, rate)
    baselines, height = layout(signals, rate)
    assert f'viewBox="0 0 2600 {MM * height}"' in svg
    traces = [points(data) for data in re.findall(r'<path d="([^"]*)"/>', svg)]
    assert len(traces) == 13
    order = [*("I", "aVR", "V1", "V4"), *("II", "aVL", "V2", "V5"), *("III", "aVF", "V3", "V6"), "II"]
    for index, (lead, trace) in enumerate(zip(order, traces, strict=True)):
        row, column = divmod(index, 4)
        start = 2.5 * column if row < 3 else 0
        # 25 mm/s from the first sample on, 10 mm/mV upwards from the row's baseline, to a hundredth of a millimetre
        seconds = start + (trace[:, 0] / MM - 8 - 25 * start) / 25
        millivolts = (baselines[row] - trace[:, 1] / MM) / 10
        expected = np.interp(seconds, time, signals[LEADS.index(lead)])
        assert np.abs(millivolts - expected).max() < 0.004
        # to the next strip, or the record's last sample
        length = 10 - 1 / rate if row == 3 or column == 3 else start + 2.5
        assert seconds[0] == pytest.approx(start)
        assert seconds[-1] == pytest.approx(length, abs=0.005)


def test_the_calibration_pulse_is_a_millivolt_and_a_fifth_of_a_second() -> None:
    svg = draw_ecg("drawing", np.zeros((12, 1000)), 100)
    pulses = [points(data) for data in re.findall(r'class="calibration" d="([^"]*)"', svg)]
    assert len(pulses) == 4
    for pulse in pulses:
        assert (pulse[1] - pulse[2]).tolist() == [0, 10 * MM]
        assert (pulse[3] - pulse[2]).tolist() == [5 * MM, 0]


def test_large_deflections_get_room_and_short_or_long_records_are_drawn() -> None:
    flat = np.zeros((12, 1000))
    usual, height = layout(flat, 100)
    tall = flat.copy()
    tall[0, 100], tall[1, 900] = 2.5, -2.5
    higher, more = layout(tall, 100)
    assert higher[0] - usual[0] == 10
    assert more - height == 20
    for samples in (130, 3000):
        assert "nan" not in draw_ecg("drawing", np.ones((12, samples)), 100, np.ones((12, samples)))


def test_attribution_is_drawn_where_it_is_strong() -> None:
    attribution = np.zeros((12, 1000))
    attribution[0, 100:110], attribution[0, 200:203] = 1.0, -0.5
    svg = draw_ecg("drawing", np.zeros((12, 1000)), 100, attribution)
    halos = {kind: points(data) for kind, data in re.findall(r'<path class="((?:for|against)[^"]*)" d="([^"]*)"', svg)}
    assert set(halos) == {"for level4", "for level3", "against level2", "against level3"}
    assert halos["for level4"][:, 0].min() == pytest.approx(MM * (8 + 25 * 1.0))
    assert "for level" not in draw_ecg("drawing", np.zeros((12, 1000)), 100, np.zeros((12, 1000)))
    assert smoothed(attribution, 100).sum() == pytest.approx(attribution.sum())


def test_a_resumed_run_s_parts_are_joined(tmp_path: Path) -> None:
    for name, steps, loss in (
        ("metrics", [0, 10, 20], 3.0),
        ("metrics-2", [15, 25], 2.0),
        ("metrics-10", [25, 30], 1.0),
    ):
        (tmp_path / name).mkdir()
        pd.DataFrame({"step": steps, "train/loss": loss}).to_csv(tmp_path / name / "metrics.csv", index=False)
    (tmp_path / "metrics-3").mkdir()
    (tmp_path / "metrics-3" / "metrics.csv").touch()
    joined = read_metrics(tmp_path)
    assert joined["step"].tolist() == [0, 10, 15, 25, 30]
    assert joined["train/loss"].tolist() == [3, 3, 2, 1, 1]
    charts, series = learning_curves({"run": tmp_path}, "train/loss", lowest=True)
    assert [chart.title for chart in charts] == ["Learning curve: loss"]
    assert series == ["training, or the only series of a chart"]


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_axes_have_a_few_round_numbers(low: float, length: float) -> None:
    found = ticks(low, low + length)
    assert 2 <= len(found) <= 11
    assert all(low - 1e-6 * length <= value <= low + length * (1 + 1e-6) for value in found)


def test_lines_are_broken_where_nothing_is_known() -> None:
    assert path([0, 1, 2, 3], [0, float("nan"), 2, 3.04]) == "M0 0M2 2L3 3"
    chart = Chart("a & b", Axis("<x>", 0, 1), Axis("y", 0, 1))
    chart.dots([0.5, float("nan")], [0.5, 0.5])
    assert chart.svg().count("<circle") == 1
    assert "&lt;x&gt;" in chart.svg()
