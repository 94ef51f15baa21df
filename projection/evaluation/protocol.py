"""How runs are judged."""

from dataclasses import dataclass

import torch
from torch import Tensor

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
        by_patient: Draw patients with all of their records instead of single records.
    """

    criterion: Criterion
    sensitivity: float
    resamples: int
    seed: int
    confidence: float
    by_patient: bool = False


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
