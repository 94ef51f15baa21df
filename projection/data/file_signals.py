"""Signals that wait in a file: mapped into memory, read from disk, or unpacked from chunks."""

import os
from io import FileIO
from itertools import pairwise

import h5py
import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from projection.corpus.store import Store
from projection.data.signals import Positions, Signals, check_range


class _FileSignals(Signals):
    """Signals of one file; what is open does not travel with a pickle."""

    def __init__(self, store: Store) -> None:
        super().__init__(store.shape)
        self.path, self._offset = store.path, store.offset
        self._record_bytes = 2 * store.shape[1] * store.shape[2]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_file": None}

    @property
    def offset(self) -> int:
        """Tell where the signals of a contiguous file begin, in bytes."""
        assert self._offset is not None, f"{self.path} is chunked"
        return self._offset


class MemorySignals(_FileSignals):
    """A memory map of one contiguous file: after the first reading it is served from the page cache.

    The page cache is shared by all processes of the machine and needs no room of its own.
    """

    _file: Tensor | None = None

    @override
    def gather(self, rows: Positions, out: Tensor) -> None:
        if self._file is None:
            # mode "c" opens a read-only file as PyTorch likes it; nothing is ever written
            self._file = torch.from_numpy(np.memmap(self.path, np.int16, "c", self.offset, self.shape))
        check_range(rows, self.shape[0])
        torch.index_select(self._file, 0, torch.from_numpy(rows), out=out)


class DiskSignals(_FileSignals):
    """Positioned reads from one contiguous file, announced to the operating system ahead of time.

    For files larger than memory: many reads are under way at once, and nothing is read that is not wanted.
    """

    prefetches = True
    _file: FileIO | None = None

    @override
    def prefetch(self, rows: Positions) -> None:
        if not hasattr(os, "posix_fadvise"):  # not on macOS
            return
        file, rising = self._open(), np.sort(rows)
        for start, stop in _runs(rising):
            place = self.offset + int(rising[start]) * self._record_bytes
            os.posix_fadvise(file.fileno(), place, (stop - start) * self._record_bytes, os.POSIX_FADV_WILLNEED)

    @override
    def gather(self, rows: Positions, out: Tensor) -> None:
        check_range(rows, self.shape[0])
        file, records = self._open(), out.numpy().view(np.uint8).reshape(len(rows), self._record_bytes)
        for start, stop in _runs(rows):
            run, place = records[start:stop], self.offset + int(rows[start]) * self._record_bytes
            if os.preadv(file.fileno(), [run.data], place) != run.nbytes:
                raise EOFError(f"{self.path} ends within record {rows[stop - 1]}: it was cut off after it was opened.")

    def _open(self) -> FileIO:
        file = self._file
        if file is None:  # should two threads come here at once, the file that is not kept closes itself after use
            self._file = file = self.path.open("rb", buffering=0)
            if hasattr(os, "posix_fadvise"):
                # no reading ahead of what is asked for: neighbours in the file are not neighbours in time
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        return file


class ChunkedSignals(_FileSignals):
    """Batch reads through h5py, for files that are chunked or compressed: right, but many times slower."""

    _file: h5py.File | None = None
    _owner = 0  # the process that opened it

    @override
    def gather(self, rows: Positions, out: Tensor) -> None:
        if self._file is None or self._owner != os.getpid():  # a handle does not survive a fork
            self._file, self._owner = h5py.File(self.path), os.getpid()
        check_range(rows, self.shape[0])
        if not len(rows):
            return
        wanted, places = np.unique(rows, return_inverse=True)  # h5py takes rising rows only
        np.take(self._file["signals"][wanted], places, axis=0, out=out.numpy(), mode="clip")


def _runs(rows: Positions) -> list[tuple[int, int]]:
    """Find neighbours that can be read in one go, as ranges of positions."""
    breaks = np.flatnonzero(np.diff(rows) != 1) + 1
    return list(pairwise([0, *breaks.tolist(), len(rows)])) if len(rows) else []
