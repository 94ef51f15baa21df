"""The command `evaluate`: what it reads, writes and prints."""

import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from projection.__main__ import main
from projection.evaluation.evaluate_runs import evaluate, joined
from projection.evaluation.judge import comparison, judge
from projection.evaluation.protocol import Protocol
from projection.runs.predictions import read_predictions
from projection.runs.run import read_run
from tests.evaluation.made_up import made_up, made_up_run, write
from tests.run_files import results

TITLES = {
    "AUROC of validation": "validation_auroc",
    "average precision": "average_precision",
    "Fmax": "fmax",
    "F2": "f2",
    "G2": "g2",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "PPV": "ppv",
    "NPV": "npv",
    "F1": "f1",
    "Brier score": "brier",
    "calibration error": "ece",
    "with temperature": "ece_with_temperature",
    "temperature": "temperature",
}
OF_A_CLASS = ("auroc", "average_precision", "brier", "threshold", "sensitivity", "specificity", "ppv", "npv", "f1")


def judged(run: Path) -> dict[str, Any]:
    """Read evaluation.json, which is strict JSON."""
    found: dict[str, Any] = json.loads((run / "evaluation.json").read_text(), parse_constant=pytest.fail)
    return found


def cells(said: str) -> dict[str, list[str]]:
    """Read printed tables: the cells of each row, by its first one."""
    lines = [line.replace("│", "  ") for line in said.splitlines()]
    # the table of classes has one space between columns, and no cell of several words
    start = next((i for i, line in enumerate(lines) if line.split()[:1] == ["class"]), len(lines))
    rows = [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in lines[:start]]
    rows += [line.split() for line in lines[start:]]
    return {row[0]: row[1:] for row in rows if row}


def shown(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def pairs(folder: Path, *names: str) -> list[str]:
    """Write runs of different skill, validation and test in turn."""
    for seed, name in enumerate(names):
        for split, first in (("val", 0), ("test", 1000)):
            write(folder / name, split, made_up(1.0 + 0.1 * seed + first / 2000, seed=seed + first, first=first))
    return [str(folder / name) for name in names]


def test_a_run_is_judged_by_what_fit_stored(fitted: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(fitted, tmp_path / "run"))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    main(["evaluate", str(run), "--resamples", "20"])
    found, told = judged(run), results(run)
    for split, keys in (("val", ("validation_auroc",)), ("test", ("auroc", "average_precision"))):
        predictions = read_predictions(run, split)
        labels, scores = predictions.labels.numpy(), predictions.scores.numpy()
        both = labels.min(axis=0) < labels.max(axis=0)
        for key, metric in zip(keys, (roc_auc_score, average_precision_score), strict=False):
            expected = metric(labels[:, both], scores[:, both], average="macro")
            assert found["summary"][key] == pytest.approx(expected, abs=1e-9)
            # logits were ranked in training, and probabilities are rounded
            assert told[f"{split}/{key.removeprefix('validation_')}"] == pytest.approx(expected, abs=1e-4)
    assert set(found["classes"]) == {"CD", "HYP", "MI", "NORM", "STTC"}
    assert {group["attribute"] for group in found["subgroups"]} >= {"sex", "age", "device", "signal quality"}
    for path, content in before.items():
        assert path.read_bytes() == content, path


def test_what_is_printed_is_what_is_written(
    tmp_path: Path, corpus_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = made_up_run(tmp_path / "run", corpus_file, test=range(3, 11))
    for split in ("val", "test"):
        predictions = read_predictions(run, split)
        # the last class never occurs
        predictions.labels[:, 2] = 0
        write(run, split, predictions)
    main(["evaluate", str(run), "--resamples", "20", "--confidence", "0.8"])
    said = capsys.readouterr().out
    found, rows = judged(run), cells(said)
    summary = found["summary"]
    interval = f"{summary['auroc']:.4f} [{summary['auroc_low']:.4f}, {summary['auroc_high']:.4f}]"
    assert rows["AUROC [80% interval]"] == [interval]
    assert summary.keys() == {"auroc", "auroc_low", "auroc_high", *TITLES.values()}
    for title, key in TITLES.items():
        assert rows[title] == [f"{summary[key]:.4f}"], title
    assert rows["class"] == ["n", "AUROC", "80%", "AP", "Brier", "thr.", "sens.", "spec.", "PPV", "NPV", "F1"]
    assert found["classes"]["C"]["auroc"] is None
    for name, row in found["classes"].items():
        expected = [f"{row['positives']:.0f}", *(shown(row[key], 3) for key in OF_A_CLASS)]
        known = row["auroc_low"] is not None
        ends = [f"{row[f'auroc_{end}']:.3f}".removeprefix("0") for end in ("low", "high")] if known else []
        assert rows[name] == [*expected[:2], "-".join(ends) or "-", *expected[2:]]
    assert "Classes (after the AUROC its 80% interval)" in said
    lines = [" ".join(line.split()) for line in said.splitlines()]
    assert "group records AUROC 80% interval classes everyone" in lines
    last = ""
    for group in found["subgroups"]:
        values = ["too few"]
        if group["classes"]:
            known = group["low"] is not None
            interval = f"[{group['low']:.3f}, {group['high']:.3f}]" if known else "too few"
            values = [shown(group["auroc"], 3), interval, str(group["classes"]), shown(group["everyone"], 3)]
        # an attribute is named once
        words = [group["attribute"] if group["attribute"] != last else "", group["group"], str(group["records"])]
        assert " ".join(" ".join([*words, *values]).split()) in lines
        last = group["attribute"]


def test_several_runs_are_compared_and_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    # so wide, with names so short, that the table breaks no lines
    monkeypatch.setenv("COLUMNS", "120")
    runs = pairs(Path(), "a", "b")
    main(["evaluate", *runs, "--ensemble", "true", "--resamples", "50", "--confidence", "0.9"])
    said = capsys.readouterr().out
    protocol = Protocol(resamples=50, confidence=0.9)
    read = [read_run(Path(run)) for run in runs]
    each = [judge(run.validation, run.test, protocol) for run in (*read, joined(read))]
    rows = cells(said)
    assert rows["AUROC [90% interval]"] == [one.auroc for one in each]
    for title, key in TITLES.items():
        assert rows[title] == [f"{one.summary[key]:.4f}" for one in each], title
    for line in comparison(read, each[:2]):
        assert f"{line}\n" in said
    for run, one in zip(runs, each, strict=False):
        assert judged(Path(run))["summary"] == one.summary
        assert f"No subgroups, and no check for patients in two splits: {run} does not name data" in said


def test_runs_are_named_in_full_by_what_tells_them_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = pairs(tmp_path / ("a" * 60), "20261127-205829-c529", "20261127-205830-59f0")
    (Path(runs[0]) / "config.yaml").write_text("seed_everything: 3\n")
    (Path(runs[1]) / "config.yaml").write_text("seed_everything: 4\n")
    main(["evaluate", *runs, "--resamples", "20"])
    (head,) = [line for line in capsys.readouterr().out.splitlines() if "metric (macro)" in line]
    assert [word.strip() for word in head.strip("┃ ").split("┃")] == ["metric (macro)", "seed 3", "seed 4"]
    with pytest.raises(SystemExit, match="A run is given twice"):
        main(["evaluate", runs[0], runs[0]])


def test_many_runs_fit_a_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = pairs(tmp_path, *"abcd")
    main(["evaluate", *runs, "--resamples", "20"])
    said = capsys.readouterr().out
    rows = [line.split() for line in said.splitlines()]
    assert f"AUROC of 4 runs: {np.mean([judged(Path(run))['summary']['auroc'] for run in runs]):.4f} (" in said
    assert ["run", "AUROC", "[95%", "interval]", "val.", "AP", "Fmax", "ECE"] in rows
    for run in runs:
        summary = judged(Path(run))["summary"]
        interval = f"{summary['auroc']:.4f} [{summary['auroc_low']:.4f}, {summary['auroc_high']:.4f}]"
        values = [f"{summary[key]:.3f}" for key in ("validation_auroc", "average_precision", "fmax", "ece")]
        assert [*interval.split(), *values] in [row[-7:] for row in rows]


def test_settings_are_those_given_and_else_as_documented(tmp_path: Path) -> None:
    (run,) = pairs(tmp_path, "a")
    evaluate([Path(run)])
    usual = {"criterion": "youden", "sensitivity": 0.9, "resamples": 1000, "seed": 0, "confidence": 0.95}
    assert judged(Path(run))["protocol"] == {**usual, "by_patient": False} == asdict(Protocol())
    chosen = ["--criterion", "sensitivity", "--sensitivity", "0.6", "--seed", "4", "--confidence", "0.5"]
    main(["evaluate", run, "--resamples", "8", *chosen])
    found, protocol = judged(Path(run)), Protocol("sensitivity", 0.6, 8, 4, 0.5)
    assert found["protocol"] == asdict(protocol)
    read = read_run(Path(run))
    assert found["summary"] == judge(read.validation, read.test, protocol).summary


@pytest.mark.parametrize("option", [["--resamples", "0"], ["--confidence", "1"], ["--sensitivity", "0"]])
def test_settings_out_of_range_are_refused(tmp_path: Path, option: list[str]) -> None:
    with pytest.raises(SystemExit, match="resamples is 1 or more"):
        main(["evaluate", str(tmp_path), *option])


def test_classes_too_rare_for_resampling_cost_the_interval_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rare = torch.eye(40, dtype=torch.uint8)
    names = tuple(f"C{i}" for i in range(40))
    for split, first in (("val", 0), ("test", 100)):
        made = made_up(1.0, records=40, first=first)
        write(tmp_path, split, replace(made, scores=torch.rand(40, 40).double(), labels=rare, class_names=names))
    main(["evaluate", str(tmp_path), "--resamples", "10"])
    said = capsys.readouterr().out
    assert "(no interval)" in said
    assert "some classes are too rare for a bootstrap" in said
    summary = judged(tmp_path)["summary"]
    assert summary["auroc_low"] is None
    assert 0 < summary["auroc"] < 1
