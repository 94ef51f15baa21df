"""Changes of tempo."""

import math

import torch
from torch import Tensor

from projection.transforms.transform import Generator, Transform, uniform


class TimeWarp(Transform):
    """Speed a record up and slow it down smoothly, in another rhythm for each; beginning and end stay in place.

    Args:
        max_change: Largest local change of speed: 0.1 is a tenth faster or slower (0 to below 1).
        period: From fast to slow and back, in s (above 0); rounded so that a record has a whole number of them.
    """

    def __init__(self, max_change: float = 0.1, period: float = 4.0) -> None:
        super().__init__()
        self._require(0 <= max_change < 1, f"a max_change from 0 to below 1, found {max_change}")
        self._require(period > 0, f"a period above 0, found {period}")
        self.max_change = max_change
        self.period = period

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Warp a batch."""
        batch, _, length = x.shape
        last = max(1, length - 1)
        # a whole number of periods brings the end back to its place with no further change of speed
        turns = 2 * math.pi * max(1, round(last / (self.period * sampling_rate))) / last
        reach = uniform(x, (batch, 1), 0.0, self.max_change / turns, generator)
        phase = uniform(x, (batch, 1), 0.0, 2 * math.pi, generator)
        time = torch.arange(length, device=x.device, dtype=x.dtype)
        return _interpolate(x, time + reach * (torch.sin(turns * time + phase) - torch.sin(phase))), y


def _interpolate(x: Tensor, positions: Tensor) -> Tensor:
    """Read signals between their samples, by Catmull and Rom's cubic (1974), which spares the steep QRS complex."""
    left = positions.floor().clamp(0, x.shape[2] - 1)
    t = (positions - left).unsqueeze(1)
    before, here, after, beyond = (
        x.gather(2, (left.long() + offset).clamp(0, x.shape[2] - 1).unsqueeze(1).expand_as(x))
        for offset in (-1, 0, 1, 2)
    )
    slope = after - before
    square = 2 * before - 5 * here + 4 * after - beyond
    cube = 3 * (here - after) + beyond - before
    return here + 0.5 * t * (slope + t * (square + t * cube))
