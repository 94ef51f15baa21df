"""HDF5 files: what they hold, and the same in other layouts."""

import hashlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from projection.corpus.statements import LABEL_SETS
from projection.corpus.store import Store, open_store
from projection.data.file_signals import ChunkedSignals, DiskSignals, MemorySignals
from projection.data.signal_sets import DeviceSignals, open_signals
from projection.data.signals import Signals
from tests.raw import Raw


def rewrite(source: Path, target: Path, rows: slice, **layout: Any) -> None:
    """Copy some records to a file made elsewhere, by h5py alone."""
    with h5py.File(source) as old, h5py.File(target, "w") as new:
        new.attrs.update(old.attrs)
        signals = new.create_dataset("signals", data=old["signals"][rows], **layout)
        signals.attrs.update(old["signals"].attrs)
        old.copy("scp_statements", new)
        for name, column in old["records"].items():
            new[f"records/{name}"] = column[rows]
        start, stop, _ = rows.indices(len(old["signals"]))
        indptr = old["statements/indptr"][start : stop + 1]
        new["statements/indptr"] = indptr - indptr[0]
        new["statements/names"] = old["statements/names"][...]
        for name in ("codes", "likelihoods"):
            new[f"statements/{name}"] = old[f"statements/{name}"][indptr[0] : indptr[-1]]


def every_kind(files: dict[str, Store]) -> dict[str, Signals]:
    """Open the same records wherever signals can wait."""
    memory = MemorySignals(files["whole"])
    return {
        "memory": memory,
        "disk": DiskSignals(files["whole"]),
        "chunked": ChunkedSignals(files["compressed"]),
        "device": DeviceSignals(memory, np.arange(160), "cpu"),
        "joined": open_signals([files["first"], files["second"]]),
        "joined on disk": open_signals([files["first"], files["second"]], disk=True),
    }


def assert_equals_raw(path: Path, raw: Raw, rows: list[int] | None = None) -> None:
    """Compare all that a file holds of each record with the raw files."""
    wanted = np.arange(len(raw.ids)) if rows is None else np.array(rows)
    store = open_store(path)
    assert store.tables.records["ecg_id"].tolist() == raw.ids[wanted].tolist()
    for name in ("report", "filename_lr", "recording_date"):
        assert store.tables.records[name].tolist() == [raw.table[row][name] for row in wanted]
    assert np.array_equal(store.signals(), raw.counts[wanted])
    for task in LABEL_SETS:
        assert np.array_equal(store.tables.labels(task), raw.labels(task)[wanted])
    digests = [hashlib.sha256(raw.counts[row].astype("<i2").tobytes()).digest() for row in wanted]
    assert [bytes(row) for row in store.signal_checksums()] == digests
    assert store.attributes["signals_sha256"] == hashlib.sha256(b"".join(digests)).hexdigest()
    assert store.attributes["tables_sha256"] == store.tables.sha256()
