"""Prove and describe HDF5 files: `python -m projection verify` and `python -m projection info`."""

import hashlib
from pathlib import Path

import numpy as np

from projection.corpus.record_tables import read_tables
from projection.corpus.statements import LABEL_SETS
from projection.corpus.store import Store, open_store
from projection.corpus.wfdb_record import read_record
from projection.errors import ProjectionError


def verify(path: Path, source: Path | None = None) -> None:
    """Prove an HDF5 file whole, against its own checksums and optionally against the WFDB files it came from.

    Args:
        path: A file written by `python -m projection convert`.
        source: The folder that it was converted from.
    """
    store = open_store(path)
    faults = [*_own_faults(store), *(_source_faults(store, source) if source else [])]
    if faults:
        shown = "\n".join(f"  {fault}" for fault in faults[:10])
        more = f"\n  and {len(faults) - 10:,} more" if len(faults) > 10 else ""
        raise ProjectionError(f"{path} is damaged:\n{shown}{more}\nConvert it again with `--overwrite true`.")
    print(f"{path}: whole, {store.shape[0]:,} records" + (f", equal to {source}." if source else "."))


def info(path: Path) -> None:
    """Describe an HDF5 file: where it came from, its records, folds and labels.

    Args:
        path: A file written by `python -m projection convert`.
    """
    from rich.console import Console
    from rich.table import Table

    store = open_store(path)
    records, leads, length = store.shape
    about = Table("property", "value", title=str(path), show_header=False)
    about.add_row("records", f"{records:,}")
    about.add_row("patients", f"{len(np.unique(store.tables.records['patient_id'])):,}")
    about.add_row("signals", f"{leads} leads, {length / store.sampling_rate:g} s at {store.sampling_rate} Hz")
    about.add_row("layout", "contiguous" if store.offset is not None else "chunked")
    for name, value in sorted(store.attributes.items()):
        about.add_row(name, str(value))
    folds, sizes = np.unique(store.tables.records["strat_fold"], return_counts=True)
    about.add_row("records per fold", ", ".join(f"{fold}: {size:,}" for fold, size in zip(folds, sizes, strict=True)))
    sets = Table("label set", "classes", "that occur", "records with a label", title="Labels")
    for name in LABEL_SETS:
        labels = store.tables.labels(name)
        present, labelled = labels.any(axis=0).sum(), labels.any(axis=1).sum()
        sets.add_row(name, str(labels.shape[1]), str(present), f"{labelled:,}")
    console = Console()
    console.print(about)
    console.print(sets)
    for ecg_id, reason in zip(*store.skipped().values(), strict=True):
        console.print(f"left out {ecg_id}: {reason}")


def _own_faults(store: Store) -> list[str]:
    checksums, ids = store.signal_checksums(), store.tables.records["ecg_id"]
    faults = [
        f"record {ids[row]}: its samples do not match their checksum"
        for row, samples in enumerate(store.signals())
        if hashlib.sha256(samples.tobytes()).digest() != checksums[row].tobytes()
    ]
    if hashlib.sha256(checksums.tobytes()).hexdigest() != store.attributes["signals_sha256"]:
        faults.append("checksums/signals does not match signals_sha256")
    if store.tables.sha256() != store.attributes["tables_sha256"]:
        faults.append("the metadata does not match tables_sha256")
    return faults


def _source_faults(store: Store, source: Path) -> list[str]:
    tables = read_tables(source, str(store.attributes.get("table", "ptbxl_database.csv")))
    tables = tables.select(~np.isin(tables.records["ecg_id"], store.skipped()["ecg_id"]))
    if tables.sha256() != store.tables.sha256():
        return [f"the tables differ from those in {source}"]
    default = "filename_lr" if store.sampling_rate == 100 else "filename_hr"
    column = str(store.attributes.get("filename_column", default))
    signals = store.signals()
    faults = []
    for row, name in enumerate(tables.records[column]):
        try:
            if not np.array_equal(read_record(source / str(name), store.sampling_rate), signals[row]):
                faults.append(f"record {tables.records['ecg_id'][row]}: its samples differ from {source / str(name)}")
        except ProjectionError as error:
            faults.append(str(error))
    return faults
