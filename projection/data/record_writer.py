"""Writing WFDB records to their rows of an HDF5 file, by one or several processes."""

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import parent_process
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from projection.data.partial_file import check_room, reserve
from projection.data.statements import LEADS
from projection.data.store import create
from projection.data.tables import Tables
from projection.data.wfdb_record import read_record
from projection.errors import ProjectionError

_CHUNK = 128
_TABLE_BYTES = 2000  # of metadata for each record, at most

Failures = dict[int, str]
"""Why a row's record could not be converted."""


@dataclass(frozen=True)
class Rows:
    """A run of consecutive rows that one process converts.

    Args:
        start: The first row.
        stems: The records' paths without extension.
    """

    start: int
    stems: list[str]


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


def write_records(
    path: Path, source: Path, tables: Tables, column: str, sampling_rate: int, workers: int
) -> tuple[Failures, NDArray[np.uint8]]:
    """Create a file with all records that can be read.

    Args:
        path: The HDF5 file to write.
        source: The folder that the records' paths start from.
        tables: The metadata of the records.
        column: The column with the records' paths.
        sampling_rate: In Hz.
        workers: Processes to use.

    Returns:
        The rows that could not be converted, with reasons, and the SHA-256 of each record that could, `(records, 32)`.
    """
    stems = [f"{source}/{name}".removesuffix(".hea") for name in tables.records[column]]
    length = _usual_length(stems, sampling_rate)
    size = 2 * len(stems) * len(LEADS) * length
    check_room(path.parent, size + _TABLE_BYTES * len(stems))
    target = Target(path, create(path, tables, length, sampling_rate), length, sampling_rate)
    reserve(path, target.offset, size)
    runs = [Rows(start, stems[start : start + _CHUNK]) for start in range(0, len(stems), _CHUNK)]
    failures: Failures = {}
    checksums: list[bytes] = []
    for done, failed in _tracked(_converted(runs, target, workers), len(stems)):
        checksums += done
        failures |= failed
    return failures, np.frombuffer(b"".join(checksums), np.uint8).reshape(len(checksums), -1)


def convert_rows(rows: Rows, target: Target) -> tuple[list[bytes], Failures]:
    """Write a run of rows at their place in the file.

    Args:
        rows: What to convert.
        target: Where it goes.

    Returns:
        The SHA-256 of each record that was converted, and why others were not.
    """
    checksums, failures = [], {}
    block = np.zeros((len(rows.stems), len(LEADS), target.length), np.int16)
    for place, stem in enumerate(rows.stems):
        try:
            samples = read_record(stem, target.sampling_rate)
            if samples.shape[1] != target.length:
                raise ProjectionError(f"{stem} has {samples.shape[1]} samples a lead, most have {target.length}")
        except ProjectionError as error:
            failures[rows.start + place] = str(error)
            continue
        block[place] = samples
        checksums.append(hashlib.sha256(block[place].data).digest())
    _write_at(target.path, block, target.offset + rows.start * block[0].nbytes)
    return checksums, failures


def _usual_length(stems: list[str], sampling_rate: int) -> int:
    """Take the commonest length of the first few records that can be read."""

    def lengths() -> Iterator[int]:
        for stem in stems:
            with suppress(ProjectionError):
                yield read_record(stem, sampling_rate).shape[1]

    counted = Counter(islice(lengths(), 20))
    # with nothing to go by, every record fails in its turn
    return counted.most_common(1)[0][0] if counted else 1


def _converted(runs: list[Rows], target: Target, workers: int) -> Iterator[tuple[list[bytes], Failures]]:
    targets = [target] * len(runs)
    if workers == 1 or len(runs) == 1:
        yield from map(convert_rows, runs, targets)
        return
    pool = ProcessPoolExecutor(min(workers, len(runs)), initializer=_end_with_parent)
    try:
        yield from pool.map(convert_rows, runs, targets)
    except BrokenProcessPool as error:
        raise ProjectionError(
            "A converting process was killed, perhaps for lack of memory: try --workers 1."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _end_with_parent() -> None:
    # a killed parent leaves processes behind that wait forever for their next task
    def wait() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _write_at(path: Path, block: NDArray[np.int16], offset: int) -> None:
    descriptor = os.open(path, os.O_WRONLY)
    try:
        view = block.data.cast("B")
        while view:  # less may be written than asked for, for instance on a nearly full disk
            written = os.pwrite(descriptor, view, offset)
            view, offset = view[written:], offset + written
    finally:
        os.close(descriptor)


def _tracked(results: Iterator[tuple[list[bytes], Failures]], total: int) -> Iterator[tuple[list[bytes], Failures]]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]} left:")
    with Progress("Converting", BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=total, rate="")
        for done, failed in results:
            speed = progress.tasks[task].speed
            progress.update(task, advance=len(done) + len(failed), rate=f"{speed:,.0f} records/s," if speed else "")
            yield done, failed
