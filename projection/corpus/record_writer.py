"""Writing WFDB records to their rows of an HDF5 file, by one or several processes."""

import hashlib
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from multiprocessing import parent_process
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from projection.corpus.statements import LEADS
from projection.corpus.store import create
from projection.corpus.tables import Tables
from projection.corpus.wfdb_record import read_record, read_records
from projection.errors import ProjectionError
from projection.files import check_room, reserve

_Run = TypeVar("_Run")
_Result = TypeVar("_Result")

_CHUNK = 512  # records for a process at a time
_BLOCK = 16  # records whose samples fit in a processor's cache
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
) -> tuple[Target, Failures]:
    """Create a file with all records that can be read.

    Args:
        path: The HDF5 file to write.
        source: The folder that the records' paths start from.
        tables: The metadata of the records.
        column: The column with the records' paths.
        sampling_rate: In Hz.
        workers: Processes to use.

    Returns:
        Where the records are, and the rows that could not be converted, with reasons.
    """
    stems = [f"{source}/{name}".removesuffix(".hea") for name in tables.records[column]]
    length = _usual_length(stems, sampling_rate)
    size = 2 * len(stems) * len(LEADS) * length
    check_room(path.parent, size + _TABLE_BYTES * len(stems))
    target = Target(path, create(path, tables, length, sampling_rate), length, sampling_rate)
    reserve(path, target.offset, size)
    runs = [Rows(start, stems[start : start + _CHUNK]) for start in range(0, len(stems), _CHUNK)]
    failures: Failures = {}
    for failed in _tracked(spread(convert_rows, runs, target, workers), [len(run.stems) for run in runs]):
        failures |= failed
    return target, failures


def hash_records(target: Target, records: int, workers: int) -> NDArray[np.uint8]:
    """Compute checksums of records as they stand in the file.

    Args:
        target: Where they are.
        records: How many there are.
        workers: Processes to use.

    Returns:
        The SHA-256 of each, uint8 `(records, 32)`.
    """
    starts = [range(start, min(start + _CHUNK, records)) for start in range(0, records, _CHUNK)]
    digests = b"".join(spread(hash_rows, starts, target, workers))
    return np.frombuffer(digests, np.uint8).reshape(records, -1)


def convert_rows(rows: Rows, target: Target) -> Failures:
    """Write a run of rows at their place in the file.

    Args:
        rows: What to convert.
        target: Where it goes.

    Returns:
        Why some could not be converted.
    """
    failures: Failures = {}
    with target.path.open("r+b", buffering=0) as file:
        for start in range(0, len(rows.stems), _BLOCK):
            stems, first = rows.stems[start : start + _BLOCK], rows.start + start
            samples, failed = read_records(stems, target.sampling_rate, target.length)
            _write_at(file.fileno(), samples, target.offset + first * samples[0].nbytes)
            failures |= {first + place: reason for place, reason in failed.items()}
    return failures


def hash_rows(rows: range, target: Target) -> bytes:
    """Compute the checksums of a run of rows.

    Args:
        rows: Which.
        target: Where they are.

    Returns:
        Their SHA-256, one after the other.
    """
    size = 2 * len(LEADS) * target.length
    with target.path.open("rb") as file:
        file.seek(target.offset + rows.start * size)
        return b"".join(hashlib.sha256(file.read(size)).digest() for _ in rows)


def _usual_length(stems: list[str], sampling_rate: int) -> int:
    """Take the commonest length of the first few records that can be read."""

    def lengths() -> Iterator[int]:
        for stem in stems:
            with suppress(ProjectionError):
                yield read_record(stem, sampling_rate).shape[1]

    counted = Counter(islice(lengths(), 20))
    # with nothing to go by, every record fails in its turn
    return counted.most_common(1)[0][0] if counted else 1


def spread(
    work: Callable[[_Run, Target], _Result], runs: Sequence[_Run], target: Target, workers: int
) -> Iterator[_Result]:
    """Compute something for all runs, by several processes.

    Args:
        work: What to compute for a run.
        runs: The runs.
        target: Where their records are.
        workers: Processes to use; one works here.

    Yields:
        The results, in the order of the runs.

    Raises:
        ProjectionError: If a process is killed.
    """
    targets = [target] * len(runs)
    if workers == 1 or len(runs) == 1:
        yield from map(work, runs, targets)
        return
    pool = ProcessPoolExecutor(min(workers, len(runs)), initializer=_end_with_parent)
    try:
        yield from pool.map(work, runs, targets)
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


def _write_at(descriptor: int, block: NDArray[np.int16], offset: int) -> None:
    view = block.data.cast("B")
    while view:  # less may be written than asked for, for instance on a nearly full disk
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _tracked(results: Iterator[Failures], sizes: list[int]) -> Iterator[Failures]:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    rate = TextColumn("{task.fields[rate]} left:")
    with Progress("Converting", BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn()) as progress:
        task = progress.add_task("", total=sum(sizes), rate="")
        for size, failed in zip(sizes, results, strict=True):
            speed = progress.tasks[task].speed
            progress.update(task, advance=size, rate=f"{speed:,.0f} records/s," if speed else "")
            yield failed
