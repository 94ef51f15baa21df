"""Batches of records: their order, and a loader that needs no worker processes."""

from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from projection.data.signal_sets import DeviceSignals
from projection.data.signals import Positions, Signals

Batch = tuple[Tensor, Tensor, Tensor]

_PREFETCHED = 4  # batches that the disk may work on ahead of time

_T = TypeVar("_T")


@dataclass(frozen=True)
class Records:
    """The records of one split.

    Args:
        signals: Of the whole data set.
        rows: Which of them belong to the split.
        labels: float32 `(records, classes)`, 0 or 1.
        ids: int64 `(records,)`.
        gain: Samples per millivolt.
    """

    signals: Signals
    rows: Positions
    labels: Tensor
    ids: Tensor
    gain: float

    def __len__(self) -> int:
        return len(self.rows)


class RecordBatchSampler:
    """The batches of an epoch as positions, a pure function of seed and epoch.

    The order of records is the same for any number of processes: they share every global batch. Shuffled epochs have
    batches of equal size and leave out the records that do not fill one (others each epoch). Unshuffled epochs hold
    every record exactly once, in batches that differ by one record at most, as many for each process: nothing is
    padded or repeated, so that evaluation counts each record once.

    Args:
        size: Records in the split.
        batch_size: Records per batch and process.
        shuffle: Draw a new order each epoch.
        world_size: Processes that share the work.
    """

    def __init__(
        self, size: int, batch_size: int, shuffle: bool = False, seed: int = 0, rank: int = 0, world_size: int = 1
    ) -> None:
        self.size, self.shuffle, self.seed, self.epoch = size, shuffle, seed, 0
        self.rank, self.world_size = rank, world_size
        self.global_batch_size = batch_size * world_size
        self._whole = size // self.global_batch_size
        self._drops = shuffle and self._whole > 0

    def __len__(self) -> int:
        return self._whole if self._drops else -(-self.size // self.global_batch_size)

    @property
    def sampler(self) -> "RecordBatchSampler":
        """Itself: Lightning looks here for `set_epoch`."""
        return self

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, counted from 0; Lightning calls this before each."""
        self.epoch = epoch

    def batches(self) -> list[Positions]:
        """List this process's batches of the current epoch, as positions within the split."""
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(self.size)
        else:
            order = np.arange(self.size)
        if self._drops:
            order = order[: self._whole * self.global_batch_size]
        shares = np.array_split(order, len(self) * self.world_size)
        return shares[self.rank :: self.world_size]


class BatchLoader:
    """Load batches, in mV on the device, while one thread reads ahead.

    It needs no Lightning: `for x, y, ids in loader` trains any PyTorch loop. Call
    `loader.batch_sampler.set_epoch(epoch)` before each epoch; `state_dict` and `load_state_dict` continue within one.

    Args:
        ahead: How many batches the thread may have ready (0 or more; 0 works without a thread).
    """

    def __init__(
        self, records: Records, batch_sampler: RecordBatchSampler, device: torch.device | str = "cpu", ahead: int = 2
    ) -> None:
        self.records = records
        self.batch_sampler = batch_sampler
        self.device = torch.device(device)
        self.ahead = 0 if isinstance(records.signals, DeviceSignals) else ahead  # there is nothing to wait for
        self._position = (0, 0)  # the epoch, and how many of its records all processes have seen together
        self._resumed: tuple[int, int] | None = None

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def __iter__(self) -> Generator[Batch, None, None]:
        # nothing happens before the first batch is asked for: Lightning chooses the epoch after calling iter()
        first = self._first_batch()
        batches = self._prefetched(self.batch_sampler.batches()[first:])
        with ExitStack() as stack:
            if self.records.signals.prefetches:
                batches = stack.enter_context(closing(read_ahead(batches, _PREFETCHED)))
            loaded = self._gathered(batches)
            if self.ahead:
                loaded = stack.enter_context(closing(read_ahead(loaded, self.ahead)))
            for number, (x, y, ids) in enumerate(loaded, start=first + 1):
                self._position = (self.batch_sampler.epoch, number * self.batch_sampler.global_batch_size)
                if self.device.type != "cpu":
                    x, y = self._in_millivolts(x), y.to(self.device, non_blocking=True)
                yield x, y, ids

    def state_dict(self) -> dict[str, int]:
        """Say which records have been handed out: the epoch, and how many of it all processes together were given."""
        return {"epoch": self._position[0], "records": self._position[1]}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue an epoch after the records that were handed out, with any number of processes."""
        self._position = self._resumed = (state["epoch"], state["records"])

    def _first_batch(self) -> int:
        resumed, self._resumed = self._resumed, None
        if resumed is None or resumed[0] != self.batch_sampler.epoch:
            return 0
        return resumed[1] // self.batch_sampler.global_batch_size

    def _prefetched(self, batches: list[Positions]) -> Generator[Positions, None, None]:
        for positions in batches:
            self.records.signals.prefetch(self.records.rows[positions])
            yield positions

    def _gathered(self, batches: Iterator[Positions]) -> Generator[Batch, None, None]:
        records, signals = self.records, self.records.signals
        pinned = self.device.type == "cuda" and signals.device.type == "cpu"
        scratch = torch.empty((0, *signals.shape[1:]), dtype=torch.int16)
        for positions in batches:
            y, ids = records.labels[positions], records.ids[positions]
            if self.device.type != "cpu":
                # the conversion is left to the thread that trains, which queues it in step with its other work
                yield signals.read(records.rows[positions], pinned), y, ids
                continue
            if len(scratch) < len(positions):
                scratch = torch.empty((len(positions), *signals.shape[1:]), dtype=torch.int16)
            samples = scratch[: len(positions)]
            signals.gather(records.rows[positions], samples)
            yield self._in_millivolts(samples), y, ids

    def _in_millivolts(self, samples: Tensor) -> Tensor:
        if self.device.type == "cpu":
            # memory by way of numpy, which asks for large pages
            x = torch.from_numpy(np.empty(samples.shape, np.float32)).copy_(samples)
        else:
            x = samples.to(self.device, non_blocking=True).float()
        return x.div_(self.records.gain)


def read_ahead(items: Iterator[_T], depth: int) -> Generator[_T, None, None]:
    """Compute an iterator's items in one thread, at most `depth` ahead of their use, and raise its errors here."""
    end = object()
    # one thread for PyTorch there, so that it does not take processors from training; a thread's own setting
    thread = ThreadPoolExecutor(1, "read-ahead", torch.set_num_threads, (1,))
    pending = deque(thread.submit(next, items, end) for _ in range(depth))
    try:
        while (item := pending.popleft().result()) is not end:
            pending.append(thread.submit(next, items, end))
            yield cast(_T, item)
    finally:
        thread.shutdown(cancel_futures=True)
