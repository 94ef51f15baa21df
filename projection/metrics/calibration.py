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
    """Compare probabilities with what happened, over all predictions given.

    Args:
        probabilities: 0 to 1, any shape.
        labels: 0 or 1, the same shape.
        bins: How many; the last one includes 1.

    Returns:
        The bins.
    """
    p, y = probabilities.double().flatten(), labels.double().flatten()
    place = (p * bins).long().clamp(max=bins - 1)
    counts = torch.bincount(place, minlength=bins).double()
    predicted = torch.bincount(place, weights=p, minlength=bins) / counts
    observed = torch.bincount(place, weights=y, minlength=bins) / counts
    return Reliability(predicted, observed, counts)


def brier(probabilities: Tensor, labels: Tensor) -> Tensor:
    """Compute the mean squared error of probabilities (Brier, Monthly Weather Review 78, 1950).

    Args:
        probabilities: 0 to 1, `(records, classes)`.
        labels: 0 or 1, `(records, classes)`.

    Returns:
        float64 `(classes,)`.
    """
    return (probabilities.double() - labels.double()).square().mean(dim=0)


def fit_temperature(probabilities: Tensor, labels: Tensor) -> float:
    """Find the temperature by which logits are to be divided, by maximum likelihood.

    After Guo et al., On calibration of modern neural networks, ICML 2017; by L-BFGS on the temperature's logarithm.

    Args:
        probabilities: Of validation records, `(records, classes)`.
        labels: 0 or 1, `(records, classes)`.

    Returns:
        The temperature; above 1 where the model was too sure.
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
    """Turn probabilities into logits; 0 and 1 become the least and the greatest that single precision tells from them.

    Args:
        probabilities: 0 to 1.

    Returns:
        float64, the same shape.
    """
    tiny = torch.finfo(torch.float32).eps
    return probabilities.double().clamp(tiny, 1 - tiny).logit()
