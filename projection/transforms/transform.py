"""The contract of a transform: one batch in, one batch out, on the device where the batch lives."""

from hashlib import blake2b
from typing import ClassVar

import torch
from torch import Tensor, nn

from projection.errors import ProjectionError

Generator = torch.Generator | None


class Transform(nn.Module):
    """Change a batch of records.

    Derive from it and implement `forward`. Draw every random number from the given generator, so that a run can be
    repeated; give parameters in physical units (mV, Hz, s) and convert them with the sampling rate; keep each as an
    attribute of its name; leave the input as it is. A transform that draws nothing and that every record goes through
    sets `random = False`: it is given as model.init_args.preprocess, others as data.init_args.transforms.
    """

    random: ClassVar[bool] = True
    """Whether it augments training batches."""

    def output_rate(self, sampling_rate: int) -> int:
        """Tell the sampling rate of what comes out, given that of what goes in (both in Hz)."""
        return sampling_rate

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Transform a batch.

        Args:
            x: Signals `(batch, leads, time)` in mV.
            y: Labels `(batch, classes)`.
            sampling_rate: In Hz.
            generator: Source of randomness on the device of `x`; None takes PyTorch's own.
        """
        raise NotImplementedError

    def extra_repr(self) -> str:
        """List the settings, so that two transforms of equal `repr` do the same."""
        return ", ".join(
            f"{name}={value!r}" for name, value in vars(self).items() if not name.startswith("_") and name != "training"
        )

    def _require(self, holds: bool, needs: str) -> None:
        """Refuse an argument that is out of its range, which would otherwise end in a traceback or in wrong signals.

        `needs` says what the transform needs, and what was found.
        """
        if not holds:
            raise ProjectionError(f"{type(self).__name__} needs {needs}.")


def uniform(x: Tensor, shape: tuple[int, ...], low: float, high: float, generator: Generator) -> Tensor:
    """Draw numbers evenly between `low` and `high`, on the device and in the precision of a batch `x`."""
    return low + (high - low) * torch.rand(shape, generator=generator, device=x.device, dtype=x.dtype)


def seeded_generator(device: torch.device, *numbers: int) -> torch.Generator:
    """Make a source of randomness that depends on nothing but the given numbers, as `seed_of` does."""
    return torch.Generator(device).manual_seed(seed_of(*numbers))


def seed_of(*numbers: int) -> int:
    """Make a seed of 63 bits out of numbers, such as a run's seed, the batch's number and the process's.

    Args:
        numbers: 0 or more each; those that differ in one make seeds that have nothing in common.
    """
    return int.from_bytes(blake2b(repr(numbers).encode(), digest_size=8).digest()) >> 1
