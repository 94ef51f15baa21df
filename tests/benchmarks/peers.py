"""Loaders of the kinds in use elsewhere, for comparison: one item is one record."""

from pathlib import Path

import h5py
import numpy as np
import torch
import wfdb
from torch import Tensor
from torch.utils.data import Dataset


class WFDBRecords(Dataset[Tensor]):
    """Reads a record's own files, as PTB-XL's example code does."""

    def __init__(self, stems: list[str]) -> None:
        self.stems = stems

    def __len__(self) -> int:
        return len(self.stems)

    def __getitem__(self, index: int) -> Tensor:
        signals, _ = wfdb.rdsamp(self.stems[index])
        return torch.from_numpy(signals.T.astype(np.float32))


class HDF5Records(Dataset[Tensor]):
    """Reads a record from an HDF5 file that stays open."""

    def __init__(self, path: Path, records: int) -> None:
        self.path = path
        self.records = records
        self.file: h5py.File | None = None

    def __len__(self) -> int:
        return self.records

    def __getitem__(self, index: int) -> Tensor:
        if self.file is None:
            self.file = h5py.File(self.path)
        return torch.from_numpy(self.file["signals"][index].astype(np.float32) / 1000)


class MemmapCrops(Dataset[Tensor]):
    """Cuts a random crop from a float32 memory map of time-major records, then turns it into a tensor."""

    def __init__(self, path: Path, records: int, leads: int, length: int, crop: int) -> None:
        self.samples = np.memmap(path, np.float32, "r", shape=(records, length, leads))
        self.crop = crop
        self.random = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> Tensor:
        start = int(self.random.integers(0, self.samples.shape[1] - self.crop + 1))
        crop = np.array(self.samples[index, start : start + self.crop])
        return torch.from_numpy(np.ascontiguousarray(crop.T))
