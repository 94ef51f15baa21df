import json
from pathlib import Path

import pytest
import torch

from tests.benchmarks import training
from tests.benchmarks.__main__ import benchmark
from tests.benchmarks.loading import benchmark as loading_benchmark


def test_the_whole_table_is_measured_and_written(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether targets are reached is for `make benchmark` on a quiet machine, not for tests."""
    monkeypatch.setattr(training, "EPOCHS", 1)
    monkeypatch.setattr("tests.benchmarks.metrics.RESAMPLES", 20)
    monkeypatch.chdir(tmp_path)
    output = tmp_path / "runs" / "benchmarks" / "loading.json"
    benchmark(corpus, None, tmp_path / "file.h5", rounds=1)
    rows = json.loads(output.read_text())
    assert len(rows) >= 13
    for row in rows:
        assert {"name", "ratio", "target", "better"} <= set(row)
        assert row["better"] in ("higher", "lower")
    assert output.with_suffix(".md").read_text().count("\n") == len(rows) + 2
    assert "targets reached" in capsys.readouterr().out
    assert set(tmp_path.iterdir()) == {tmp_path / "runs", tmp_path / "file.h5"}


def test_a_user_s_own_file_can_be_measured(corpus_file: Path, tmp_path: Path) -> None:
    loading_benchmark(corpus_file, rounds=1, output=tmp_path / "mine.json")
    assert len(json.loads((tmp_path / "mine.json").read_text())) >= 7


def test_the_comparison_for_gpus_works_on_any_device(corpus_file: Path) -> None:
    net = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(71))
    net(torch.zeros(2, 12, 250))
    real, resident = training.steps_per_second(corpus_file, net, torch.device("cpu"), batches=2)
    assert real > 0
    assert resident > 0
