"""How runs are judged."""

from dataclasses import dataclass

import torch
from torch import Tensor

from projection.errors import ProjectionError
from projection.metrics.thresholds import Criterion


@dataclass(frozen=True)
class Protocol:
    """How to judge.

    Args:
        criterion: What thresholds are fitted for.
        sensitivity: The wanted sensitivity, where criterion asks for one (0 to 1).
        resamples: Of the bootstrap (1 or more).
        seed: Of the bootstrap.
        confidence: Of its intervals (0 to 1).
        by_patient: Draw patients with all of their records instead of single records.

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
