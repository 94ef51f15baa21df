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
        self.transform = transform
        self.probability = probability

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Transform some records of a batch; arguments as in `Transform.forward`."""
        chosen = uniform(x, (len(x),), 0.0, 1.0, generator) < self.probability
        changed_x, changed_y = self.transform(x, y, sampling_rate, generator)
        return torch.where(chosen.view(-1, 1, 1), changed_x, x), torch.where(chosen.view(-1, 1), changed_y, y)
