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

from projection.corpus.record_tables import Tables
from projection.corpus.statements import LEADS
from projection.corpus.store import create
from projection.corpus.wfdb_record import read_record, read_records
from projection.errors import ProjectionError
from projection.files import check_room, reserve

_Part = TypeVar("_Part")
_Result = TypeVar("_Result")

_CHUNK = 512  # records for a process at a time
_BLOCK = 16  # records whose samples fit in a processor's cache
_TABLE_BYTES = 2000  # of metadata for each record, at most

Failures = dict[int, str]
"""Why a row's record could not be converted."""


@dataclass(frozen=True)
class Chunk:
    """Consecutive records that one process converts: their first row, and their paths without extension."""

    start: int
    stems: list[str]


@dataclass(frozen=True)
class Target:
    """Where converted records go.

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
    """Create an HDF5 file with all records that can be read; `column` has their paths below the folder `source`."""
    stems = [f"{source}/{name}".removesuffix(".hea") for name in tables.records[column]]
    length = _usual_length(stems, sampling_rate)
    size = 2 * len(stems) * len(LEADS) * length
    check_room(path.parent, size + _TABLE_BYTES * len(stems))
    target = Target(path, create(path, tables, length, sampling_rate), length, sampling_rate)
    reserve(path, target.offset, size)
    chunks = [Chunk(start, stems[start : start + _CHUNK]) for start in range(0, len(stems), _CHUNK)]
    failures: Failures = {}
    for failed in _tracked(spread(convert_chunk, chunks, target, workers), [len(chunk.stems) for chunk in chunks]):
        failures |= failed
    return target, failures


def hash_records(target: Target, records: int, workers: int) -> NDArray[np.uint8]:
    """Compute the SHA-256 of each record as it stands in the file, uint8 `(records, 32)`."""
    starts = [range(start, min(start + _CHUNK, records)) for start in range(0, records, _CHUNK)]
    digests = b"".join(spread(hash_rows, starts, target, workers))
    return np.frombuffer(digests, np.uint8).reshape(records, -1)


def convert_chunk(chunk: Chunk, target: Target) -> Failures:
    """Write records at their place in the file."""
    failures: Failures = {}
    with target.path.open("r+b", buffering=0) as file:
        for start in range(0, len(chunk.stems), _BLOCK):
            stems, first = chunk.stems[start : start + _BLOCK], chunk.start + start
            samples, failed = read_records(stems, target.sampling_rate, target.length)
            _write_at(file.fileno(), samples, target.offset + first * samples[0].nbytes)
            failures |= {first + place: reason for place, reason in failed.items()}
    return failures


def hash_rows(rows: range, target: Target) -> bytes:
    """Compute the SHA-256 of consecutive rows, one after the other."""
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
    work: Callable[[_Part, Target], _Result], parts: Sequence[_Part], target: Target, workers: int
) -> Iterator[_Result]:
    """Do the work for all parts in several processes, or for one worker in this one, and yield results in order."""
    targets = [target] * len(parts)
    if workers == 1 or len(parts) == 1:
        yield from map(work, parts, targets)
        return
    pool = ProcessPoolExecutor(min(workers, len(parts)), initializer=_end_with_parent)
    try:
        yield from pool.map(work, parts, targets)
    except BrokenProcessPool as error:
        message = "A converting process was killed, perhaps for lack of memory: try --workers 1."
        raise ProjectionError(message) from error
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
