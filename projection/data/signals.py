"""The int16 signals of a data set, wherever they wait: on the device, in the page cache, or on disk.

All classes share one interface: `gather` copies any rows into a buffer, `prefetch` announces rows that will be gathered
soon. They can be pickled and survive forks: files are opened by the process that reads them, when it first does.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Positions = NDArray[np.int64]
"""Which records of a data set or of a split, counted from 0."""


class Signals:
    """The int16 signals of a data set.

    Args:
        shape: `(records, leads, T)`.
        device: Where `gather` expects its buffer.
    """

    prefetches: bool = False
    """Whether `prefetch` is of use."""

    def __init__(self, shape: tuple[int, int, int], device: torch.device | str = "cpu") -> None:
        self.shape = shape
        self.device = torch.device(device)

    def gather(self, rows: Positions, out: Tensor) -> None:
        """Copy records, in any order and number, into a contiguous buffer, int16 `(batch, leads, T)` on `device`."""
        raise NotImplementedError

    def prefetch(self, rows: Positions) -> None:
        """Announce records that will be gathered soon."""

    def read(self, rows: Positions, pinned: bool = False) -> Tensor:
        """Copy records into a new tensor, int16 `(batch, leads, T)` on `device`.

        `pinned` memory is page-locked: a GPU copies from it faster and by itself.
        """
        out = torch.empty((len(rows), *self.shape[1:]), dtype=torch.int16, device=self.device, pin_memory=pinned)
        self.gather(rows, out)
        return out


def check_range(rows: Positions, records: int) -> None:
    """Raise an IndexError unless all rows are among so many records."""
    if len(rows) and not 0 <= rows.min() <= rows.max() < records:
        raise IndexError(f"Rows {rows.min()} to {rows.max()} were asked for, but there are 0 to {records - 1}.")
