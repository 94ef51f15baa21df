import json
from pathlib import Path

import pytest
import torch

from projection.nets import FCNWang
from tests.benchmarks import nets, table, training
from tests.benchmarks.__main__ import benchmark
from tests.benchmarks.loading import benchmark as loading_benchmark
from tests.benchmarks.table import Row, publish, side_by_side


@pytest.mark.slow
def test_the_whole_table_is_measured_and_written(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether targets are reached is for `make benchmark` on a quiet machine, not for tests."""
    monkeypatch.setattr(training, "EPOCHS", 1)
    monkeypatch.setattr("tests.benchmarks.metrics.CLASSES", 5)
    monkeypatch.setattr("tests.benchmarks.metrics.RESAMPLES", 20)
    monkeypatch.chdir(tmp_path)
    output = tmp_path / "runs" / "benchmarks" / "loading.json"
    benchmark(corpus, None, tmp_path / "file.h5", rounds=1)
    rows = {row.pop("name"): row for row in json.loads(output.read_text())}
    assert len(rows) == 14 + 2 * torch.cuda.is_available()
    for name, row in rows.items():
        assert set(row) == {"ratio", "target", "better", "note"}
        assert row["better"] == ("lower" if name.startswith(("ms ", "time ")) else "higher")
    # zero would mean that the metrics differ
    assert all(row["ratio"] > 0 for name, row in rows.items() if name.endswith("scikit-learn"))
    assert output.with_suffix(".md").read_text().count("\n") == len(rows) + 2
    assert "targets reached" in capsys.readouterr().out
    assert set(tmp_path.iterdir()) == {tmp_path / "runs", tmp_path / "file.h5"}


def test_a_target_is_reached_from_its_own_side_and_exactly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [Row("a", 2.0, 2), Row("b", 1.99, 2), Row("c", 0.3, 0.3, "lower"), Row("d", 0.31, 0.3, "lower")]
    assert [row.reached for row in rows] == [True, False, True, False]
    publish(rows, tmp_path / "runs" / "rows.json")
    assert "2 of 4 targets reached" in capsys.readouterr().out
    lines = (tmp_path / "runs" / "rows.md").read_text(encoding="utf-8").splitlines()[2:]
    assert lines == [
        "| a | 2.00 | ≥ 2 | reached |  |",
        "| b | 1.99 | ≥ 2 | MISSED |  |",
        "| c | 0.30 | ≤ 0.3 | reached |  |",
        "| d | 0.31 | ≤ 0.3 | MISSED |  |",
    ]


def test_several_ways_are_timed_in_turn_and_the_best_round_of_each_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "seconds", lambda work: work())  # these tell their times themselves
    order: list[str] = []
    times = {"ours": [3.0, 1.0, 2.0], "theirs": [5.0, 6.0, 4.0]}
    works = [lambda name=name: (order.append(name), times[name][order.count(name) - 1])[1] for name in times]
    assert side_by_side(*works, rounds=3) == [1.0, 4.0]
    assert order == ["ours", "theirs"] * 3


@pytest.mark.thorough
def test_a_user_s_own_file_can_be_measured(corpus_file: Path, tmp_path: Path) -> None:
    loading_benchmark(corpus_file, rounds=1, output=tmp_path / "mine.json")
    names = [row["name"] for row in json.loads((tmp_path / "mine.json").read_text())]
    assert len(set(names)) == len(names) == 7 + 2 * torch.cuda.is_available()


def test_the_comparison_for_gpus_works_on_any_device(corpus_file: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(71))
    net(torch.zeros(2, 12, 250))
    before = net[1].weight.clone()
    real, resident = training.steps_per_second(corpus_file, net, torch.device("cpu"), batches=2)
    assert real > 0
    assert resident > 0
    assert not torch.equal(net[1].weight, before)


def test_a_step_that_is_timed_trains() -> None:
    net = FCNWang(2, 3)
    work = nets.step(net, torch.randn(4, 2, 20))
    before = net.head[-1].weight.clone()
    work()
    assert net.training
    assert not torch.equal(net.head[-1].weight, before)


def test_a_net_s_step_is_told_as_times_that_of_xresnet1d101(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # the sizes of all thirteen are told elsewhere
    monkeypatch.setattr(nets, "CONFIGS", [path for path in nets.CONFIGS if path.stem in ("fcn_wang", "xresnet1d101")])
    nets.benchmark(["fcn_wang"], length=40, batch=2, rounds=1)
    *_, title, _, row = capsys.readouterr().out.splitlines()
    assert title == "| 2 x 12 x 40, cpu | ms a step | xresnet1d101 | times |" or torch.cuda.is_available()
    name, ours, theirs, times = (cell.replace(",", "") for cell in row.strip("| ").split(" | "))
    assert name == "fcn_wang"
    assert float(times) == pytest.approx(float(ours) / float(theirs), abs=0.05)
