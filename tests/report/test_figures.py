"""Matrices, forest plots, learning curves and the parts of charts by themselves."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from projection.evaluation.judge import judge
from projection.evaluation.protocol import Protocol
from projection.evaluation.subgroups import Subgroup
from projection.report.forest import forest_plot
from projection.report.learning import learning_curves, read_metrics
from projection.report.matrices import co_occurrence, confusion_matrix, matrix_figure, mistakes
from projection.report.svg import Axis, path, ticks
from projection.report.svg import Chart as Drawn
from projection.report.tables import auroc_table, mistake_table, subgroup_table
from projection.runs.predictions import Predictions
from tests.evaluation.made_up import made_up
from tests.report.drawings import Chart, forest, matrix

PROTOCOL = Protocol("youden", 0.9, 5, 0, 0.95)


def share(wanted: np.ndarray, among: np.ndarray) -> float:
    """Give the part of some records for which something holds."""
    return wanted[among].mean() if among.any() else np.nan


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_shares_of_statements_agree_with_counting_records(seed: int) -> None:
    generator = np.random.default_rng(seed)
    true, predicted = generator.random((2, 12, 4)) < 0.4
    together = [[share(true[:, j], true[:, i]) for j in range(4)] for i in range(4)]
    np.testing.assert_allclose(co_occurrence(torch.from_numpy(true).byte()), together)
    # beside the diagonal only what is reported wrongly
    confused = [
        [share(predicted[:, j], true[:, i] & (~true[:, j] if i != j else True)) for j in range(4)] for i in range(4)
    ]
    hits, records = confusion_matrix(torch.from_numpy(true).byte(), torch.from_numpy(predicted))
    np.testing.assert_allclose(hits / records, confused)


def test_mistakes_are_listed_by_how_many_more_there_are_than_elsewhere() -> None:
    generator = np.random.default_rng(0)
    true, predicted = generator.random((2, 300, 4)) < [[[0.4, 0.5, 0.3, 0.2]], [[0.5, 0.3, 0.2, 0.05]]]
    predicted[:, 2] |= true[:, 0] & (generator.random(300) < 0.5)
    predicted[:40, 3] &= ~true[:40, 3]
    names = ("A", "B", "C", "D")
    expected = []
    for i, j in zip(*np.nonzero(~np.eye(4, dtype=bool)), strict=True):
        among, elsewhere = true[:, i] & ~true[:, j], predicted[~true[:, j], j].mean()
        hits = int(predicted[among, j].sum())
        if hits >= 5 and hits > among.sum() * elsewhere:
            excess = hits - among.sum() * elsewhere
            expected.append((excess, names[i], names[j], hits, int(among.sum()), pytest.approx(elsewhere)))
    expected.sort(key=lambda entry: -entry[0])
    test = Predictions(torch.arange(300), torch.rand(300, 4).double(), torch.from_numpy(true).byte(), names)
    found = mistakes(test, torch.from_numpy(predicted))
    assert [(f.true, f.predicted, f.count, f.records, f.elsewhere) for f in found] == [each[1:] for each in expected]
    assert (found[0].true, found[0].predicted) == ("A", "C")
    assert mistakes(test, torch.from_numpy(predicted), most=1) == found[:1]
    _, _, _, count, records, _ = expected[0]
    elsewhere = predicted[~true[:, 2], 2].mean()
    first = ["C where A is true", f"{count} of {records}", f"{count / records:.0%}", f"{elsewhere:.0%}"]
    assert mistake_table(found).rows[0] == first
    for fewest in (1, 20, found[0].count):
        some = mistakes(test, torch.from_numpy(predicted), fewest=fewest)
        assert [each for each in found if each.count >= fewest] == [each for each in some if each.count >= 5]
        assert min(each.count for each in some) >= fewest


@pytest.mark.parametrize(("records", "listed"), [(4, 0), (5, 1)])
def test_a_mistake_is_listed_once_it_is_seen_in_five_records(records: int, listed: int) -> None:
    true, predicted = torch.zeros(40, 2).byte(), torch.zeros(40, 2).bool()
    true[:10, 0], predicted[:records, 1] = 1, True
    test = Predictions(torch.arange(40), torch.rand(40, 2).double(), true, ("A", "B"))
    assert len(mistakes(test, predicted)) == listed


@pytest.mark.parametrize("classes", [3, 10])  # names of more than eight columns are turned
def test_a_matrix_has_each_share_in_its_row_and_column(classes: int) -> None:
    rows, columns = ([f"{side}{i}" for i in range(classes)] for side in "rc")
    shares = torch.arange(classes**2).view(classes, classes).double() / classes**2
    shares[0, 1] = torch.nan
    expected = {}
    for (i, j), value in np.ndenumerate(shares.numpy()):
        if value == value:
            # the darker, the more; white numbers on dark ground
            colour = [round(255 - value * (255 - dark)) for dark in (8, 48, 107)]
            expected[rows[i], columns[j]] = (f"{100 * value:.0f}", "light" if value > 0.5 else "", colour)
    assert matrix(matrix_figure("title", rows, columns, shares, "corner"), rows, columns) == expected


def test_a_forest_plot_has_each_group_s_numbers_in_its_line() -> None:
    nan = float("nan")
    groups = [
        Subgroup("sex", "male", 1200, 3, 0.91, 0.87, 0.94, 0.9),
        Subgroup("sex", "female", 80, 3, 0.84, 0.71, 0.9, 0.88),
        Subgroup("age", "under 40", 9, 0, nan, nan, nan, nan),
        Subgroup("age", "80 and over", 30, 1, 0.95, nan, nan, 0.86),
        Subgroup("quality", "unknown", 3, 0, nan, nan, nan, nan),
        Subgroup("device", "a very long name of a device", 30, 1, 0.95, nan, nan, 0.86),
    ]
    found = forest(forest_plot(groups, 0.89))
    assert found.headings == ["sex", "age", "device"]
    assert list(found.lines) == ["male", "female", "80 and over", "a very long name of a device"]
    for name, marks in found.lines.items():
        (group,) = [group for group in groups if group.group == name]
        expected = [
            ("tick 1", pytest.approx(group.everyone, abs=1e-3)),
            ("square 0", pytest.approx(group.auroc, abs=1e-3)),
        ]
        assert [mark for mark in marks if mark[0] != "interval 0"] == expected
        ends = [mark[1] for mark in marks if mark[0] == "interval 0"]
        assert ends == ([pytest.approx((group.low, group.high), abs=1e-3)] if group.low == group.low else [])
    assert [shown for shown in found.shown if shown.endswith("…")] == ["a very long name of…"]
    assert found.guide == pytest.approx(0.89, abs=1e-3)
    # as wide as a phone leaves room for, and names end before the marks begin
    assert found.width <= 375
    assert 12 + 6 * max(map(len, found.shown)) <= found.left
    assert subgroup_table(groups, PROTOCOL).rows[:4] == [
        ["sex: male", "1,200", "3", "0.910", "0.870 to 0.940", "0.900"],
        ["sex: female", "80", "3", "0.840", "0.710 to 0.900", "0.880"],
        ["age: under 40", "9", "0", "too few", "", ""],
        ["age: 80 and over", "30", "1", "0.950", "too few", "0.860"],
    ]


def test_classes_without_positives_are_undefined_and_shown_so() -> None:
    test = made_up(1.0)
    test.labels[:, 1] = 0
    judged = judge(test, test, PROTOCOL)
    other = judge(test, made_up(2.0), PROTOCOL)
    alone = auroc_table({"one": judged, "other": other}, alike=False)
    table = auroc_table({"one": judged, "other": other}, alike=True)
    assert (alone.head, alone.rows[0]) == (table.head[:-2], table.rows[0][:-2])
    assert table.head == ["class", "records with it", "one", "other", "mean", "s.d."]
    assert table.rows[1] == ["B", "0", "-", f"{other.classes['B']['auroc']:.3f}", "-", "-"]
    values = [each.classes["A"]["auroc"] for each in (judged, other)]
    expected = (*values, np.mean(values), abs(values[0] - values[1]) / 2**0.5)
    assert table.rows[0] == ["A", f"{int(test.labels[:, 0].sum())}", *(f"{value:.3f}" for value in expected)]


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


def logged(folder: Path, auroc: list[float]) -> Path:
    """Write metrics as a run logs them: each row has some of the columns."""
    (folder / "metrics").mkdir(parents=True)
    rows = [{"step": 10 * i, "train/loss": 1 / (i + 1), "lr-AdamW": 0.001 * (3 - i)} for i in range(3)]
    rows += [{"step": 10 * i + 9, "val/loss": 2 / (i + 1), "val/auroc": value} for i, value in enumerate(auroc)]
    rows += [{"step": 30, "test/auroc": 0.7, "test/loss": 9.0}]
    pd.DataFrame(rows).to_csv(folder / "metrics" / "metrics.csv", index=False)
    return folder


def test_learning_curves_show_what_was_logged_and_mark_the_best(tmp_path: Path) -> None:
    runs = {"one": logged(tmp_path / "one", [0.6, 0.9, 0.8]), "other": logged(tmp_path / "other", [0.5, 0.55, 0.7])}
    charts, series = learning_curves({"one": runs["one"]}, "val/auroc", lowest=False)
    assert series == ["training, or the only series of a chart", "validation"]
    drawn = {chart.title.removeprefix("Learning curve: "): Chart(chart.svg()) for chart in charts}
    assert list(drawn) == ["loss", "auroc", "lr-AdamW"]
    near = {"atol": 0.06}
    np.testing.assert_allclose(drawn["loss"].curves(0)[0], [[0, 1], [10, 1 / 2], [20, 1 / 3]], **near)
    np.testing.assert_allclose(drawn["loss"].curves(1)[0], [[9, 2], [19, 1], [29, 2 / 3]], **near)
    np.testing.assert_allclose(drawn["auroc"].curves(1)[0], [[9, 0.6], [19, 0.9], [29, 0.8]], **near)
    np.testing.assert_allclose(drawn["lr-AdamW"].curves(0)[0], [[0, 0.003], [10, 0.002], [20, 0.001]], **near)
    np.testing.assert_allclose(drawn["auroc"].dots(1), [[19, 0.9]], **near)
    assert all("<circle" not in chart.svg() for chart in (charts[0], charts[2]))
    charts, _ = learning_curves({"one": runs["one"]}, "val/loss", lowest=True)
    np.testing.assert_allclose(Chart(charts[0].svg()).dots(1), [[29, 2 / 3]], **near)

    charts, series = learning_curves(runs, "val/auroc", lowest=False)
    assert series == ["one", "other"]
    assert [chart.title.split(": ")[1] for chart in charts] == ["train/loss", "val/loss", "val/auroc", "lr-AdamW"]
    both = Chart(charts[2].svg())
    np.testing.assert_allclose(both.curves(1)[0], [[9, 0.5], [19, 0.55], [29, 0.7]], **near)
    np.testing.assert_allclose([both.dots(0)[0], both.dots(1)[0]], [[19, 0.9], [29, 0.7]], **near)


def test_of_long_trainings_as_many_steps_are_drawn_as_can_be_seen(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    steps = np.arange(3000)
    table = pd.DataFrame({"step": steps, "train/loss": 1 + np.sin(steps / 300)})
    table.to_csv(tmp_path / "metrics" / "metrics.csv", index=False)
    charts, _ = learning_curves({"run": tmp_path}, None, lowest=False)
    (line,) = Chart(charts[0].svg()).curves()
    assert 400 < len(line) <= 600  # fewer, where neighbours fall on one pixel
    np.testing.assert_allclose(line[:, 1], 1 + np.sin(line[:, 0] / 300), atol=0.05)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_axes_have_a_few_round_numbers(low: float, length: float) -> None:
    found = ticks(low, low + length)
    assert 2 <= len(found) <= 11
    assert all(low - 1e-6 * length <= value <= low + length * (1 + 1e-6) for value in found)


def test_lines_are_broken_where_nothing_is_known() -> None:
    assert path([0, 1, 2, 3], [0, float("nan"), 2, 3.04]) == "M0 0M2 2L3 3"
    chart = Drawn("a & b", Axis("<x>", 0, 1), Axis("y", 0, 1))
    chart.dots([0.5, float("nan")], [0.5, 0.5])
    assert chart.svg().count("<circle") == 1
    assert "&lt;x&gt;" in chart.svg()
