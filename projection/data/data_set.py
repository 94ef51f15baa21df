"""Several HDF5 files as one set, and which of its records belong to a split."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from projection.corpus.statements import LabelSet
from projection.corpus.store import Store, open_store
from projection.errors import ProjectionError


@dataclass(frozen=True)
class DataSet:
    """The metadata of files whose records count through all of them: ids are ecg_id, folds strat_fold."""

    stores: tuple[Store, ...]
    ids: NDArray[np.int64]
    folds: NDArray[np.int64]

    @property
    def sampling_rate(self) -> int:
        """In Hz."""
        return self.stores[0].sampling_rate

    @property
    def gain(self) -> float:
        """Samples per millivolt."""
        return self.stores[0].gain

    @property
    def patients(self) -> NDArray[np.int64]:
        """The patient_id of every record, `(records,)`."""
        return np.concatenate([store.tables.records["patient_id"] for store in self.stores])

    @property
    def name(self) -> str:
        """The files' names, for messages."""
        return ", ".join(str(store.path) for store in self.stores)

    def labels(self, label_set: LabelSet) -> NDArray[np.uint8]:
        """Derive the label matrix of a label set, `(records, classes)`."""
        return np.concatenate([store.tables.labels(label_set) for store in self.stores])


def open_data_set(paths: Sequence[Path]) -> DataSet:
    """Open files as one set: they must have one sampling rate, length and gain, and may not share an ecg_id."""
    stores = tuple(open_store(path) for path in paths)
    forms = [(store.sampling_rate, store.shape[1:], store.gain) for store in stores]
    for store, form in zip(stores, forms, strict=True):
        if form != forms[0]:
            raise ProjectionError(
                "Files that are used together must be alike, but these have (Hz, (leads, samples), samples per mV):\n"
                f"  {stores[0].path}: {forms[0]}\n  {store.path}: {form}"
            )
    ids = np.concatenate([store.tables.records["ecg_id"] for store in stores])
    known, counts = np.unique(ids, return_counts=True)
    if (counts > 1).any():
        raise ProjectionError(
            f"{(counts > 1).sum():,} ecg_id are in more than one of {', '.join(map(str, paths))}, such as "
            f"{known[counts > 1][0]}: no record may be counted twice. Number them apart and convert again."
        )
    return DataSet(stores, ids, np.concatenate([store.tables.records["strat_fold"] for store in stores]))
