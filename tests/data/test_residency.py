import multiprocessing
import os
import pickle
import threading
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from projection.data import residency
from projection.data.batches import BatchLoader, IndexBatches, Records, read_ahead
from projection.data.datamodule import PTBXLDataModule
from projection.data.file_signals import ChunkedSignals, DiskSignals, MemorySignals
from projection.data.residency import available_memory, choose_residency
from projection.data.signal_sets import DeviceSignals, open_signals
from projection.data.signals import Signals
from projection.data.store import Store, open_store
from projection.errors import ProjectionError


@pytest.fixture(scope="module")
def files(corpus_file: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Store]:
    """The same records as one contiguous file, as a compressed one, and as two halves."""
    folder = tmp_path_factory.mktemp("files")
    compressed = folder / "compressed.h5"
    rewrite(corpus_file, compressed, slice(None), chunks=(3, 12, 250), compression="gzip")
    rewrite(corpus_file, folder / "first.h5", slice(0, 70))
    rewrite(corpus_file, folder / "second.h5", slice(70, 160), chunks=(1, 12, 1000))
    stores = {path.stem: open_store(path) for path in folder.iterdir()}
    return {"whole": open_store(corpus_file), **stores}


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
    memory = MemorySignals(files["whole"])
    return {
        "memory": memory,
        "disk": DiskSignals(files["whole"]),
        "chunked": ChunkedSignals(files["compressed"]),
        "device": DeviceSignals(memory, np.arange(160), "cpu"),
        "joined": open_signals([files["first"], files["second"]]),
        "joined on disk": open_signals([files["first"], files["second"]], disk=True),
    }


@settings(max_examples=30)
@given(rows=st.lists(st.integers(0, 159), max_size=40))
def test_every_kind_gathers_the_same_samples(files: dict[str, Store], rows: list[int]) -> None:
    expected = files["whole"].signals()[rows]
    for name, signals in every_kind(files).items():
        signals.expect(np.array(rows, np.int64))
        assert np.array_equal(signals.read(np.array(rows, np.int64)).numpy(), expected), name


@pytest.mark.parametrize("row", [-1, 160])
def test_rows_beyond_the_file_are_an_error_everywhere(files: dict[str, Store], row: int) -> None:
    for signals in every_kind(files).values():
        with pytest.raises(IndexError):
            signals.read(np.array([0, row]))


def records(signals: Signals, size: int = 160) -> Records:
    ids = torch.arange(size) + 1000
    return Records(signals, np.arange(size)[::-1].copy(), torch.eye(size)[:, :4], ids, 1000.0)


def epoch_of(loader: BatchLoader, epoch: int = 0) -> list[tuple[torch.Tensor, ...]]:
    loader.batch_sampler.set_epoch(epoch)
    return list(loader)


@settings(max_examples=25, deadline=None)
@given(
    size=st.integers(1, 160),
    batch_size=st.integers(1, 50),
    shuffle=st.booleans(),
    world=st.sampled_from([1, 2, 4]),
    epoch=st.integers(0, 3),
)
def test_split_residency_ranks_and_layout_do_not_change_what_is_seen(
    files: dict[str, Store], size: int, batch_size: int, shuffle: bool, world: int, epoch: int
) -> None:
    seen = []
    for signals in every_kind(files).values():
        ranks = [
            epoch_of(
                BatchLoader(records(signals, size), IndexBatches(size, batch_size, shuffle, 3, rank, world)), epoch
            )
            for rank in range(world)
        ]
        assert len({len(batches) for batches in ranks}) == 1
        together = [torch.cat(shares) for step in zip(*ranks, strict=True) for shares in zip(*step, strict=True)]
        seen.append((torch.cat(together[::3]), torch.cat(together[1::3]), torch.cat(together[2::3])))
    for x, y, ids in seen[1:]:
        assert torch.equal(x, seen[0][0])
        assert torch.equal(y, seen[0][1])
        assert torch.equal(ids, seen[0][2])
    one = IndexBatches(size, batch_size * world, shuffle, 3)
    one.set_epoch(epoch)
    assert seen[0][2].tolist() == (np.concatenate(one.batches()) + 1000).tolist()
    rows = size - 1 - (seen[0][2].numpy() - 1000)  # the split lists its rows backwards
    assert np.array_equal(seen[0][0].numpy(), files["whole"].signals()[rows].astype(np.float32) / np.float32(1000))


@settings(max_examples=25)
@given(
    done=st.integers(0, 5), batch_size=st.integers(2, 8), first_world=st.sampled_from([1, 2, 4]), again=st.booleans()
)
def test_an_epoch_continues_where_it_was_left(
    files: dict[str, Store], done: int, batch_size: int, first_world: int, again: bool
) -> None:
    def loader(world: int) -> BatchLoader:
        split = records(MemorySignals(files["whole"]))
        return BatchLoader(split, IndexBatches(160, 8 * batch_size // world, True, 5, 0, world))

    whole = [ids for _, _, ids in epoch_of(loader(1), epoch=2)]
    done = min(done, len(whole))
    before = loader(first_world)
    before.batch_sampler.set_epoch(2)
    batches = iter(before)
    for _ in range(done):
        next(batches)
    state = pickle.loads(pickle.dumps(before.state_dict()))
    after = loader(1)
    after.load_state_dict(state)
    if again:  # resumed twice within one epoch
        after.load_state_dict(after.state_dict())
    rest = [ids for _, _, ids in epoch_of(after, epoch=2)]
    expected = whole[done:] if done else whole
    assert [ids.tolist() for ids in rest] == [ids.tolist() for ids in expected]
    assert len(epoch_of(after, epoch=2)) == len(epoch_of(after, epoch=3)) == len(whole)


def first_batches(loaders: list[BatchLoader]) -> list[list[float]]:
    return [next(iter(loader))[0][0, 0, :5].tolist() for loader in loaders]


def send_first_batches(loaders: list[BatchLoader], answer: Any) -> None:
    answer.put(first_batches(loaders))


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_loaders_work_in_other_processes(files: dict[str, Store], method: str) -> None:
    loaders = [BatchLoader(records(signals), IndexBatches(160, 4)) for signals in every_kind(files).values()]
    expected = first_batches(loaders)  # opens the files here, before the other process does
    context = multiprocessing.get_context(method)
    answer = context.Queue()
    process = context.Process(target=send_first_batches, args=(loaders, answer))
    process.start()
    assert answer.get(timeout=60) == expected
    process.join(60)
    assert process.exitcode == 0


def test_reading_ahead_is_bounded_passes_errors_on_and_leaves_no_thread() -> None:
    made: list[int] = []

    def numbers(stop: int) -> Any:
        for number in range(stop):
            made.append(number)
            yield number
        raise OSError("the disk is gone")

    threads = threading.active_count()
    with pytest.raises(OSError, match="the disk is gone"):
        list(read_ahead(numbers(10), 2))
    made.clear()
    some = read_ahead(numbers(100), 2)
    assert [next(some) for _ in range(3)] == [0, 1, 2]
    some.close()
    assert len(made) <= 6
    assert threading.active_count() == threads


@pytest.mark.parametrize("kind", ["device", "memory", "disk"])
def test_a_data_module_needs_no_lightning_and_takes_several_files(
    files: dict[str, Store], kind: residency.Residency
) -> None:
    whole = PTBXLDataModule(files["whole"].path, batch_size=16)
    parts = PTBXLDataModule([files["first"].path, files["second"].path], batch_size=16, residency=kind)
    for data in (whole, parts):
        data.setup("fit")
    for name in ("train_dataloader", "val_dataloader", "predict_dataloader"):
        for expected, found in zip(getattr(whole, name)(), getattr(parts, name)(), strict=True):
            assert all(map(torch.equal, expected, found))


def test_files_that_do_not_go_together_are_refused(files: dict[str, Store], tmp_path: Path) -> None:
    twice = PTBXLDataModule([files["whole"].path, files["first"].path])
    with pytest.raises(ProjectionError, match="70 ecg_id are in more than one"):
        twice.setup("fit")
    slow = tmp_path / "slow.h5"
    rewrite(files["whole"].path, slow, slice(None))
    with h5py.File(slow, "r+") as file:
        file["signals"].attrs["sampling_rate"] = 50
    with pytest.raises(ProjectionError, match="must be alike"):
        PTBXLDataModule([files["whole"].path, slow]).setup("fit")


def test_a_file_that_is_cut_off_under_a_run_is_an_error(corpus_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    path.write_bytes(corpus_file.read_bytes())
    signals = DiskSignals(open_store(path))
    os.truncate(path, 2_000_000)
    with pytest.raises(EOFError, match="cut off"):
        signals.read(np.array([150]))


def test_automatic_residency_goes_by_size_and_free_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residency, "available_memory", lambda: 10**9)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (2 * 10**9, 4 * 10**9))
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    assert choose_residency(4 * 10**8, cpu)[0] == "memory"
    assert choose_residency(6 * 10**8, cpu)[0] == "disk"
    assert choose_residency(5 * 10**8, gpu)[0] == "device"
    assert choose_residency(6 * 10**8, gpu)[0] == "disk"
    _, why = choose_residency(4 * 10**8, cpu)
    assert "400 MB of signals fit well in the 1.0 GB" in why


def test_available_memory_respects_a_job_s_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert available_memory() > 10**8
    limit = tmp_path / "memory.max"
    limit.write_text("123456789\n")
    monkeypatch.setattr(residency, "_limit_files", lambda: [limit])
    assert available_memory() == 123456789
    limit.write_text("max\n")
    assert available_memory() > 123456789
