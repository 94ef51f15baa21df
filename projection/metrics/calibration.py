"""Whether probabilities mean what they say."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Reliability:
    """Predicted probabilities and observed frequencies, in bins of equal width.

    Args:
        predicted: Mean probability of each bin, float64 `(bins,)`; NaN for empty ones.
        observed: Share of positives in each bin; NaN for empty ones.
        counts: Predictions in each bin.
    """

    predicted: Tensor
    observed: Tensor
    counts: Tensor

    @property
    def expected_calibration_error(self) -> Tensor:
        """Mean distance of both, weighted by counts (Naeini, Cooper and Hauskrecht, AAAI 2015)."""
        distance = (self.predicted - self.observed).abs().nan_to_num(0.0)
        return (distance * self.counts).sum() / self.counts.sum()


def reliability(probabilities: Tensor, labels: Tensor, bins: int = 10) -> Reliability:
    """Compare probabilities with labels of 0 or 1, of any one shape, over all of them; the last bin includes 1."""
    p, y = probabilities.double().flatten(), labels.double().flatten()
    place = (p * bins).long().clamp(max=bins - 1)
    counts = torch.bincount(place, minlength=bins).double()
    predicted = torch.bincount(place, weights=p, minlength=bins) / counts
    observed = torch.bincount(place, weights=y, minlength=bins) / counts
    return Reliability(predicted, observed, counts)


def brier(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean squared error of probabilities (Brier, Monthly Weather Review 78, 1950).

    From probabilities and labels `(records, classes)` to float64 `(classes,)`.
    """
    return (probabilities.double() - labels.double()).square().mean(dim=0)


def fit_temperature(probabilities: Tensor, labels: Tensor) -> float:
    """Find the temperature by which the logits of validation records are to be divided, by maximum likelihood.

    It is above 1 where the model was too sure. After Guo et al., On calibration of modern neural networks, ICML 2017;
    by L-BFGS on the temperature's logarithm.
    """
    logits, y = logit(probabilities), labels.double()
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [log_temperature], max_iter=200, tolerance_grad=1e-10, tolerance_change=1e-12, line_search_fn="strong_wolfe"
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        value = torch.nn.functional.binary_cross_entropy_with_logits(logits / log_temperature.exp(), y)
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimizer.step(loss)  # type: ignore[no-untyped-call]
    return float(log_temperature.detach().exp())


def logit(probabilities: Tensor) -> Tensor:
    """Turn probabilities into logits (float64); 0 and 1 become the least and greatest that float32 tells from them."""
    tiny = torch.finfo(torch.float32).eps
    return probabilities.double().clamp(tiny, 1 - tiny).logit()
