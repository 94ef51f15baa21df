"""Loaders of the kinds in use elsewhere, for comparison: one item is one record."""

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
import wfdb
from numpy.typing import NDArray
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


class MemmapCrops(Dataset[tuple[Tensor, Tensor]]):
    """Cuts random crops from a float32 memory map of time-major records, with labels and places from a table.

    As in the code of the PTB-XL benchmark (https://github.com/helme/ecg_ptbxl_benchmarking): the table is a pandas
    DataFrame, looked up for each item; the crop is copied, standardised and transposed.
    """

    def __init__(self, path: Path, labels: NDArray[np.uint8], leads: int, length: int, crop: int) -> None:
        self.samples = np.memmap(path, np.float32, "r", shape=(len(labels) * length, leads))
        self.length = length
        columns = {"start": np.arange(len(labels)) * length, "label": list(labels.astype(np.float32))}
        self.table = pd.DataFrame(columns)
        self.crop = crop
        self.random = np.random.default_rng(0)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        start = self.table.iloc[index]["start"] + int(self.random.integers(0, self.length - self.crop + 1))
        crop = (np.copy(self.samples[start : start + self.crop]) + np.float32(0.002)) / np.float32(0.23)
        return torch.from_numpy(crop.T), torch.from_numpy(self.table.iloc[index]["label"])
