"""What a model looked at: integrated gradients."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Model = Callable[[Tensor], Tensor]
"""From signals `(batch, leads, time)` in mV to logits `(batch, classes)`."""

_BATCH = 8  # points of the path at a time


@dataclass(frozen=True)
class Attribution:
    """How much each sample of each lead added to a logit.

    Args:
        values: float64 `(leads, time)`; above 0 what speaks for the statement, below 0 what speaks against it.
        logit: Of the record.
        flat_logit: Of the flat line from which the path begins.
    """

    values: NDArray[np.float64]
    logit: float
    flat_logit: float

    @property
    def unexplained(self) -> float:
        """The part of the difference of both logits that the values do not add up to: the error of the summation."""
        return self.logit - self.flat_logit - float(self.values.sum())

    def lead_shares(self) -> NDArray[np.float64]:
        """Compute how the absolute values are divided among the leads, adding up to 1; all 0 where there are none."""
        each: NDArray[np.float64] = np.abs(self.values).sum(axis=1)
        return each / max(float(each.sum()), np.finfo(np.float64).tiny)


def integrated_gradients(logit: Callable[[Tensor], Tensor], x: Tensor, steps: int = 32) -> Attribution:
    """Divide a logit among the samples of a record.

    The gradient is averaged along the straight path from a flat line of 0 mV to the record, and multiplied by the
    record (Sundararajan, Taly and Yan, Axiomatic attribution for deep networks, ICML 2017). The values add up to the
    difference of both logits, but for the error of averaging over a finite number of points, and are 0 where the model
    ignores its input; plain gradients promise neither.

    Args:
        logit: From signals `(batch, leads, time)` in mV to one logit each, `(batch,)`; in evaluation mode.
        x: The record in mV, `(leads, time)`.
        steps: Points of the path, in the middle of as many equal parts.
    """
    total = torch.zeros(x.shape, dtype=torch.float64)
    for shares in torch.split((torch.arange(steps) + 0.5) / steps, _BATCH):
        points = (shares.view(-1, 1, 1) * x).requires_grad_()
        (gradients,) = torch.autograd.grad(logit(points).sum(), points)
        total += gradients.double().sum(dim=0)
    with torch.no_grad():
        ends = logit(torch.stack([torch.zeros_like(x), x]))
    return Attribution((total / steps * x.double()).numpy(), float(ends[1]), float(ends[0]))
