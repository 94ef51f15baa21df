"""The command `evaluate`, on runs of the synthetic corpus and on made-up predictions."""

import json
from pathlib import Path

import numpy as np
import pytest
import sklearn.metrics
import torch

from projection.__main__ import main
from projection.evaluation.judge import compare, judge
from projection.evaluation.predictions import Predictions, read_predictions
from projection.evaluation.protocol import Protocol
from tests.conftest import Run
from tests.evaluation.made_up import made_up, write

PROTOCOL = Protocol("youden", 0.9, 200, 0, 0.95)


def test_a_run_is_judged_by_what_fit_stored(run: Run, tiny: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    folder = run("fit", *tiny, "--data.task", "superdiagnostic")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    capsys.readouterr()
    main(["evaluate", str(folder), "--resamples", "50"])
    assert "AUROC [95% interval]" in capsys.readouterr().out
    found = json.loads((folder / "evaluation.json").read_text())
    reported = json.loads((folder / "results.json").read_text())
    assert found["summary"]["auroc"] == pytest.approx(reported["test/auroc"], abs=1e-5)
    assert found["summary"]["validation_auroc"] == pytest.approx(reported["val/auroc"], abs=1e-5)
    assert found["summary"]["average_precision"] == pytest.approx(reported["test/average_precision"], abs=1e-5)
    assert found["summary"]["auroc_low"] <= found["summary"]["auroc_high"]
    assert set(found["classes"]) == {"CD", "HYP", "MI", "NORM", "STTC"}
    assert {group["attribute"] for group in found["subgroups"]} >= {"sex", "age", "device", "signal quality"}
    for path, content in before.items():
        assert path.read_bytes() == content, path


def test_thresholds_come_from_validation_alone(run: Run, tiny: list[str]) -> None:
    folder = run("fit", *tiny, "--data.task", "superdiagnostic", "--predictions.format", "parquet")
    validation, test = read_predictions(folder, "val"), read_predictions(folder, "test")
    shuffled = Predictions(test.ids, test.scores.flip(0), test.labels, test.class_names)
    thresholds = [
        [row["threshold"] for row in judge(validation, each, PROTOCOL).classes.values()] for each in (test, shuffled)
    ]
    assert thresholds[0] == thresholds[1]
    # validation predictions are those of the best checkpoint
    expected = json.loads((folder / "results.json").read_text())["val/auroc"]
    values = sklearn.metrics.roc_auc_score(validation.labels, validation.scores, average=None)
    assert np.nanmean(values) == pytest.approx(expected, abs=1e-4)


def test_several_runs_are_compared_and_joined(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, skill in (("weak", 0.2), ("strong", 2.0)):
        for split, first in (("val", 0), ("test", 1000)):
            write(tmp_path / name, split, made_up(skill, seed=len(name), first=first))
    runs = [str(tmp_path / name) for name in ("strong", "weak")]
    main(["evaluate", *runs, "--ensemble", "true", "--resamples", "200"])
    said = capsys.readouterr().out
    assert "ensemble" in said
    assert "AUROC of 2 runs: " in said
    assert "p = 0.010 (first minus second run, paired bootstrap, 95% interval)" in said
    assert "No subgroups, and no check for patients in two splits" in said
    assert (tmp_path / "weak" / "evaluation.json").exists()


def test_many_runs_fit_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [tmp_path / name for name in "abcd"]
    for run in runs:
        for split, first in (("val", 0), ("test", 1000)):
            write(run, split, made_up(1.0, seed=ord(run.name), first=first))
    main(["evaluate", *map(str, runs), "--resamples", "50"])
    said = capsys.readouterr().out
    for run in runs:
        summary = json.loads((run / "evaluation.json").read_text())["summary"]
        assert f"{summary['auroc']:.4f} [{summary['auroc_low']:.4f}, {summary['auroc_high']:.4f}]" in said


def test_a_model_does_not_differ_from_itself() -> None:
    one = made_up(1.0)
    judged = judge(one, one, PROTOCOL)
    found = compare(one, one, (judged, judged))
    assert (found["difference"], found["low"], found["high"], found["p"]) == (0, 0, 0, 1)


def test_a_paired_comparison_sees_more_than_two_intervals() -> None:
    one = made_up(1.0)
    better = (torch.logit(one.scores) + 0.2 * one.labels).sigmoid()
    slightly_better = Predictions(one.ids, better, one.labels, one.class_names)
    judged = judge(one, one, PROTOCOL), judge(slightly_better, slightly_better, PROTOCOL)
    assert judged[0].summary["auroc_high"] > judged[1].summary["auroc_low"]
    assert compare(one, slightly_better, judged)["high"] < 0


@pytest.mark.parametrize("option", [["--resamples", "0"], ["--confidence", "1"], ["--sensitivity", "0"]])
def test_settings_out_of_range_are_refused(tmp_path: Path, option: list[str]) -> None:
    with pytest.raises(SystemExit, match="resamples is 1 or more"):
        main(["evaluate", str(tmp_path), *option])


def test_classes_too_rare_for_resampling_cost_the_interval_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = torch.eye(40, dtype=torch.uint8)
    names = tuple(f"C{i}" for i in range(40))
    for split, first in (("val", 0), ("test", 100)):
        write(tmp_path, split, Predictions(torch.arange(first, first + 40), torch.rand(40, 40).double(), labels, names))
    main(["evaluate", str(tmp_path), "--resamples", "10"])
    said = capsys.readouterr().out
    assert "(no interval)" in said
    assert "some classes are too rare for a bootstrap" in said
    summary = json.loads((tmp_path / "evaluation.json").read_text())["summary"]
    assert summary["auroc_low"] is None
    assert 0 < summary["auroc"] < 1
