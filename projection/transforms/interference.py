"""What disturbs an electrocardiogram from outside the heart: breathing, loose electrodes and the mains."""

import math
from typing import Literal

import torch
from torch import Tensor

from projection.errors import ProjectionError
from projection.transforms.transform import Generator, Transform, uniform


class BaselineWander(Transform):
    """Add slow waves, as breathing and moving electrodes do: common to all leads, but of another size in each.

    Args:
        max_millivolts: The wander never exceeds this, in mV.
        max_hertz: Fastest wave in Hz (0.05 or more); the slowest takes 20 s (0.05 Hz).
        waves: How many sinusoids make up the wander (1 or more).
    """

    def __init__(self, max_millivolts: float = 0.2, max_hertz: float = 0.5, waves: int = 3) -> None:
        super().__init__()
        self._require(max_hertz >= 0.05, f"a max_hertz of at least 0.05, found {max_hertz}")
        self._require(waves >= 1, f"at least 1 wave, found {waves}")
        self.max_millivolts = max_millivolts
        self.max_hertz = max_hertz
        self.waves = waves

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Add wander to a batch."""
        batch, leads, length = x.shape
        seconds = torch.arange(length, device=x.device, dtype=x.dtype) / sampling_rate
        hertz = uniform(x, (batch, self.waves, 1), 0.05, self.max_hertz, generator)
        phase = uniform(x, (batch, self.waves, 1), 0.0, 2 * math.pi, generator)
        largest = self.max_millivolts / self.waves
        amplitude = uniform(x, (batch, leads, self.waves), -largest, largest, generator)
        return x + amplitude @ torch.sin(2 * math.pi * hertz * seconds + phase), y


class PowerLineInterference(Transform):
    """Add the hum of the mains, in phase on all leads, but of another size in each.

    Args:
        max_millivolts: Largest amplitude in mV.
        hertz: Frequency of the mains: 50 in most of the world, 60 in the Americas. At a sampling rate of 100 Hz, 60 Hz
            cannot be represented.
    """

    def __init__(self, max_millivolts: float = 0.05, hertz: Literal[50, 60] = 50) -> None:
        super().__init__()
        self.max_millivolts = max_millivolts
        self.hertz = hertz

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Add hum to a batch."""
        if 2 * self.hertz > sampling_rate:
            raise ProjectionError(
                f"PowerLineInterference cannot add {self.hertz} Hz to signals at {sampling_rate} Hz: at most half the "
                "sampling rate can be represented. Use hertz: 50, or a file at 500 Hz."
            )
        batch, leads, length = x.shape
        seconds = torch.arange(length, device=x.device, dtype=x.dtype) / sampling_rate
        phase = uniform(x, (batch, 1, 1), 0.0, 2 * math.pi, generator)
        amplitude = uniform(x, (batch, leads, 1), 0.0, self.max_millivolts, generator)
        return x + amplitude * torch.sin(2 * math.pi * self.hertz * seconds + phase), y
