"""The numbers of a page, and their figures, against what follows from the run's predictions."""

import inspect
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.special
import sklearn.metrics
import torch

from projection.__main__ import main
from projection.evaluation import evaluate
from projection.metrics import fit_thresholds
from projection.metrics.bootstrap import draw_counts
from projection.report import report as make_report
from projection.runs.predictions import Predictions, read_predictions
from tests.evaluation.made_up import write
from tests.report.conftest import Report, Tables, drawings
from tests.report.drawings import Chart, matrix
from tests.report.test_curves import GRID, PIXEL, bins, distinct, precision_at_grid, resampled, roc_at_grid

SUMMARIES = "Means over classes, test folds; thresholds and temperature from the validation folds"
SUBGROUPS = "AUROC in subgroups of the test records"

SUMMARY = {
    "validation_auroc": "AUROC of the validation records",
    "average_precision": "average precision",
    "fmax": "Fmax (best record-centred F1 over all thresholds)",
    "f2": "F2, votes shared by a record's statements",
    "g2": "G2, votes shared by a record's statements",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "positive predictive value",
    "npv": "negative predictive value",
    "f1": "F1",
    "brier": "Brier score",
    "ece": "expected calibration error",
    "ece_with_temperature": "expected calibration error with temperature",
    "temperature": "temperature",
}
CLASSES = ["positives", "auroc", "average_precision", "brier", "threshold", "sensitivity", "specificity", "ppv", "npv"]
COLUMNS = ["records with it", "AUROC", "average precision", "Brier score", "threshold", "sensitivity", "specificity"]

# nothing is as it is by default
OTHERWISE = ["--criterion", "sensitivity", "--sensitivity", "0.7", "--seed", "3", "--confidence", "0.8"]


def test_the_numbers_are_those_of_evaluate_with_the_same_settings(
    trained: Path, report: Report, capsys: pytest.CaptureFixture[str]
) -> None:
    for options in ([], [*OTHERWISE, "--by_patient", "true"]):
        page = report(trained, "--cases", "0", *options)
        main(["evaluate", str(trained), "--resamples", "20", *options])
        found = json.loads((trained / "evaluation.json").read_text())
        summary, tables = found["summary"], Tables(page).found
        interval = f"{summary['auroc']:.4f} [{summary['auroc_low']:.4f}, {summary['auroc_high']:.4f}]"
        assert interval in capsys.readouterr().out
        confidence = "80%" if options else "95%"
        assert set(SUMMARY) | {"auroc", "auroc_low", "auroc_high"} == set(summary)
        assert tables[SUMMARIES][1:] == [
            [f"AUROC [{confidence} interval]", interval],
            *([title, f"{summary[key]:.4f}"] for key, title in SUMMARY.items()),
        ]
        head, *rows = tables["Each class, test folds"]
        assert head == ["class", *COLUMNS[:2], f"{confidence} interval", *COLUMNS[2:], "PPV", "NPV", "F1"]
        assert [[*cells[:3], *cells[4:]] for cells in rows] == [
            [name, *(shown(row[key], 0 if key == "positives" else 3) for key in [*CLASSES, "f1"])]
            for name, row in found["classes"].items()
        ]
        assert [cells[3] for cells in rows] == [
            f"{row['auroc_low']:.3f} to {row['auroc_high']:.3f}" for row in found["classes"].values()
        ]
        groups = tables[SUBGROUPS]
        assert groups[0][4] == f"{confidence} interval"
        assert groups[1:] == [
            [f"{g['attribute']}: {g['group']}", f"{g['records']:,}", *judged(g)] for g in found["subgroups"]
        ]
        assert any(group["classes"] for group in found["subgroups"])
        forest = Chart(drawings(page)["AUROC in subgroups"])
        (overall,) = forest.lines("guide")
        assert overall[0, 0] == pytest.approx(summary["auroc"], abs=2e-3)


def shown(value: float | None, decimals: int) -> str:
    return "-" if value is None else f"{value:.{decimals}f}"


def judged(group: dict[str, float]) -> list[str]:
    if not group["classes"]:
        return ["0", "too few", "", ""]
    interval = f"{group['low']:.3f} to {group['high']:.3f}" if group["low"] is not None else "too few"
    return [f"{group['classes']}", f"{group['auroc']:.3f}", interval, f"{group['everyone']:.3f}"]


def test_by_default_runs_are_judged_as_evaluate_does() -> None:
    ours, theirs = (inspect.signature(command).parameters for command in (make_report, evaluate))
    shared = ours.keys() & theirs.keys()
    assert shared == {"runs", "criterion", "sensitivity", "resamples", "seed", "confidence", "by_patient"}
    assert {name: ours[name].default for name in shared} == {name: theirs[name].default for name in shared}


@pytest.mark.thorough
@pytest.mark.parametrize("by_patient", [False, True])
def test_curves_bands_and_calibration_are_those_of_the_test_records(
    fitted: Path, corpus: Path, report: Report, by_patient: bool
) -> None:
    page = report(fitted, "--cases", "0", *OTHERWISE, "--by_patient", str(by_patient).lower())
    test = read_predictions(fitted, "test")
    patients = pd.read_csv(corpus / "ptbxl_database.csv").set_index("ecg_id").patient_id[test.ids.numpy()].to_numpy()
    assert len(set(patients)) < len(patients)
    counts = draw_counts(test.labels > 0, 20, 3, torch.tensor(patients) if by_patient else None)
    every, found = resampled(test, counts), drawings(page)
    for i, name in enumerate(test.class_names):
        labels, scores = test.labels.numpy()[:, i], test.scores.numpy()[:, i]
        false, true, _ = sklearn.metrics.roc_curve(labels, scores, drop_intermediate=False)
        precision, recall, _ = sklearn.metrics.precision_recall_curve(labels, scores)
        for title, expected, at_grid in (
            (f"ROC curve of {name}", (false, true), roc_at_grid),
            (f"Precision-recall curve of {name}", (recall[-2::-1], precision[-2::-1]), precision_at_grid),
        ):
            chart = Chart(found[title])
            np.testing.assert_allclose(chart.curves()[0], distinct(*expected), atol=PIXEL)
            band = np.quantile([at_grid(each[:, i], part[:, i]) for each, part in every], [0.1, 0.9], axis=0)
            np.testing.assert_allclose(chart.bands()[0], np.stack([GRID, *band], axis=1), atol=PIXEL)
        # guessing reaches the prevalence
        assert chart.lines("guide")[0][:, 1] == pytest.approx([labels.mean()] * 2, abs=PIXEL)
        (caption,) = re.findall(rf"<figcaption><b>{name}</b>[^:]*: (.*?)</figcaption>", page)
        assert caption.startswith(f"{labels.sum()} of {len(labels)} records. AUROC ")
        for metric, title in (
            (sklearn.metrics.roc_auc_score, "AUROC"),
            (sklearn.metrics.average_precision_score, "average precision"),
        ):
            low, high = np.quantile([metric(each[:, i], part[:, i]) for each, part in every], [0.1, 0.9])
            (shown,) = re.findall(rf"{title} ([\d.]+) \(80%: ([\d.]+) to ([\d.]+)\)", caption)
            assert [float(each) for each in shown] == pytest.approx([metric(labels, scores), low, high], abs=5.01e-4)
        # what the test records have at the threshold of the validation records
        seen = read_predictions(fitted, "val")
        threshold = float(fit_thresholds(seen.scores, seen.labels, "sensitivity", 0.7)[i])
        said, true = scores >= threshold, labels == 1
        sensitivity, specificity, ppv = said[true].mean(), (~said)[~true].mean(), true[said].mean()
        np.testing.assert_allclose(
            Chart(found[f"ROC curve of {name}"]).dots(), [(1 - specificity, sensitivity)], atol=PIXEL
        )
        if np.isfinite(threshold):
            words = f"sensitivity {sensitivity:.3f}, specificity {specificity:.3f}, PPV {ppv:.3f}."
            assert caption.endswith(f"At the threshold {threshold:.3f}: {words}")
            chart = Chart(found[f"Precision-recall curve of {name}"])
            np.testing.assert_allclose(chart.dots(), [(sensitivity, ppv)], atol=PIXEL)
        else:
            assert "It has no threshold and is never predicted" in caption
    summary = dict(row[:2] for row in Tables(page).found[SUMMARIES])
    temperature = float(summary["temperature"])
    cooled = scipy.special.expit(scipy.special.logit(test.scores.numpy()) / temperature)
    for title, scores in (
        ("Reliability as predicted", test.scores),
        (f"Reliability at temperature {temperature:.4f}", torch.from_numpy(cooled)),
    ):
        caption = "With temperature" if "at" in title.split() else "As predicted"
        assert re.search(rf'aria-label="{title}"[^<]*<.*?</svg><figcaption>{caption}<', page)
        chart, held = Chart(found[title]), bins(test.labels.numpy(), scores.numpy())
        np.testing.assert_allclose(chart.dots(), held[held[:, 0] > 0, 1:], atol=PIXEL)
        version = Predictions(test.ids, scores, test.labels, test.class_names)
        ends = np.nanquantile(
            [bins(*pair)[held[:, 0] > 0, 2] for pair in resampled(version, counts)], [0.1, 0.9], axis=0
        )
        np.testing.assert_allclose(chart.whiskers()[:, 1:], ends.T, atol=PIXEL)


@pytest.mark.thorough
def test_every_interval_follows_the_confidence(trained: Path, report: Report, tmp_path: Path) -> None:
    other = shutil.copytree(trained, tmp_path / "other")
    page = report(trained, other, "--cases", "0", "--confidence", "0.975")
    said = set(
        re.findall(r"[\d.]+%", re.sub("<style>.*?</style>|<pre.*?</pre>|<t[dh].*?</t[dh]>", "", page, flags=re.S))
    )
    assert said == {"97.5%"}
    heads = [cell for rows in Tables(page).found.values() for row in rows for cell in row if "% interval" in cell]
    assert set(heads) == {"AUROC [97.5% interval]", "97.5% interval"}
    assert page.count("(97.5%: ") == 2 * 2 * 5
    assert "paired bootstrap, 97.5% interval" in page
    assert "97.5% intervals over test" in page


def test_confusions_are_of_test_records_by_thresholds_of_validation(page: str, fitted: Path) -> None:
    validation, test = (read_predictions(fitted, split) for split in ("val", "test"))
    names, thresholds = test.class_names, fit_thresholds(validation.scores, validation.labels, "youden", 0.9).numpy()
    predicted, true = test.scores.numpy() >= thresholds, test.labels.numpy() == 1
    drawn = drawings(page)
    for title, value in (
        ("Statements that are true together", lambda i, j: true[true[:, i], j]),
        ("Statements that are predicted", lambda i, j: predicted[true[:, i] & (~true[:, j] if i != j else True), j]),
    ):
        found = {cell: text for cell, (text, _, _) in matrix(drawn[title], names, names).items()}
        expected = {}
        for i, row in enumerate(names):
            for j, column in enumerate(names):
                if len(value(i, j)):
                    expected[row, column] = f"{100 * value(i, j).mean():.0f}"
        assert found == expected


@pytest.mark.thorough
def test_of_many_classes_the_frequent_ones_are_in_sight(tmp_path: Path, report: Report) -> None:
    generator = torch.Generator().manual_seed(0)
    names = tuple(f"C{i:02}" for i in range(30))
    # every other class is frequent, and the last ones more than the first
    frequency = torch.tensor([(0.2 if i % 2 else 0.5) + i / 200 for i in range(30)])
    for split, first in (("val", 0), ("test", 1000)):
        labels = (torch.rand(400, 30, generator=generator) < frequency).byte()
        # in few steps, so that many are equal to a threshold
        scores = torch.randint(20, (400, 30), generator=generator).double() / 20
        write(tmp_path / "many", split, Predictions(torch.arange(first, first + 400), scores, labels, names))
    page = report(tmp_path / "many")
    counts = labels.sum(dim=0).tolist()
    frequent = sorted(range(30), key=lambda i: -counts[i])
    sight, more = page.split("<summary>The other 18 classes</summary>")
    assert re.findall(r"ROC curve of (C\d\d)\"", sight) == [names[i] for i in sorted(frequent[:12])]
    assert re.findall(r"ROC curve of (C\d\d)\"", more) == [names[i] for i in sorted(frequent[12:])]
    kept = [names[i] for i in sorted(frequent[:25])]
    assert "Shown are the 25 most frequent of 30 classes" in page
    found = matrix(drawings(page)["Statements that are true together"], kept, kept)
    i, j = frequent[3], frequent[9]
    both = int((labels[:, i] & labels[:, j]).sum())
    assert found[names[i], names[j]][0] == f"{100 * both / counts[i]:.0f}"
    found = matrix(drawings(page)["Statements that are predicted"], kept, kept)
    validation = read_predictions(tmp_path / "many", "val")
    thresholds = fit_thresholds(validation.scores, validation.labels, "youden", 0.9)
    wrongly = (scores[:, j] >= thresholds[j])[(labels[:, i] == 1) & (labels[:, j] == 0)]
    assert found[names[i], names[j]][0] == f"{100 * wrongly.double().mean():.0f}"


def test_what_is_said_of_the_run_is_so(page: str, fitted: Path, report: Report) -> None:
    said = " ".join(re.sub("<[^>]*>", "", page).split())
    test, validation = (len(read_predictions(fitted, split).ids) for split in ("test", "val"))
    assert test != validation
    assert f"All numbers are of the {test} test records (fold 10), from which" in said
    assert "Training used other records (folds 1, 2, 3, 4, 5, 6, 7, 8)." in said
    assert f"The {validation} validation records (fold 9) chose" in said
    assert "threshold (by Youden&#39;s index)" in said
    assert "for the AUROC over 5 of 5, those" in said
    assert "Intervals hold 95% of 20 bootstrap resamples of the test records (seed 0)" in said
    assert "in four steps that begin at 8, 20, 40 and 70% of the record" in said
    assert "A dot marks the best val/auroc, by which the checkpoint was chosen." in said
    swatches = re.findall(r'<path class="(for|against) level4"[^>]*/></g></svg> (for|against)', page)
    assert swatches == [("for", "for"), ("against", "against")]
    metrics = pd.read_csv(fitted / "metrics" / "metrics.csv").dropna(subset="val/auroc")
    expected = metrics[["step", "val/auroc"]].to_numpy()
    learned = Chart(drawings(page)["Learning curve: auroc"])
    np.testing.assert_allclose(learned.curves(1)[0], expected, atol=0.02)
    np.testing.assert_allclose(learned.dots(1), expected[[expected[:, 1].argmax()]], atol=0.02)
    provenance = json.loads((fitted / "provenance.json").read_text())
    origin = dict(row for row in Tables(page).found["Where the results come from (provenance.json)"][1:])
    assert origin["folder"] == str(fitted.resolve())
    assert origin["started"] == provenance["started"]
    assert origin["data: signals_sha256"] == ", ".join(provenance["data"]["signals_sha256"])
    assert origin["version of torch"] == provenance["versions"]["torch"]
    assert f'<pre tabindex="0">{(fitted / "config.yaml").read_text().splitlines()[0]}' in page
    for criterion, name in (("f1", "F1"), ("g2", "G2")):
        assert f"threshold\n(by {name})" in report(fitted, "--cases", "0", "--criterion", criterion)
    said = " ".join(report(fitted, "--cases", "0", *OTHERWISE, "--by_patient", "true").split())
    assert "(the highest with a sensitivity of at least 0.7)" in said
    assert "Intervals hold 80% of 20 bootstrap resamples of the test patients (seed 3)" in said
    assert "80% intervals over test patients" in said
