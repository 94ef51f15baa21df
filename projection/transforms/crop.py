"""Random crops, the benchmark's only augmentation."""

import torch
from torch import Tensor

from projection.transforms.transform import Generator, Transform


class RandomCrop(Transform):
    """Cut a stretch of fixed length at a random place, another for each record.

    Args:
        seconds: Length of the stretch in s (above 0); shorter signals stay whole.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._require(seconds > 0, f"more than 0 seconds, found {seconds}")
        self.seconds = seconds

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Crop a batch to `(batch, leads, seconds * sampling_rate)`."""
        batch, leads, length = x.shape
        kept = min(round(self.seconds * sampling_rate), length)
        starts = torch.randint(length - kept + 1, (batch, 1, 1), generator=generator, device=x.device)
        positions = starts + torch.arange(kept, device=x.device)
        return x.gather(2, positions.expand(batch, leads, kept)), y
