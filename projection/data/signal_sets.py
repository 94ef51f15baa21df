"""Signals of several files as one set, and chosen ones on the device."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from projection.corpus.store import Store
from projection.data.file_signals import ChunkedSignals, DiskSignals, MemorySignals
from projection.data.signals import Rows, Signals, check_range

_BLOCK = 1024  # records read at a time where many are wanted


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
        check_range(rows, self.shape[0])
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
        check_range(rows, self.shape[0])
        places = self._places[rows]
        check_range(places, len(self.samples))
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
