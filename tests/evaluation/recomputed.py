"""A judgement computed again in NumPy, SciPy and scikit-learn, as its metrics are defined: slowly, and to be read."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from projection.evaluation.protocol import Protocol
from projection.metrics.bootstrap import draw_counts
from projection.runs.predictions import Predictions

Numbers = NDArray[np.float64]

_CLIP = 2.0**-23


def summary_and_classes(
    validation: Predictions, test: Predictions, protocol: Protocol
) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
    """Give all numbers but the interval."""
    scores, labels = test.scores.numpy(), test.labels.numpy()
    seen, known = validation.scores.numpy(), validation.labels.numpy()
    worth = _worth(protocol.criterion, protocol.sensitivity)
    classes = {}
    for i, name in enumerate(test.class_names):
        threshold = best_threshold(seen[:, i], known[:, i], np.ones(len(seen)), worth)
        classes[name] = _class(scores[:, i], labels[:, i], threshold)
    averaged = ("auroc", "average_precision", "brier", "sensitivity", "specificity", "ppv", "npv", "f1")
    summary = {key: float(np.nanmean([row[key] for row in classes.values()])) for key in averaged}
    summary["validation_auroc"] = macro_auroc(seen, known)
    summary["fmax"] = fmax(scores, labels)
    summary |= challenge_scores(seen, known, scores, labels)
    summary["temperature"] = temperature(seen, known)
    summary["ece"] = calibration_error(scores, labels)
    cooled = expit(logit(scores.clip(_CLIP, 1 - _CLIP)) / summary["temperature"])
    summary["ece_with_temperature"] = calibration_error(cooled, labels)
    return summary, classes


def resampled_auroc(test: Predictions, protocol: Protocol, patients: NDArray[np.int64] | None = None) -> Numbers:
    """Judge each resample by scikit-learn, after repeating its records."""
    return np.nanmean(resampled_classes(test, protocol, roc_auc_score, patients), axis=1)


def resampled_classes(
    test: Predictions, protocol: Protocol, metric: Callable[..., float], patients: NDArray[np.int64] | None = None
) -> Numbers:
    """Judge each class in each resample, `(resamples, classes)`; NaN for a class without both outcomes."""
    scores, labels = test.scores.numpy(), test.labels.numpy()
    both = (labels.min(axis=0) == 0) & (labels.max(axis=0) == 1)
    whose = None if patients is None else torch.from_numpy(patients)
    counts = draw_counts(torch.from_numpy(labels[:, both] > 0), protocol.resamples, protocol.seed, whose)
    chosen = [np.repeat(np.arange(len(scores)), count) for count in counts.T.long().numpy()]
    return np.array(
        [
            [metric(labels[rows, i], scores[rows, i]) if both[i] else np.nan for i in range(scores.shape[1])]
            for rows in chosen
        ]
    )


def class_intervals(
    test: Predictions, protocol: Protocol, patients: NDArray[np.int64] | None = None
) -> dict[str, dict[str, float]]:
    """Give the interval of each class's areas."""
    found: dict[str, dict[str, float]] = {name: {} for name in test.class_names}
    for key, metric in (("auroc", roc_auc_score), ("average_precision", average_precision_score)):
        values = resampled_classes(test, protocol, metric, patients)
        for name, column in zip(test.class_names, values.T, strict=True):
            found[name][f"{key}_low"], found[name][f"{key}_high"] = ends(column, protocol.confidence)
    return found


def ends(values: Numbers, confidence: float) -> tuple[float, float]:
    """Give the percentile interval."""
    low, high = np.percentile(values, [50 * (1 - confidence), 50 * (1 + confidence)])
    return float(low), float(high)


def macro_auroc(scores: Numbers, labels: NDArray[np.uint8]) -> float:
    """Average over the classes with both outcomes."""
    pairs = zip(scores.T, labels.T, strict=True)
    return float(np.mean([roc_auc_score(y, p) for p, y in pairs if 0 < y.sum() < len(y)]))


def best_threshold(scores: Numbers, labels: NDArray[np.uint8], votes: Numbers, worth: Callable[..., float]) -> float:
    """Try every score, from the highest on."""
    if labels.min() == labels.max():
        return float("inf")
    candidates = np.unique(scores)[::-1]
    values = [worth(*_counts(scores >= each, labels, votes)) for each in candidates]
    return float(candidates[np.argmax(np.round(values, 12))])


def challenge_scores(
    seen: Numbers, known: NDArray[np.uint8], scores: Numbers, labels: NDArray[np.uint8]
) -> dict[str, float]:
    """F2 and G2 of PhysioNet's challenge: a record has one vote, also where thresholds are fitted."""
    votes_seen, votes = (1 / np.maximum(each.sum(axis=1), 1) for each in (known, labels))
    f2, g2 = [], []
    for i in range(scores.shape[1]):
        threshold = best_threshold(seen[:, i], known[:, i], votes_seen, _g2)
        tp, fp, fn, _ = _counts(scores[:, i] >= threshold, labels[:, i], votes)
        f2.append(_ratio(5 * tp, 5 * tp + fp + 4 * fn))
        g2.append(_ratio(tp, tp + fp + 2 * fn))
    return {"f2": float(np.nanmean(f2)), "g2": float(np.nanmean(g2))}


def fmax(scores: Numbers, labels: NDArray[np.uint8]) -> float:
    """The best F1 of mean precision and mean recall of records."""
    best = 0.0
    for threshold in np.unique(scores):
        reported = scores >= threshold
        hits = (reported & (labels == 1)).sum(axis=1)
        some = reported.any(axis=1)
        precision = (hits[some] / reported[some].sum(axis=1)).mean()
        recall = (hits / np.maximum(labels.sum(axis=1), 1)).mean()
        best = max(best, _ratio(2 * precision * recall, precision + recall) if precision + recall else 0.0)
    return best


def temperature(scores: Numbers, labels: NDArray[np.uint8]) -> float:
    """Minimise the cross-entropy of all classes together."""
    logits = logit(scores.clip(_CLIP, 1 - _CLIP))

    def surprise(log_temperature: float) -> float:
        cooled = logits / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0, cooled) - labels * cooled))

    return float(np.exp(minimize_scalar(surprise, bounds=(-4, 4), method="bounded", options={"xatol": 1e-10}).x))


def calibration_error(scores: Numbers, labels: NDArray[np.uint8]) -> float:
    """Ten bins over all classes together, weighed by how much is in them."""
    p, y = scores.ravel(), labels.ravel()
    place = np.digitize(p, np.arange(1, 10) / 10)
    insides = [place == each for each in np.unique(place)]
    return float(sum(inside.mean() * abs(p[inside].mean() - y[inside].mean()) for inside in insides))


def _class(scores: Numbers, labels: NDArray[np.uint8], threshold: float) -> dict[str, float]:
    both = labels.min() < labels.max()
    tp, fp, fn, tn = _counts(scores >= threshold, labels, np.ones(len(labels)))
    return {
        "positives": float(labels.sum()),
        "auroc": float(roc_auc_score(labels, scores)) if both else np.nan,
        "average_precision": float(average_precision_score(labels, scores)) if both else np.nan,
        "brier": float(brier_score_loss(labels, scores, labels=[0, 1])),
        "threshold": threshold,
        "sensitivity": _ratio(tp, tp + fn),
        "specificity": _ratio(tn, tn + fp),
        "ppv": _ratio(tp, tp + fp),
        "npv": _ratio(tn, tn + fn),
        "f1": _ratio(2 * tp, 2 * tp + fp + fn),
    }


def _worth(criterion: str, sensitivity: float) -> Callable[..., float]:
    # thresholds are tried from the highest on, so that the first with the wanted sensitivity is taken
    return {
        "youden": lambda tp, fp, fn, tn: tp / (tp + fn) + tn / (tn + fp),
        "f1": lambda tp, fp, fn, tn: 2 * tp / (2 * tp + fp + fn),
        "g2": _g2,
        "sensitivity": lambda tp, fp, fn, tn: float(tp / (tp + fn) >= sensitivity),
    }[criterion]


def _g2(tp: float, fp: float, fn: float, tn: float) -> float:
    return tp / (tp + fp + 2 * fn)


def _counts(reported: NDArray[np.bool_], labels: NDArray[np.uint8], votes: Numbers) -> list[float]:
    true = labels == 1
    pairs = (true & reported, ~true & reported, true & ~reported, ~true & ~reported)
    return [float(votes[pair].sum()) for pair in pairs]


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")
