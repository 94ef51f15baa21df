"""Changes of amplitude: noise and scale."""

import torch
from torch import Tensor

from projection.transforms.transform import Generator, Transform, uniform


class GaussianNoise(Transform):
    """Add white noise whose level is drawn anew for each record.

    Args:
        max_millivolts: Largest standard deviation of the noise in mV; the level is uniform between 0 and this.
    """

    def __init__(self, max_millivolts: float = 0.05) -> None:
        super().__init__()
        self.max_millivolts = max_millivolts

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Add noise to a batch."""
        level = uniform(x, (len(x), 1, 1), 0.0, self.max_millivolts, generator)
        return x + level * torch.randn(x.shape, generator=generator, device=x.device, dtype=x.dtype), y


class AmplitudeScaling(Transform):
    """Multiply all leads of a record by one factor, drawn anew for each record.

    Args:
        low: Smallest factor (above 0).
        high: Largest factor.
    """

    def __init__(self, low: float = 0.8, high: float = 1.25) -> None:
        super().__init__()
        self._require(0 < low <= high, f"a low above 0 and no larger than high, found {low} and {high}")
        self.low = low
        self.high = high

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Scale a batch."""
        return x * uniform(x, (len(x), 1, 1), self.low, self.high, generator), y
