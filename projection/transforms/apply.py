"""Applying a transform now and then."""

import torch
from torch import Tensor

from projection.transforms.transform import Generator, Transform, uniform


class RandomApply(Transform):
    """Apply another transform to some records only, drawn anew for each batch.

    Args:
        transform: One that keeps the length of signals.
        probability: Of each record to be changed (0 to 1).
    """

    def __init__(self, transform: Transform, probability: float = 0.5) -> None:
        super().__init__()
        self._require(0 <= probability <= 1, f"a probability from 0 to 1, found {probability}")
        self.transform = transform
        self.probability = probability

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Transform some records of a batch."""
        chosen = uniform(x, (len(x),), 0.0, 1.0, generator) < self.probability
        changed_x, changed_y = self.transform(x, y, sampling_rate, generator)
        self._require(
            changed_x.shape == x.shape,
            f"a transform that keeps the length of signals, found {type(self.transform).__name__}, which made "
            f"{changed_x.shape[2]} samples of {x.shape[2]}",
        )
        return torch.where(chosen.view(-1, 1, 1), changed_x, x), torch.where(chosen.view(-1, 1), changed_y, y)
