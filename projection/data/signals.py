"""The int16 signals of a data set, wherever they wait: on the device, in the page cache, or on disk.

All classes share one interface: `gather` copies any rows into a buffer, `expect` announces rows that will be gathered
soon. They can be pickled and survive forks: files are opened by the process that reads them, when it first does.
"""

import os
from collections.abc import Sequence
from itertools import pairwise

import h5py
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from projection.data.store import Store

Rows = NDArray[np.int64]

_BLOCK = 1024  # records read at a time where many are wanted


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


class MemorySignals(Signals):
    """A memory map of one contiguous file: after the first reading it is served from the page cache.

    The page cache is shared by all processes of the machine and needs no room of its own.

    Args:
        store: The file.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store.shape)
        self.path = store.path
        self.offset = _offset(store)
        self._map: Tensor | None = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_map": None}

    def gather(self, rows: Rows, out: Tensor) -> None:
        """Copy records into a buffer.

        Args:
            rows: Which records, `(batch,)`.
            out: int16 `(batch, leads, T)`.
        """
        if self._map is None:
            # mode "c" opens a read-only file as PyTorch likes it; nothing is ever written
            self._map = torch.from_numpy(np.memmap(self.path, np.int16, "c", self.offset, self.shape))
        _check_range(rows, self.shape[0])
        torch.index_select(self._map, 0, torch.from_numpy(rows), out=out)


class DiskSignals(Signals):
    """Positioned reads from one contiguous file, announced to the operating system ahead of time.

    For files larger than memory: many reads are under way at once, and nothing is read that is not wanted.

    Args:
        store: The file.
    """

    announced = True

    def __init__(self, store: Store) -> None:
        super().__init__(store.shape)
        self.path = store.path
        self.offset = _offset(store)
        self._record_bytes = 2 * store.shape[1] * store.shape[2]
        self._descriptor: int | None = None

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_descriptor": None}

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def expect(self, rows: Rows) -> None:
        """Ask the operating system to read records in the background.

        Args:
            rows: Which records, `(batch,)`.
        """
        if not hasattr(os, "posix_fadvise"):  # not on macOS
            return
        descriptor, rising = self._open(), np.sort(rows)
        for start, stop in _runs(rising):
            place = self.offset + int(rising[start]) * self._record_bytes
            os.posix_fadvise(descriptor, place, (stop - start) * self._record_bytes, os.POSIX_FADV_WILLNEED)

    def gather(self, rows: Rows, out: Tensor) -> None:
        """Read records into a buffer.

        Args:
            rows: Which records, `(batch,)`.
            out: int16 `(batch, leads, T)`.
        """
        _check_range(rows, self.shape[0])
        descriptor, records = self._open(), out.numpy().view(np.uint8).reshape(len(rows), self._record_bytes)
        for start, stop in _runs(rows):
            run, place = records[start:stop], self.offset + int(rows[start]) * self._record_bytes
            if os.preadv(descriptor, [run.data], place) != run.nbytes:
                raise EOFError(f"{self.path} ends within record {rows[stop - 1]}: it was cut off after it was opened.")

    def _open(self) -> int:
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDONLY)
            if hasattr(os, "posix_fadvise"):
                # no reading ahead of what is asked for: neighbours in the file are not neighbours in time
                os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_RANDOM)
        return self._descriptor


class ChunkedSignals(Signals):
    """Batch reads through h5py, for files that are chunked or compressed: right, but many times slower.

    Args:
        store: The file.
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store.shape)
        self.path = store.path
        self._file: h5py.File | None = None
        self._owner = 0

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_file": None}

    def gather(self, rows: Rows, out: Tensor) -> None:
        """Read records into a buffer.

        Args:
            rows: Which records, `(batch,)`.
            out: int16 `(batch, leads, T)`.
        """
        if self._file is None or self._owner != os.getpid():  # a handle does not survive a fork
            self._file, self._owner = h5py.File(self.path), os.getpid()
        _check_range(rows, self.shape[0])
        if not len(rows):
            return
        wanted, places = np.unique(rows, return_inverse=True)  # h5py takes rising rows only
        np.take(self._file["signals"][wanted], places, axis=0, out=out.numpy(), mode="clip")


class JoinedSignals(Signals):
    """Several files as one set, one after the other.

    Args:
        parts: The files' signals, of equal leads and length.
    """

    def __init__(self, parts: Sequence[Signals]) -> None:
        super().__init__((sum(part.shape[0] for part in parts), *parts[0].shape[1:]))
        self.parts = parts
        self.announced = any(part.announced for part in parts)
        self._starts = np.cumsum([0, *(part.shape[0] for part in parts)])

    def expect(self, rows: Rows) -> None:
        """Announce records to their files.

        Args:
            rows: Which records, `(batch,)`.
        """
        for part, _, local in self._divided(rows):
            part.expect(local)

    def gather(self, rows: Rows, out: Tensor) -> None:
        """Copy records of any of the files into a buffer.

        Args:
            rows: Which records, `(batch,)`.
            out: int16 `(batch, leads, T)`.
        """
        _check_range(rows, self.shape[0])
        for part, places, local in self._divided(rows):
            out[torch.from_numpy(places)] = part.read(local)

    def _divided(self, rows: Rows) -> list[tuple[Signals, Rows, Rows]]:
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        divided = []
        for index, part in enumerate(self.parts):
            places = np.flatnonzero(owner == index)
            divided.append((part, places, rows[places] - self._starts[index]))
        return [entry for entry in divided if len(entry[1])]


class DeviceSignals(Signals):
    """Chosen records as one tensor on the device, where nothing needs to be transferred any more.

    Args:
        source: Where the records come from.
        rows: Which of them to hold; only these can be gathered, by their rows in `source`.
        device: Where to hold them.
    """

    def __init__(self, source: Signals, rows: Rows, device: torch.device | str) -> None:
        super().__init__(source.shape, device)
        shape = (len(rows), *source.shape[1:])
        # on the CPU by way of numpy, which asks for large memory pages
        on_cpu = self.device.type == "cpu"
        self.samples = (
            torch.from_numpy(np.empty(shape, np.int16))
            if on_cpu
            else torch.empty(shape, dtype=torch.int16, device=device)
        )
        for start in range(0, len(rows), _BLOCK):
            source.expect(rows[start + _BLOCK : start + 2 * _BLOCK])
            block, place = rows[start : start + _BLOCK], self.samples[start : start + _BLOCK]
            if on_cpu:
                source.gather(block, place)
            else:
                place.copy_(source.read(block))
        places = np.full(source.shape[0], -1)
        places[rows] = np.arange(len(rows))
        self._places = places

    def gather(self, rows: Rows, out: Tensor) -> None:
        """Copy records into a buffer.

        Args:
            rows: Which records, `(batch,)`, by their rows in the source.
            out: int16 `(batch, leads, T)` on the device.
        """
        _check_range(rows, self.shape[0])
        places = self._places[rows]
        _check_range(places, len(self.samples))
        index = torch.from_numpy(places).to(self.device, non_blocking=True)
        torch.index_select(self.samples, 0, index, out=out)


def open_signals(stores: Sequence[Store], disk: bool = False) -> Signals:
    """Open the signals of one or more files as one set.

    Args:
        stores: The files.
        disk: Read them from disk batch by batch, instead of mapping them into memory.

    Returns:
        Signals whose rows count through all files in order.
    """
    contiguous = DiskSignals if disk else MemorySignals
    parts = [ChunkedSignals(store) if store.offset is None else contiguous(store) for store in stores]
    return parts[0] if len(parts) == 1 else JoinedSignals(parts)


def _runs(rows: Rows) -> list[tuple[int, int]]:
    """Find neighbours that can be read in one go, as ranges of positions."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    return list(pairwise([0, *breaks.tolist(), len(rows)])) if len(rows) else []


def _offset(store: Store) -> int:
    assert store.offset is not None, f"{store.path} is chunked"
    return store.offset


def _check_range(rows: Rows, records: int) -> None:
    if len(rows) and not 0 <= rows.min() <= rows.max() < records:
        raise IndexError(f"Rows {rows.min()} to {rows.max()} were asked for, but there are 0 to {records - 1}.")
