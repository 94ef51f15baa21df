"""The contract of a transform: one batch in, one batch out, on the device where the batch lives."""

import torch
from torch import Tensor, nn


class Transform(nn.Module):
    """Change a batch of training records.

    Derive from it and implement `forward`. Draw every random number from the given generator, so that a run can be
    repeated; give parameters in physical units (mV, Hz, s) and convert them with the sampling rate.
    """

    def forward(
        self, x: Tensor, y: Tensor, sampling_rate: int, generator: torch.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Transform a batch.

        Args:
            x: Signals `(batch, leads, time)` in mV.
            y: Labels `(batch, classes)`.
            sampling_rate: In Hz.
            generator: Source of randomness on the device of `x`; None takes PyTorch's own.

        Returns:
            The changed signals and labels.
        """
        raise NotImplementedError
