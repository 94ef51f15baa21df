"""Decisions, thresholds and calibration against scikit-learn and against their definitions."""

from collections.abc import Callable

import numpy as np
import pytest
import sklearn.metrics
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from projection.metrics import (
    brier,
    challenge_weights,
    confusion,
    fit_temperature,
    fmax,
    reliability,
)


@st.composite
def predictions(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Probabilities with ties, constant columns and extremes; labels with absent classes."""
    records, classes = draw(st.integers(2, 40)), draw(st.integers(1, 5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    scores = torch.randint(levels + 1, (records, classes), generator=generator) / levels
    labels = (torch.rand(records, classes, generator=generator) < draw(st.sampled_from([0.1, 0.5, 0.9]))).int()
    return scores.float(), labels


def close(found: Tensor, expected: float | list[float] | np.ndarray) -> None:
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12, equal_nan=True)


@given(predictions())
def test_counts_and_scores_are_those_of_scikit_learn(drawn: tuple[Tensor, Tensor]) -> None:
    scores, labels = drawn
    found = confusion(scores >= 0.5, labels)
    true, decisions = labels.numpy(), (scores >= 0.5).int().numpy()

    def each(function: Callable[..., np.ndarray], true: np.ndarray, decisions: np.ndarray, **more: int) -> list[float]:
        how = {"labels": [1], "average": None, "zero_division": np.nan, **more}
        return [float(function(*pair, **how)[0]) for pair in zip(true.T, decisions.T, strict=True)]

    close(found.sensitivity, each(sklearn.metrics.recall_score, true, decisions))
    close(found.positive_predictive_value, each(sklearn.metrics.precision_score, true, decisions))
    close(found.specificity, each(sklearn.metrics.recall_score, 1 - true, 1 - decisions))
    close(found.negative_predictive_value, each(sklearn.metrics.precision_score, 1 - true, 1 - decisions))
    for beta in (1, 2):
        close(found.f_score(beta), each(sklearn.metrics.fbeta_score, true, decisions, beta=beta))


@given(predictions())
def test_challenge_scores_follow_their_definition(drawn: tuple[Tensor, Tensor]) -> None:
    scores, labels = drawn
    kept = labels.sum(dim=1) > 0
    scores, labels = scores[kept], labels[kept]
    found = confusion(scores >= 0.5, labels, challenge_weights(labels))
    for position in range(labels.shape[1]):
        tp = fp = fn = 0.0
        for row, truth in zip(scores >= 0.5, labels, strict=True):
            vote = 1 / int(truth.sum())
            tp += vote * bool(row[position] and truth[position])
            fp += vote * bool(row[position] and not truth[position])
            fn += vote * bool(truth[position] and not row[position])
        for score, expected in (
            (found.f_score(2), 5 * tp / (5 * tp + fp + 4 * fn) if tp + fp + fn else np.nan),
            (found.g_score(2), tp / (tp + fp + 2 * fn) if tp + fp + fn else np.nan),
        ):
            close(score[position], np.float64(expected))


@given(predictions())
def test_fmax_tries_every_threshold(drawn: tuple[Tensor, Tensor]) -> None:
    scores, labels = drawn
    kept = labels.sum(dim=1) > 0
    scores, labels = scores[kept], labels[kept]
    if not len(labels):
        return
    best = 0.0
    for threshold in scores.unique():
        reported = scores >= threshold
        some = reported.any(dim=1)
        hits = (reported & (labels > 0)).sum(dim=1).double()
        precision = (hits / reported.sum(dim=1))[some].mean()
        recall = (hits / labels.sum(dim=1)).mean()
        if precision + recall:
            best = max(best, float(2 * precision * recall / (precision + recall)))
    close(fmax(scores, labels), np.float64(best))


@given(predictions())
def test_brier_is_that_of_scikit_learn(drawn: tuple[Tensor, Tensor]) -> None:
    scores, labels = drawn
    expected = [np.mean((p - y) ** 2) for p, y in zip(scores.double().numpy().T, labels.numpy().T, strict=True)]
    close(brier(scores, labels), np.array(expected))


@given(predictions())
def test_reliability_counts_every_prediction_once(drawn: tuple[Tensor, Tensor]) -> None:
    scores, labels = drawn
    bins = reliability(scores, labels, bins=10)
    assert bins.counts.sum() == scores.numel()
    filled = bins.counts > 0
    edges = torch.arange(10, dtype=torch.float64)[filled] / 10
    assert (bins.predicted[filled] >= edges - 1e-6).all()
    assert (bins.predicted[filled] <= edges + 0.1 + 1e-6).all()
    assert 0 <= bins.expected_calibration_error <= 1


def test_a_perfectly_calibrated_model_has_no_calibration_error() -> None:
    probabilities = torch.tensor([0.25] * 4 + [0.75] * 4)
    labels = torch.tensor([0, 0, 0, 1, 1, 1, 1, 0])
    assert reliability(probabilities, labels).expected_calibration_error == 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_that_spoilt_probabilities_is_found(temperature: float) -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(20_000, 3, generator=generator, dtype=torch.float64)
    labels = (torch.rand(logits.shape, generator=generator) < logits.sigmoid()).int()
    found = fit_temperature((logits * temperature).sigmoid(), labels)
    assert found == pytest.approx(temperature, rel=0.03)
