"""From predictions to numbers: thresholds and temperature come from fold 9, everything else from fold 10."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import isfinite
from typing import Any

import torch
from torch import Tensor

from projection.errors import ProjectionError
from projection.evaluation.protocol import Protocol, ends, interval
from projection.evaluation.subgroups import Subgroup, subgroups
from projection.evaluation.wording import percent
from projection.metrics import (
    auroc,
    average_precision,
    brier,
    challenge_weights,
    confusion,
    fit_temperature,
    fit_thresholds,
    fmax,
    reliability,
)
from projection.metrics.bootstrap import Resampled, draw_counts, judge_resamples
from projection.metrics.calibration import logit
from projection.runs.differences import unlike
from projection.runs.predictions import Predictions, check_comparable
from projection.runs.run import Run, check_run_for_leaks, columns, open_data

_NAMED = 4  # settings in which runs differ; further ones are counted


@dataclass(frozen=True)
class Judgement:
    """What is known of a model.

    Args:
        summary: Numbers over all classes; the AUROC's interval as `auroc_low` and `auroc_high`.
        classes: Numbers of each class, by the class's name; intervals likewise.
        bootstrap: The macro AUROC of each resample, for comparisons; NaN where classes are too rare for resampling.
        confidence: Of the intervals (0 to 1).
        subgroups: The AUROC in parts of the test records; none where the table of records is not at hand.
        notes: What could not be done, and why.
    """

    summary: dict[str, float]
    classes: dict[str, dict[str, float]]
    bootstrap: Tensor
    confidence: float
    subgroups: list[Subgroup] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def auroc(self) -> str:
        """The macro AUROC with its interval, as it is printed."""
        value, low, high = (self.summary[key] for key in ("auroc", "auroc_low", "auroc_high"))
        return f"{value:.4f} [{low:.4f}, {high:.4f}]" if isfinite(low) else f"{value:.4f} (no interval)"

    def as_json(self) -> dict[str, Any]:
        """Give everything but the resamples."""
        groups = [asdict(group) for group in self.subgroups]
        return {"summary": self.summary, "classes": self.classes, "subgroups": groups, "notes": self.notes}


def judge_run(run: Run, protocol: Protocol) -> Judgement:
    """Judge a run, also in subgroups, once it is sure that it was not tested on what it learned from."""
    if not run.test.numbered and not set(run.validation.ids.tolist()).isdisjoint(run.test.ids.tolist()):
        raise ProjectionError(f"The validation and test predictions of {run.folder} share records.")
    try:
        data = open_data(run)
    except ProjectionError as error:
        if protocol.by_patient:
            raise
        judged = judge(run.validation, run.test, protocol)
        note = f"No subgroups, and no check for patients in two splits: {error}"
        return replace(judged, notes=[*judged.notes, note])
    check_run_for_leaks(run, data)
    records = columns(data, run.test.ids.numpy())
    patients = torch.from_numpy(records["patient_id"]) if protocol.by_patient else None
    judged = judge(run.validation, run.test, protocol, patients)
    return replace(judged, subgroups=subgroups(run.test, records, protocol))


def judge(validation: Predictions, test: Predictions, protocol: Protocol, patients: Tensor | None = None) -> Judgement:
    """Judge a model by its predictions of folds 9 and 10.

    Args:
        patients: Whose each test record is, `(records,)`, to draw by patient; None draws records.
    """
    thresholds = fit_thresholds(validation.scores, validation.labels, protocol.criterion, protocol.sensitivity)
    decisions = test.scores >= thresholds
    counted = confusion(decisions, test.labels)
    columns = {
        "positives": test.labels.sum(dim=0).double(),
        "auroc": auroc(test.scores, test.labels),
        "average_precision": average_precision(test.scores, test.labels),
        "brier": brier(test.scores, test.labels),
        "threshold": thresholds,
        "sensitivity": counted.sensitivity,
        "specificity": counted.specificity,
        "ppv": counted.positive_predictive_value,
        "npv": counted.negative_predictive_value,
        "f1": counted.f_score(),
    }
    resampled, notes = _resampled(test, protocol, patients)
    for key, values in (("auroc", resampled.auroc), ("average_precision", resampled.average_precision)):
        columns[f"{key}_low"], columns[f"{key}_high"] = ends(values, protocol.confidence)
    summary = _summary(columns, resampled.macro_auroc, protocol.confidence)
    summary["validation_auroc"] = float(auroc(validation.scores, validation.labels).nanmean())
    summary["fmax"] = float(fmax(test.scores, test.labels))
    summary |= _challenge_scores(validation, test) | _calibration(validation, test)
    names = test.class_names
    rows = {name: {key: float(column[i]) for key, column in columns.items()} for i, name in enumerate(names)}
    return Judgement(summary, rows, resampled.macro_auroc, protocol.confidence, notes=notes)


def compare(one: Predictions, other: Predictions, judged: tuple[Judgement, Judgement]) -> dict[str, float]:
    """Compare two models by the paired bootstrap: each resample judges both on the same records.

    Returns:
        The difference in macro AUROC, its interval, and the two-sided p-value; NaN without resamples.
    """
    check_comparable(one, other)
    differences = judged[0].bootstrap - judged[1].bootstrap
    low, high = interval(differences, judged[0].confidence)
    tail = min(float((differences <= 0).double().mean()), float((differences >= 0).double().mean()))
    observed = judged[0].summary["auroc"] - judged[1].summary["auroc"]
    # no resample at all on one side says less than one in their number
    p = float("nan") if differences.isnan().any() else min(1.0, 2 * max(tail, 1 / len(differences)))
    return {"difference": observed, "low": low, "high": high, "p": p}


def comparison(runs: Sequence[Run], judged: Sequence[Judgement]) -> list[str]:
    """Say in words how runs differ: mean and spread over seeds, and of two runs their difference."""
    if len(runs) < 2:
        return []
    values = [each.summary["auroc"] for each in judged]
    lines = [f"AUROC of {len(runs)} runs: {statistics.mean(values):.4f} (s.d. {statistics.stdev(values):.4f})"]
    if others := unlike(runs):
        more = f" and {len(others) - _NAMED} more settings" if len(others) > _NAMED else ""
        lines = [f"No mean over runs: they differ in more than the seed ({', '.join(others[:_NAMED])}{more})."]
    if len(runs) == 2:
        found = compare(runs[0].test, runs[1].test, (judged[0], judged[1]))
        lines.append(
            f"Difference {found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}], p = {found['p']:.3f} "
            f"(first minus second run, paired bootstrap, {percent(judged[0].confidence)} interval)"
        )
    return lines


def _resampled(test: Predictions, protocol: Protocol, patients: Tensor | None) -> tuple[Resampled, list[str]]:
    try:
        counts = draw_counts(test.labels, protocol.resamples, protocol.seed, patients)
        return judge_resamples(test.scores, test.labels, counts), []
    except ProjectionError as error:
        undefined = torch.full((protocol.resamples, test.labels.shape[1]), torch.nan, dtype=torch.float64)
        return Resampled(undefined, undefined), [f"No interval: {error}"]


def _summary(columns: Mapping[str, Tensor], resampled: Tensor, confidence: float) -> dict[str, float]:
    low, high = interval(resampled, confidence)
    summary = {"auroc": float(columns["auroc"].nanmean()), "auroc_low": low, "auroc_high": high}
    averaged = ("average_precision", "brier", "sensitivity", "specificity", "ppv", "npv", "f1")
    return summary | {name: float(columns[name].nanmean()) for name in averaged}


def _challenge_scores(validation: Predictions, test: Predictions) -> dict[str, float]:
    """Score decisions as the PTB-XL benchmark does: at thresholds fitted for G2, votes shared by a record's labels."""
    votes = challenge_weights(validation.labels)
    thresholds = fit_thresholds(validation.scores, validation.labels, "g2", weights=votes)
    shared = confusion(test.scores >= thresholds, test.labels, challenge_weights(test.labels))
    return {"f2": float(shared.f_score(2).nanmean()), "g2": float(shared.g_score(2).nanmean())}


def _calibration(validation: Predictions, test: Predictions) -> dict[str, float]:
    temperature = fit_temperature(validation.scores, validation.labels)
    cooled = (logit(test.scores) / temperature).sigmoid()
    return {
        "ece": float(reliability(test.scores, test.labels).expected_calibration_error),
        "temperature": temperature,
        "ece_with_temperature": float(reliability(cooled, test.labels).expected_calibration_error),
    }
