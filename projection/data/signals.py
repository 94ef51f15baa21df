"""The int16 signals of a data set, wherever they wait: on the device, in the page cache, or on disk.

All classes share one interface: `gather` copies any rows into a buffer, `expect` announces rows that will be gathered
soon. They can be pickled and survive forks: files are opened by the process that reads them, when it first does.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Rows = NDArray[np.int64]


class Signals:
    """The int16 signals of a data set.

    Args:
        shape: `(records, leads, T)`.
        device: Where `gather` expects its buffer.
    """

    announced: bool = False
    """Whether `expect` is of use."""

    def __init__(self, shape: tuple[int, int, int], device: torch.device | str = "cpu") -> None:
        self.shape = shape
        self.device = torch.device(device)

    def gather(self, rows: Rows, out: Tensor) -> None:
        """Copy records into a buffer.

        Args:
            rows: Which records, in any order and number, `(batch,)`.
            out: int16 `(batch, leads, T)` on `device`, contiguous.
        """
        raise NotImplementedError

    def expect(self, rows: Rows) -> None:
        """Announce records that will be gathered soon.

        Args:
            rows: Which records, `(batch,)`.
        """

    def read(self, rows: Rows, pinned: bool = False) -> Tensor:
        """Copy records into a new tensor.

        Args:
            rows: Which records, `(batch,)`.
            pinned: Put it in page-locked memory, from which a GPU copies faster and by itself.

        Returns:
            int16 `(batch, leads, T)` on `device`.
        """
        out = torch.empty((len(rows), *self.shape[1:]), dtype=torch.int16, device=self.device, pin_memory=pinned)
        self.gather(rows, out)
        return out


def check_range(rows: Rows, records: int) -> None:
    """Make sure that rows exist.

    Args:
        rows: Which are wanted.
        records: How many there are.

    Raises:
        IndexError: If one is beyond.
    """
    if len(rows) and not 0 <= rows.min() <= rows.max() < records:
        raise IndexError(f"Rows {rows.min()} to {rows.max()} were asked for, but there are 0 to {records - 1}.")
