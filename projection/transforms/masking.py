"""Hiding parts of a record, so that a network does not rely on any one of them."""

import torch
from torch import Tensor

from projection.transforms.transform import Generator, Transform, uniform


class LeadDropout(Transform):
    """Set whole leads to zero, as if their electrodes had come off; never all of a record.

    Args:
        probability: Of each lead to be lost (0 to 1).
    """

    def __init__(self, probability: float = 0.1) -> None:
        super().__init__()
        self._require(0 <= probability <= 1, f"a probability from 0 to 1, found {probability}")
        self.probability = probability

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Drop leads of a batch."""
        chance = uniform(x, (*x.shape[:2], 1), 0.0, 1.0, generator)
        # the luckiest lead stays whatever the probability
        kept = (chance >= self.probability) | (chance == chance.amax(dim=1, keepdim=True))
        return x * kept, y


class TimeMask(Transform):
    """Set a stretch of all leads to zero, of another length and at another place in each record.

    Args:
        max_seconds: Longest stretch in s.
    """

    def __init__(self, max_seconds: float = 0.5) -> None:
        super().__init__()
        self.max_seconds = max_seconds

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Mask a stretch of each record."""
        batch, _, length = x.shape
        masked = uniform(x, (batch, 1, 1), 0.0, self.max_seconds * sampling_rate, generator).clamp(max=length)
        start = uniform(x, (batch, 1, 1), 0.0, 1.0, generator) * (length - masked)
        time = torch.arange(length, device=x.device)
        return x * ((time < start) | (time >= start + masked)), y
