"""From predictions to numbers: thresholds and temperature come from fold 9, everything else from fold 10."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from projection.evaluation.predictions import Predictions, check_comparable
from projection.metrics import (
    auroc,
    average_precision,
    bootstrap_auroc,
    brier,
    challenge_weights,
    confusion,
    fit_temperature,
    fit_thresholds,
    fmax,
    reliability,
)
from projection.metrics.calibration import logit
from projection.metrics.thresholds import Criterion


@dataclass(frozen=True)
class Protocol:
    """How to judge.

    Args:
        criterion: What thresholds are fitted for.
        sensitivity: The wanted sensitivity, where criterion asks for one.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
        confidence: Of its intervals (0 to 1).
    """

    criterion: Criterion
    sensitivity: float
    resamples: int
    seed: int
    confidence: float


@dataclass(frozen=True)
class Judgement:
    """What is known of a model.

    Args:
        summary: Numbers over all classes, by name; the AUROC's interval as `auroc_low` and `auroc_high`.
        classes: Numbers of each class, by name.
        bootstrap: The macro AUROC of each resample, for comparisons.
    """

    summary: dict[str, float]
    classes: dict[str, dict[str, float]]
    bootstrap: Tensor

    def as_json(self) -> dict[str, Any]:
        """Give everything but the resamples."""
        return {"summary": self.summary, "classes": self.classes}


def judge(validation: Predictions, test: Predictions, protocol: Protocol) -> Judgement:
    """Judge a model.

    Args:
        validation: Its predictions of fold 9.
        test: Its predictions of fold 10.
        protocol: How.

    Returns:
        The judgement.
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
    resampled = bootstrap_auroc(test.scores, test.labels, protocol.resamples, protocol.seed)
    summary = _summary(columns, resampled, protocol.confidence)
    summary["fmax"] = float(fmax(test.scores, test.labels))
    shared = confusion(decisions, test.labels, challenge_weights(test.labels))
    summary |= {"f2": float(shared.f_score(2).nanmean()), "g2": float(shared.g_score(2).nanmean())}
    summary |= _calibration(validation, test)
    names = test.class_names
    rows = {name: {key: float(column[i]) for key, column in columns.items()} for i, name in enumerate(names)}
    return Judgement(summary, rows, resampled)


def compare(one: Predictions, other: Predictions, judged: tuple[Judgement, Judgement]) -> dict[str, float]:
    """Compare two models by the paired bootstrap: each resample judges both on the same records.

    Args:
        one: Test predictions of the first.
        other: Of the second.
        judged: Their judgements, by the same protocol.

    Returns:
        The difference in macro AUROC, its interval of 95%, and the two-sided p-value.
    """
    check_comparable(one, other)
    differences = judged[0].bootstrap - judged[1].bootstrap
    low, high = interval(differences, 0.95)
    tail = min(float((differences <= 0).double().mean()), float((differences >= 0).double().mean()))
    observed = judged[0].summary["auroc"] - judged[1].summary["auroc"]
    # no resample at all on one side says less than one in their number
    p = min(1.0, 2 * max(tail, 1 / len(differences)))
    return {"difference": observed, "low": low, "high": high, "p": p}


def interval(values: Tensor, confidence: float) -> tuple[float, float]:
    """Give the percentile interval of resampled values.

    Args:
        values: `(resamples,)`.
        confidence: 0 to 1.

    Returns:
        Its ends.
    """
    outside = (1 - confidence) / 2
    ends = torch.tensor([outside, 1 - outside], dtype=values.dtype)
    low, high = values.quantile(ends).tolist()
    return float(low), float(high)


def _summary(columns: Mapping[str, Tensor], resampled: Tensor, confidence: float) -> dict[str, float]:
    low, high = interval(resampled, confidence)
    summary = {"auroc": float(columns["auroc"].nanmean()), "auroc_low": low, "auroc_high": high}
    averaged = ("average_precision", "brier", "sensitivity", "specificity", "ppv", "npv", "f1")
    return summary | {name: float(columns[name].nanmean()) for name in averaged}


def _calibration(validation: Predictions, test: Predictions) -> dict[str, float]:
    temperature = fit_temperature(validation.scores, validation.labels)
    cooled = (logit(test.scores) / temperature).sigmoid()
    return {
        "ece": float(reliability(test.scores, test.labels).expected_calibration_error),
        "temperature": temperature,
        "ece_with_temperature": float(reliability(cooled, test.labels).expected_calibration_error),
    }
