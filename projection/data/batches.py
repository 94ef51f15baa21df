"""Batches of int16 signals straight from the HDF5 file, gathered at once and without worker processes."""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torch.utils.data.distributed import DistributedSampler

Positions = NDArray[np.int64]


class Records(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """The records of one split; an item is a whole batch.

    Args:
        signals: int16 `(all records, leads, T)`, typically a memory map.
        rows: Which of them belong to the split, `(records,)`.
        labels: 0 or 1, `(records, classes)`.
        ids: The records' ids, `(records,)`.
    """

    def __init__(
        self, signals: NDArray[np.int16], rows: Positions, labels: NDArray[np.uint8], ids: NDArray[np.int64]
    ) -> None:
        self.signals = signals
        self.rows = rows
        self.labels = torch.from_numpy(labels.astype(np.float32))
        self.ids = torch.from_numpy(ids)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, positions: Positions) -> tuple[Tensor, Tensor, Tensor]:
        """Gather a batch.

        Args:
            positions: Positions within the split, `(batch,)`.

        Returns:
            int16 signals `(batch, leads, T)`, float32 labels `(batch, classes)` and int64 ids `(batch,)`.
        """
        signals = torch.from_numpy(np.asarray(self.signals[self.rows[positions]]))
        return signals, self.labels[positions], self.ids[positions]


class IndexBatches(DistributedSampler[Positions]):
    """The batches of an epoch as positions, a pure function of seed and epoch.

    The order of records is the same for any number of processes: they share every global batch. Shuffled epochs have
    batches of equal size and leave out the records that do not fill one (others each epoch). Unshuffled epochs hold
    every record exactly once, in batches that differ by one record at most, as many for each process: nothing is
    padded or repeated, so that evaluation counts each record once.

    Args:
        size: Records in the split.
        batch_size: Records per batch and process.
        shuffle: Draw a new order each epoch.
        seed: Of that order.
        rank: This process.
        world_size: Processes that share the work.
    """

    def __init__(
        self, size: int, batch_size: int, shuffle: bool = False, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        # deriving from DistributedSampler tells Lightning that the work is divided already, and to call set_epoch
        super().__init__(range(size), world_size, rank, shuffle, seed)  # type: ignore[arg-type]
        self.size = size
        self.global_batch_size = batch_size * world_size

    def __iter__(self) -> Iterator[Positions]:
        return iter(self.batches())

    def __len__(self) -> int:
        return self._whole if self._drops else -(-self.size // self.global_batch_size)

    def batches(self) -> list[Positions]:
        """List this process's batches of the current epoch.

        Returns:
            Arrays of positions within the split.
        """
        if not self.shuffle:
            order = np.arange(self.size)
        else:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        if self._drops:
            order = order[: self._whole * self.global_batch_size]
        shares = np.array_split(order, len(self) * self.num_replicas)
        return shares[self.rank :: self.num_replicas]

    @property
    def _whole(self) -> int:
        return self.size // self.global_batch_size

    @property
    def _drops(self) -> bool:
        return self.shuffle and self._whole > 0
