"""The HDF5 file: its schema, how it is created, and how it is read.

Schema version 1, one file per sampling rate:

    signals                int16 (records, 12, T): contiguous, uncompressed, aligned to 4,096 bytes
      @gain @baseline @units @leads @sampling_rate
    records/<column>       the columns of ptbxl_database.csv
    statements/            names, indptr, codes, likelihoods: the SCP statements of each record (CSR)
    scp_statements/<column>
    checksums/signals      uint8 (records, 32): the SHA-256 of each record's samples
    skipped/               ecg_id, reason: records of the source that were left out, if any
    @schema_version @created_by @source @source_version @table @filename_column @signals_sha256 @tables_sha256

`signals_sha256` is the SHA-256 of all rows of `checksums/signals`, so that it can be computed by several processes
and still proves every sample.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from projection import __version__
from projection.corpus.record_tables import Tables
from projection.corpus.statements import LEADS
from projection.corpus.wfdb_record import GAIN
from projection.errors import ProjectionError

SCHEMA_VERSION = 1
ALIGNMENT = 4096


@dataclass(frozen=True)
class Store:
    """What an HDF5 file holds, but for the signals themselves, which `signals` maps on demand.

    Args:
        shape: `(records, 12, T)`.
        offset: Where the signals begin in the file, in bytes; None if they are chunked or compressed.
        sampling_rate: In Hz.
        gain: Samples per millivolt.
    """

    path: Path
    tables: Tables
    shape: tuple[int, int, int]
    offset: int | None
    sampling_rate: int
    gain: float
    attributes: dict[str, Any]

    def signals(self) -> NDArray[np.int16]:
        """Map the signals read-only, `(records, 12, T)`, backed by the page cache; a chunked file is read instead."""
        if self.offset is not None:
            return np.memmap(self.path, np.int16, "r", self.offset, self.shape)
        with h5py.File(self.path) as file:
            samples: NDArray[np.int16] = file["signals"][...]
        return samples

    def signal_checksums(self) -> NDArray[np.uint8]:
        """Read the SHA-256 of each record's samples, `(records, 32)`."""
        with h5py.File(self.path) as file:
            checksums: NDArray[np.uint8] = file["checksums/signals"][...]
        return checksums

    def skipped(self) -> dict[str, NDArray[Any]]:
        """Read which records of the source were left out: ecg_id and reason, of no length if there were none."""
        with h5py.File(self.path) as file:
            if "skipped" in file:
                return _read_group(file, "skipped")
        return {"ecg_id": np.zeros(0, np.int64), "reason": np.zeros(0, object)}


def create(path: Path, tables: Tables, length: int, sampling_rate: int) -> int:
    """Create or replace a file with all metadata and room for the signals, and give their offset in bytes.

    Rows of `12 * length` int16 samples belong there, in the order of the tables.
    """
    with h5py.File(path, "w", alignment_threshold=ALIGNMENT, alignment_interval=ALIGNMENT) as file:
        signals = _allocate(file, (len(tables), len(LEADS), length))
        signals.attrs.update(gain=GAIN, baseline=0, units="mV", leads=list(LEADS), sampling_rate=sampling_rate)
        _write_group(file, "records", tables.records)
        _write_group(file, "scp_statements", tables.scp_statements)
        _write_group(file, "statements", tables.statements())
        offset: int = signals.id.get_offset()
    return offset


def seal(path: Path, checksums: NDArray[np.uint8], skipped: dict[str, NDArray[Any]], about: dict[str, str]) -> None:
    """Add the checksums and the root attributes once all signals are in place.

    Args:
        checksums: The SHA-256 of each record's samples, `(records, 32)`.
        skipped: Columns ecg_id and reason: records of the source that were left out.
        about: Further root attributes: source, source_version, table, filename_column and tables_sha256.
    """
    with h5py.File(path, "r+") as file:
        file["checksums/signals"] = checksums
        if len(skipped["ecg_id"]):
            _write_group(file, "skipped", skipped)
        file.attrs.update(
            schema_version=SCHEMA_VERSION,
            created_by=f"projection {__version__}",
            signals_sha256=hashlib.sha256(checksums.tobytes()).hexdigest(),
            **about,
        )


def open_store(path: Path) -> Store:
    """Read the metadata of a file of this schema that `python -m projection convert` wrote; keep no file handle."""
    if not path.is_file():
        raise ProjectionError(f"There is no file {path}. `python -m projection convert --help` shows how to make it.")
    try:
        with h5py.File(path) as file:
            return _read(path, file)
    except (OSError, KeyError) as error:
        raise ProjectionError(
            f"{path} is not a file that `python -m projection convert` wrote, or it is damaged ({error})."
        ) from None


def _read(path: Path, file: h5py.File) -> Store:
    version = file.attrs.get("schema_version")
    if version != SCHEMA_VERSION:
        raise ProjectionError(
            f"{path} has schema version {version}; this projection {__version__} reads version {SCHEMA_VERSION}. "
            "Run `python -m projection convert` again."
        )
    signals, statements = file["signals"], _read_group(file, "statements")
    tables = Tables(
        records=_read_group(file, "records"),
        names=statements["names"].tolist(),
        indptr=statements["indptr"],
        codes=statements["codes"],
        likelihoods=statements["likelihoods"],
        scp_statements=_read_group(file, "scp_statements"),
    )
    return Store(
        path=path,
        tables=tables,
        shape=signals.shape,
        offset=signals.id.get_offset() if signals.chunks is None else None,
        sampling_rate=int(signals.attrs["sampling_rate"]),
        gain=float(signals.attrs["gain"]),
        attributes=dict(file.attrs),
    )


def _allocate(file: h5py.File, shape: tuple[int, int, int]) -> h5py.Dataset:
    # allocated at once and never filled, so that its offset is known and several processes can write to it
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_layout(h5py.h5d.CONTIGUOUS)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    space = h5py.h5s.create_simple(shape)
    return h5py.Dataset(h5py.h5d.create(file.id, b"signals", h5py.h5t.STD_I16LE, space, settings))


def _write_group(file: h5py.File, name: str, columns: dict[str, NDArray[Any]]) -> None:
    group = file.create_group(name)
    for column, values in columns.items():
        text = values.dtype == object
        group.create_dataset(column, data=values.astype(h5py.string_dtype()) if text else values)


def _read_group(file: h5py.File, name: str) -> dict[str, NDArray[Any]]:
    columns = file[name].items()
    return {key: data.asstr()[...] if h5py.check_string_dtype(data.dtype) else data[...] for key, data in columns}
