"""Calibration against NumPy and SciPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from torch import Tensor

from projection.metrics import brier, calibration, fit_temperature, reliability
from tests.metrics.drawn import close, predictions


@given(predictions())
def test_brier_is_the_mean_squared_error_of_each_class(drawn: tuple[Tensor, Tensor]) -> None:
    scores, labels = drawn
    expected = [np.mean((p - y) ** 2) for p, y in zip(scores.double().numpy().T, labels.numpy().T, strict=True)]
    close(brier(scores, labels), np.array(expected))


@given(predictions(), st.sampled_from([2, 10, 15]))
def test_bins_and_calibration_error_are_those_of_numpy(drawn: tuple[Tensor, Tensor], bins: int) -> None:
    scores, labels = drawn
    p, y = scores.double().numpy().ravel(), labels.numpy().ravel()
    place = np.digitize(p, np.arange(1, bins) / bins)
    found = reliability(scores, labels, bins)
    error = 0.0
    for each in range(bins):
        inside = place == each
        assert found.counts[each] == inside.sum()
        if not inside.any():
            assert found.predicted[each].isnan()
            assert found.observed[each].isnan()
            continue
        close(found.predicted[each], p[inside].mean())
        close(found.observed[each], y[inside].mean())
        error += inside.mean() * abs(p[inside].mean() - y[inside].mean())
    close(found.expected_calibration_error, error)


def test_bins_are_ten_by_default_and_begin_with_their_lower_edge() -> None:
    edges = torch.arange(11, dtype=torch.float64) / 10
    assert reliability(edges, torch.zeros(11)).counts.tolist() == [1] * 9 + [2]


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


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.floats(0.2, 4))
def test_the_temperature_is_the_likeliest(seed: int, sharpness: float) -> None:
    generator = np.random.default_rng(seed)
    y = generator.random((200, 2)) < 0.3
    probabilities = expit(sharpness * (2 * y - 1 + 2 * generator.normal(size=y.shape)))

    def surprise(log_temperature: float) -> float:
        cooled = logit(probabilities.clip(2**-23, 1 - 2**-23)) / np.exp(log_temperature)
        return float(np.mean(np.logaddexp(0, cooled) - y * cooled))

    expected = minimize_scalar(surprise, bounds=(-3, 3), method="bounded", options={"xatol": 1e-9})
    found = fit_temperature(torch.from_numpy(probabilities), torch.from_numpy(y))
    assert np.log(found) == pytest.approx(expected.x, abs=1e-5)


@pytest.mark.parametrize("labels", [[0, 1, 1, 0], [1, 0, 0, 1]])
def test_certain_probabilities_leave_a_finite_temperature(labels: list[int]) -> None:
    found = fit_temperature(torch.tensor([[0.0], [1.0], [1.0], [0.5]]), torch.tensor(labels).unsqueeze(1))
    assert np.isfinite(found)
    assert found > 0


def test_logits_of_certain_probabilities_are_finite_and_others_are_exact() -> None:
    found = calibration.logit(torch.tensor([0.0, 0.1, 0.5, 0.9, 1.0], dtype=torch.float64))
    close(found[1:4], logit([0.1, 0.5, 0.9]))
    close(found[[0, 4]], logit([2**-23, 1 - 2**-23]))
