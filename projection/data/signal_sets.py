"""Signals of several files as one set, and chosen ones on the device."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from projection.corpus.store import Store
from projection.data.file_signals import ChunkedSignals, DiskSignals, MemorySignals
from projection.data.signals import Positions, Signals, check_range

_BLOCK = 1024  # records read at a time where many are wanted


class JoinedSignals(Signals):
    """The signals of several files, of equal leads and length, as one set, one after the other."""

    def __init__(self, parts: Sequence[Signals]) -> None:
        super().__init__((sum(part.shape[0] for part in parts), *parts[0].shape[1:]))
        self.parts = parts
        self.prefetches = any(part.prefetches for part in parts)
        self._starts = np.cumsum([0, *(part.shape[0] for part in parts)])

    @override
    def prefetch(self, rows: Positions) -> None:
        for part, _, local in self._divided(rows):
            part.prefetch(local)

    @override
    def gather(self, rows: Positions, out: Tensor) -> None:
        check_range(rows, self.shape[0])
        for part, places, local in self._divided(rows):
            out[torch.from_numpy(places)] = part.read(local)

    def _divided(self, rows: Positions) -> list[tuple[Signals, Positions, Positions]]:
        owner = np.searchsorted(self._starts, rows, side="right") - 1
        parts = ((part, np.flatnonzero(owner == index), self._starts[index]) for index, part in enumerate(self.parts))
        return [(part, places, rows[places] - start) for part, places, start in parts if len(places)]


class DeviceSignals(Signals):
    """Chosen records as one tensor on the device, where nothing needs to be transferred any more.

    Only `rows` can be gathered, by their places in `source`.
    """

    def __init__(self, source: Signals, rows: Positions, device: torch.device | str) -> None:
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
            source.prefetch(rows[start + _BLOCK : start + 2 * _BLOCK])
            block, place = rows[start : start + _BLOCK], self.samples[start : start + _BLOCK]
            if on_cpu:
                source.gather(block, place)
            else:
                place.copy_(source.read(block))
        self._places = np.full(source.shape[0], -1)
        self._places[rows] = np.arange(len(rows))

    @override
    def gather(self, rows: Positions, out: Tensor) -> None:
        check_range(rows, self.shape[0])
        places = self._places[rows]
        check_range(places, len(self.samples))
        index = torch.from_numpy(places).to(self.device, non_blocking=True)
        torch.index_select(self.samples, 0, index, out=out)


def open_signals(stores: Sequence[Store], disk: bool = False) -> Signals:
    """Open the signals of one or more files as one set, whose rows count through all files in order.

    From `disk` they are read batch by batch, instead of being mapped into memory.
    """
    contiguous = DiskSignals if disk else MemorySignals
    parts = [ChunkedSignals(store) if store.offset is None else contiguous(store) for store in stores]
    return parts[0] if len(parts) == 1 else JoinedSignals(parts)
