"""From a folder of WFDB records to one HDF5 file: `python -m projection convert`."""

import hashlib
import os
import re
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from projection.data.store import create, seal
from projection.data.tables import Tables, read_tables
from projection.data.wfdb_record import read_record
from projection.errors import ProjectionError

_CHUNK = 128
_Converted = tuple[list[bytes], list[str]]


@dataclass(frozen=True)
class Rows:
    """A run of consecutive rows that one process converts.

    Args:
        start: The first row.
        stems: The records' paths without extension.
    """

    start: int
    stems: list[Path]


@dataclass(frozen=True)
class Target:
    """Where converted rows go.

    Args:
        path: The HDF5 file under its temporary name.
        offset: Where its signals begin, in bytes.
        length: Samples per lead and record.
        sampling_rate: In Hz.
    """

    path: Path
    offset: int
    length: int
    sampling_rate: int


def convert(
    source: Path,
    output: Path,
    sampling_rate: Literal[100, 500] = 100,
    workers: int = 2,
    source_name: str = "PTB-XL",
    source_version: str | None = None,
    overwrite: bool = False,
) -> None:
    """Convert a folder of WFDB records with PTB-XL's tables to one HDF5 file.

    Every record is proved against the checksums of its header. The file appears under its name only when it is
    complete.

    Args:
        source: Folder with ptbxl_database.csv, scp_statements.csv and the records that the table names.
        output: The HDF5 file to write, for instance data/ptbxl_100hz.h5.
        sampling_rate: 100 takes the records of column filename_lr, 500 those of filename_hr, in Hz.
        workers: Processes that read records (1 or more).
        source_name: Name of the data set, kept in the file.
        source_version: Its version, kept in the file; by default taken from the folder's name, if that ends in one.
        overwrite: Replace an existing file.

    Raises:
        ProjectionError: If the output exists, a table cannot be read, or records are missing or damaged.
    """
    if output.exists() and not overwrite:
        raise ProjectionError(f"{output} exists. Add `--overwrite true` to replace it, or name another file.")
    if workers < 1:
        raise ProjectionError(f"workers must be at least 1, found {workers}.")
    tables = read_tables(source)
    stems = _record_stems(source, tables, sampling_rate)
    version = source_version or _version_in(source)
    with _completed_or_removed(output) as partial:
        length = _first_length(stems, sampling_rate)
        target = Target(partial, create(partial, tables, length, sampling_rate), length, sampling_rate)
        seal(partial, _convert_all(stems, target, workers), tables.sha256(), source_name, version)
    print(f"{output}: {len(stems):,} records of {source_name} (version {version}) at {sampling_rate} Hz.")


def _record_stems(source: Path, tables: Tables, sampling_rate: int) -> list[Path]:
    column = {100: "filename_lr", 500: "filename_hr"}[sampling_rate]
    if column not in tables.records:
        raise ProjectionError(f"{source / 'ptbxl_database.csv'} has no column {column}, needed for {sampling_rate} Hz.")
    return [source / str(name) for name in tables.records[column]]


def _version_in(source: Path) -> str:
    found = re.search(r"\d+\.\d+\.\d+$", source.resolve().name)
    return found.group() if found else "unknown"


@contextmanager
def _completed_or_removed(output: Path) -> Iterator[Path]:
    """Lend a temporary name that becomes the final one only if all goes well."""
    partial = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(output)
    except BrokenProcessPool as error:
        raise ProjectionError(
            "A converting process was killed, perhaps for lack of memory: try --workers 1."
        ) from error
    except OSError as error:
        raise ProjectionError(f"{output} could not be written: {error.strerror or error}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _first_length(stems: list[Path], sampling_rate: int) -> int:
    """Take the common length from the first record that can be read."""
    errors = []
    for stem in stems:
        try:
            return len(read_record(stem, sampling_rate)[0])
        except ProjectionError as error:
            errors.append(str(error))
    raise _damage(errors, len(stems))


def _convert_all(stems: list[Path], target: Target, workers: int) -> NDArray[np.uint8]:
    runs = [Rows(start, stems[start : start + _CHUNK]) for start in range(0, len(stems), _CHUNK)]
    checksums: list[bytes] = []
    errors: list[str] = []
    with ExitStack() as stack:
        results: Iterator[_Converted] = map(_convert_rows, runs, [target] * len(runs))
        if workers > 1 and len(runs) > 1:
            pool = ProcessPoolExecutor(min(workers, len(runs)))
            stack.callback(pool.shutdown, cancel_futures=True)
            results = pool.map(_convert_rows, runs, [target] * len(runs))
        for done, failed in _tracked(results, len(runs)):
            checksums += done
            errors += failed
    if errors:
        raise _damage(errors, len(stems))
    return np.frombuffer(b"".join(checksums), np.uint8).reshape(len(stems), -1)


def _convert_rows(rows: Rows, target: Target) -> _Converted:
    """Write a run of rows at their place in the file; give their checksums and what went wrong."""
    checksums, errors = [], []
    descriptor = os.open(target.path, os.O_WRONLY)
    try:
        for row, stem in enumerate(rows.stems, start=rows.start):
            try:
                samples = read_record(stem, target.sampling_rate)
                if samples.shape[1] != target.length:
                    raise ProjectionError(f"{stem} has {samples.shape[1]} samples a lead, others {target.length}")
            except ProjectionError as error:
                errors.append(str(error))
                continue
            content = samples.tobytes()
            _write_at(descriptor, content, target.offset + row * len(content))
            checksums.append(hashlib.sha256(content).digest())
    finally:
        os.close(descriptor)
    return checksums, errors


def _write_at(descriptor: int, content: bytes, offset: int) -> None:
    # pwrite may write less than asked, for instance on a nearly full disk
    view = memoryview(content)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _tracked(results: Iterator[_Converted], total: int) -> Iterator[_Converted]:
    from rich.progress import track

    yield from track(results, description="Converting", total=total)


def _damage(errors: list[str], total: int) -> ProjectionError:
    shown = "\n".join(f"  {error}" for error in errors[:5])
    more = f"\n  and {len(errors) - 5:,} more" if len(errors) > 5 else ""
    return ProjectionError(
        f"{len(errors):,} of {total:,} records could not be converted, so nothing was written:\n{shown}{more}\n"
        "`python -m projection download` fetches missing and damaged files again."
    )
