"""Changes of the spectrum: filters, new sampling rates and surrogates."""

import math
from itertools import pairwise

import torch
from torch import Tensor

from projection.errors import ProjectionError
from projection.transforms.transform import Generator, Transform, uniform


class BandPass(Transform):
    """Keep a band of frequencies, without shifting anything in time.

    The response is that of two analog Butterworth filters, a high-pass and a low-pass, each run forwards and backwards,
    applied to the spectrum of the signal mirrored at its ends. For model.init_args.preprocess.

    Args:
        low: Lower edge in Hz (above 0), where half of the amplitude is left; null for none.
        high: Upper edge in Hz (above `low`, at most half of the sampling rate), likewise.
        order: Steepness (1 or more).
    """

    random = False

    def __init__(self, low: float | None = 0.5, high: float | None = 40.0, order: int = 3) -> None:
        super().__init__()
        edges = [0.0, *(edge for edge in (low, high) if edge is not None)]
        self._require(all(a < b for a, b in pairwise(edges)), f"0 < low < high, or null, found {low} and {high}")
        self._require(order >= 1, f"an order of at least 1, found {order}")
        self.low = low
        self.high = high
        self.order = order

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Filter a batch."""
        if self.high is not None and 2 * self.high > sampling_rate:
            raise ProjectionError(
                f"BandPass has its upper edge at {self.high:g} Hz, but signals at {sampling_rate} Hz end at "
                f"{sampling_rate / 2:g} Hz. Lower `high`, or set it to null."
            )
        mirrored = _mirrored(x)
        hertz = torch.fft.rfftfreq(mirrored.shape[2], 1 / sampling_rate, device=x.device, dtype=x.dtype)
        gain = torch.ones_like(hertz)
        if self.low is not None:
            gain = gain / (1 + (self.low / hertz) ** (2 * self.order))
        if self.high is not None:
            gain = gain / (1 + (hertz / self.high) ** (2 * self.order))
        filtered = torch.fft.irfft(torch.fft.rfft(mirrored) * gain, mirrored.shape[2])
        return filtered[..., : x.shape[2]], y


class Resample(Transform):
    """Change the sampling rate, for instance to use a file at 500 Hz with a recipe for 100 Hz.

    Frequencies above half of the lower rate are cut off; all others stay as they are. For
    model.init_args.preprocess.

    Args:
        hertz: The new sampling rate in Hz (1 or more).
    """

    random = False

    def __init__(self, hertz: int) -> None:
        super().__init__()
        self._require(hertz >= 1, f"a rate of at least 1 Hz, found {hertz}")
        self.hertz = hertz

    def output_rate(self, sampling_rate: int) -> int:
        """Tell the new sampling rate, whatever the old one."""
        return self.hertz

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Resample a batch to `(batch, leads, time * hertz / sampling_rate)`, rounded up."""
        common = math.gcd(sampling_rate, self.hertz)
        down, up = sampling_rate // common, self.hertz // common
        mirrored = _mirrored(x, multiple_of=down)
        new = mirrored.shape[2] // down * up
        # half of the old rate needs no care: mirroring leaves nothing there
        spectrum = torch.fft.rfft(mirrored)[..., : new // 2 + 1]
        resampled = torch.fft.irfft(spectrum, new) * (up / down)
        return resampled[..., : -(-x.shape[2] * up // down)], y


class FourierSurrogate(Transform):
    """Shift the phase of every frequency at random and keep its amplitude.

    All leads of a record get the same shifts, which keeps their relation. Small shifts blur the shape of beats, full
    ones leave nothing of it but its power spectrum. After Theiler et al., Physica D 58, 1992, and, as an augmentation,
    Schwabedal et al., arXiv:1806.08675, 2018.

    Args:
        strength: Largest shift as a part of half a turn (0 to 1).
    """

    def __init__(self, strength: float = 0.1) -> None:
        super().__init__()
        self.strength = strength

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Shift the phases of a batch."""
        length = x.shape[2]
        spectrum = torch.fft.rfft(x)
        reach = math.pi * self.strength
        shift = uniform(x, (len(x), 1, spectrum.shape[2]), -reach, reach, generator)
        shift[..., 0] = 0  # the mean and, for even lengths, the highest frequency are real
        if length % 2 == 0:
            shift[..., -1] = 0
        return torch.fft.irfft(spectrum * torch.polar(torch.ones_like(shift), shift), length), y


def _mirrored(x: Tensor, multiple_of: int = 1) -> Tensor:
    """Append signals to themselves backwards, so that their spectrum sees no jump from the end to the beginning.

    The last sample is held until the new length is a multiple of `multiple_of`.
    """
    held = x[..., -1:].expand(-1, -1, -2 * x.shape[2] % multiple_of)
    return torch.cat([x, held, x.flip(2)], dim=2)
