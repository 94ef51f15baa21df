"""How runs are judged."""

from dataclasses import dataclass

import torch
from torch import Tensor

from projection.errors import ProjectionError
from projection.metrics.thresholds import Criterion


@dataclass(frozen=True)
class Protocol:
    """How to judge; the arguments of `evaluate` say what each means.

    Raises:
        ProjectionError: If one is out of its range.
    """

    criterion: Criterion = "youden"
    sensitivity: float = 0.9
    resamples: int = 1000
    seed: int = 0
    confidence: float = 0.95
    by_patient: bool = False

    def __post_init__(self) -> None:
        if self.resamples < 1 or not 0 < self.confidence < 1 or not 0 < self.sensitivity <= 1:
            raise ProjectionError("resamples is 1 or more, confidence and sensitivity are between 0 and 1.")


def ends(values: Tensor, confidence: float) -> Tensor:
    """Give the ends of the percentile interval of values `(resamples, ...)`, `(2, ...)`; NaN where one is."""
    outside = (1 - confidence) / 2
    return values.quantile(torch.tensor([outside, 1 - outside], dtype=values.dtype), dim=0)


def interval(values: Tensor, confidence: float) -> tuple[float, float]:
    """Give the ends of the percentile interval of values `(resamples,)` at a confidence of 0 to 1."""
    low, high = ends(values, confidence).tolist()
    return float(low), float(high)
