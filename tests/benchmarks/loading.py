"""How fast batches come from an HDF5 file: `python -m tests.benchmarks.loading --path FILE`."""

import os
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from jsonargparse import auto_cli
from torch.utils.data import DataLoader

from projection.corpus.store import Store, open_store
from projection.data.batches import BatchLoader, RecordBatchSampler, Records, read_ahead
from projection.data.file_signals import DiskSignals, MemorySignals
from projection.data.signal_sets import DeviceSignals
from projection.data.signals import Positions, Signals
from tests.benchmarks.peers import HDF5Records, MemmapCrops, WFDBRecords
from tests.benchmarks.table import Row, publish, seconds, side_by_side
from tests.benchmarks.training import gpu_rows

BATCH = 128


def benchmark(path: Path, source: Path | None = None, rounds: int = 5, output: Path | None = None) -> None:
    """Measure how fast batches come from a data file, and on a GPU how well they keep it busy.

    Args:
        path: A file written by `python -m projection convert`.
        source: The folder it was converted from, to compare with reading WFDB files.
        rounds: How often each comparison is repeated; the best of each side counts.
        output: JSON file for the results; by default runs/benchmarks/FILE.json.
    """
    rows = loading_rows(path, source, rounds) + gpu_rows(path)
    publish(rows, output or Path("runs/benchmarks") / f"{path.stem}.json")


def loading_rows(path: Path, source: Path | None, rounds: int) -> list[Row]:
    """Compare gathering, batches, residencies and read-ahead with what they are measured by."""
    store = open_store(path)
    store.signals().max()  # so that the file is in the page cache
    return [
        *gather_rows(store, rounds),
        *batch_rows(store, source, rounds),
        whole_file_row(store, rounds),
        cold_row(store, rounds),
        read_ahead_row(store, rounds),
    ]


def loader_of(store: Store, signals: Signals, ahead: int = 2) -> BatchLoader:
    records = store.shape[0]
    split = Records(signals, np.arange(records), torch.zeros(records, 5), torch.arange(records), store.gain)
    return BatchLoader(split, RecordBatchSampler(records, min(BATCH, records), shuffle=True), ahead=ahead)


def gather_rows(store: Store, rounds: int) -> list[Row]:
    mapped, signals = store.signals(), MemorySignals(store)
    loaded = torch.from_numpy(np.array(mapped))
    size = min(BATCH, len(loaded) // 2)
    out = torch.empty((size, *store.shape[1:]), dtype=torch.int16)
    batches = [np.random.default_rng(seed).permutation(len(loaded))[:size] for seed in range(100)]
    places = np.random.default_rng(0).integers(0, len(loaded) - size + 1, 100)

    def gathered() -> None:
        for rows in batches:
            signals.gather(rows, out)

    def gathered_from_memory() -> None:
        for rows in batches:
            torch.index_select(loaded, 0, torch.from_numpy(rows), out=out)

    def copied() -> None:
        for place in places:
            np.copyto(out.numpy(), mapped[place : place + size])

    ours, in_memory, memcpy = side_by_side(gathered, gathered_from_memory, copied, rounds=rounds)
    note = f"{out.nbytes * 100 / ours / 1e9:.1f} and {out.nbytes * 100 / memcpy / 1e9:.1f} GB/s"
    return [
        Row("int16 batch gather against memcpy", memcpy / ours, 0.7, note=note),
        Row("memory map against memory", in_memory / ours, 0.85),
    ]


def batch_rows(store: Store, source: Path | None, rounds: int) -> list[Row]:
    """Compare records per second of float32 batches with other loaders."""
    # without a thread, which has nothing to overlap with here
    ours = best_rate(loader_of(store, MemorySignals(store), ahead=0), 150, rounds)
    records, leads, length = store.shape
    items = HDF5Records(store.path, records)
    h5py_alone = best_rate(DataLoader(items, BATCH, shuffle=True), 8, rounds)
    h5py_workers = best_rate(DataLoader(items, BATCH, shuffle=True, num_workers=2), 16, min(rounds, 2))
    with TemporaryDirectory(dir=store.path.parent) as folder:
        path, kept = Path(folder) / "float32", min(records, 4000)
        (store.signals()[:kept].transpose(0, 2, 1) / np.float32(store.gain)).astype(np.float32).tofile(path)
        crops = MemmapCrops(path, store.tables.labels("all")[:kept], leads, length, crop=length)
        crop_rates = [best_rate(DataLoader(crops, BATCH, shuffle=True, num_workers=n), 16, 2) for n in (0, 2)]
    rows = [
        Row(
            "float32 batches against per-item h5py",
            ours / max(h5py_alone, h5py_workers),
            5,
            note=f"{ours:,.0f} records/s; h5py {h5py_alone:,.0f}, with 2 workers {h5py_workers:,.0f}",
        ),
        Row(
            "float32 batches against a float32 memmap crop loader",
            ours / max(crop_rates),
            15,
            note=f"{crop_rates[0]:,.0f} records/s, with 2 workers {crop_rates[1]:,.0f}",
        ),
    ]
    if source is not None:
        column = "filename_lr" if store.sampling_rate == 100 else "filename_hr"
        stems = [str(source / name) for name in store.tables.records[column][:300]]
        rate = best_rate(DataLoader(WFDBRecords(stems), 64), 4, 1)
        rows.append(Row("float32 batches against wfdb.rdsamp", ours / rate, 50, note=f"{rate:,.0f} records/s"))
    return rows


def best_rate(loader: Iterable[object], batches: int, rounds: int) -> float:
    """Count records per second over some batches, the start of workers left out."""
    rates = []
    for _ in range(rounds):
        iterator = iter(loader)
        next(iterator)
        start, records = time.perf_counter(), 0
        for batch in islice(iterator, batches):
            records += len(batch if isinstance(batch, torch.Tensor) else batch[0])  # type: ignore[arg-type]
        rates.append(records / (time.perf_counter() - start))
    return max(rates)


def whole_file_row(store: Store, rounds: int) -> Row:
    rows, signals = np.arange(store.shape[0]), DiskSignals(store)
    ours, fromfile = side_by_side(
        lambda: DeviceSignals(signals, rows, "cpu"),
        lambda: np.fromfile(store.path, np.int16),
        rounds=rounds,
    )
    note = f"{ours:.2f} s and {fromfile:.2f} s"
    return Row("time to load the whole file, against np.fromfile", ours / fromfile, 1.2, "lower", note)


def cold_row(store: Store, rounds: int) -> Row:
    """Compare an epoch in random order, nothing of it in the page cache, with reading the file from end to end.

    Both give int16: what follows is the same for all residencies.
    """
    signals = DiskSignals(store)
    batches = loader_of(store, signals).batch_sampler.batches()

    def prefetched() -> Iterator[Positions]:
        for rows in batches:
            signals.prefetch(rows)
            yield rows

    def sequential() -> None:
        buffer = bytearray(1 << 23)
        with store.path.open("rb", buffering=0) as file:
            while file.readinto(buffer):
                pass

    def epoch() -> None:
        for rows in read_ahead(prefetched(), 4):
            signals.read(rows)

    times = []
    for _ in range(rounds):
        for work in (sequential, epoch):
            drop_from_cache(store.path)
            times.append(seconds(work))
    read, ours = min(times[::2]), min(times[1::2])
    size = store.path.stat().st_size
    note = f"{size / ours / 1e6:,.0f} and {size / read / 1e6:,.0f} MB/s"
    return Row("cold random int16 batches from disk against cold sequential reading", read / ours, 0.5, note=note)


def drop_from_cache(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_ahead_row(store: Store, rounds: int) -> Row:
    """Add batches to a step of 2 ms in which the processor waits, as for a GPU."""
    loader = loader_of(store, MemorySignals(store))
    steps = min(len(loader), 150)

    def bare() -> None:
        for _ in range(steps):
            time.sleep(0.002)

    def fed() -> None:
        for _ in islice(loader, steps):
            time.sleep(0.002)

    alone, with_batches = side_by_side(bare, fed, rounds=rounds)
    cost = 1e3 * (with_batches - alone) / steps
    return Row("ms that batches add to a step of 2 ms", cost, 0.3, "lower", f"{1e3 * alone / steps:.2f} ms alone")


if __name__ == "__main__":
    auto_cli(benchmark, as_positional=False)
