import json
import multiprocessing
import pickle
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from projection.corpus.store import Store
from projection.data.batches import BatchLoader, RecordBatchSampler, Records, read_ahead
from projection.data.datamodule import PTBXLDataModule
from projection.data.residency import Residency
from projection.data.signal_sets import DeviceSignals
from projection.data.signals import Positions, Signals
from tests.data.files import every_kind


def records(signals: Signals, size: int = 160) -> Records:
    ids = torch.arange(size) + 1000
    return Records(signals, np.arange(size)[::-1].copy(), torch.eye(size)[:, :4], ids, 1000.0)


def epoch_of(loader: BatchLoader, epoch: int = 0) -> list[tuple[torch.Tensor, ...]]:
    loader.batch_sampler.set_epoch(epoch)
    return list(loader)


@pytest.mark.thorough
@settings(max_examples=12)
@given(
    size=st.integers(1, 160),
    batch_size=st.integers(3, 50),
    shuffle=st.booleans(),
    world=st.sampled_from([1, 2, 4]),
    epoch=st.integers(0, 3),
)
def test_split_residency_ranks_and_layout_do_not_change_what_is_seen(
    files: dict[str, Store], size: int, batch_size: int, shuffle: bool, world: int, epoch: int
) -> None:
    seen = []
    kinds = every_kind(files)
    for signals in (kinds["memory"], kinds["joined on disk"], kinds["device"]):
        ranks = [
            epoch_of(
                BatchLoader(records(signals, size), RecordBatchSampler(size, batch_size, shuffle, 3, rank, world)),
                epoch,
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
    sampler = RecordBatchSampler(size, batch_size * world, shuffle, 3)
    sampler.set_epoch(epoch)
    assert seen[0][2].tolist() == (np.concatenate(sampler.batches()) + 1000).tolist()
    rows = size - 1 - (seen[0][2].numpy() - 1000)  # the split lists its rows backwards
    assert np.array_equal(seen[0][0].numpy(), files["whole"].signals()[rows].astype(np.float32) / np.float32(1000))


@pytest.mark.thorough
@settings(max_examples=40)
@given(
    done=st.integers(0, 5),
    batch_size=st.integers(1, 8),
    before=st.sampled_from([1, 2, 4]),
    after=st.sampled_from([1, 2, 3, 4]),
    again=st.booleans(),
)
def test_an_epoch_continues_where_it_was_left_on_any_number_of_processes(
    files: dict[str, Store], done: int, batch_size: int, before: int, after: int, again: bool
) -> None:
    def loader(world: int, rank: int) -> BatchLoader:
        return BatchLoader(records(ECHO), RecordBatchSampler(160, batch_size, True, 5, rank, world), ahead=0)

    order = np.random.default_rng([5, 2]).permutation(160) + 1000
    first = loader(before, before - 1)
    first.batch_sampler.set_epoch(2)
    batches = iter(first)
    for _ in range(done):
        next(batches)
    state = json.loads(json.dumps(first.state_dict()))
    assert state == ({"epoch": 2, "records": done * batch_size * before} if done else {"epoch": 0, "records": 0})
    steps, seen = 160 // (batch_size * after), done * before // after  # a batch begun is given again, none is left out
    for rank in range(after):
        second = loader(after, rank)
        second.load_state_dict(state)
        if again:  # resumed twice within one epoch
            second.load_state_dict(second.state_dict())
        expected = order[: steps * batch_size * after].reshape(steps, after, batch_size)[seen:, rank]
        assert [ids.tolist() for _, _, ids in epoch_of(second, epoch=2)] == expected.tolist()
        assert len(epoch_of(second, epoch=2)) == len(epoch_of(second, epoch=3)) == steps  # the next ones are whole


def test_what_was_left_in_another_epoch_is_not_skipped_in_this_one() -> None:
    loader = BatchLoader(records(ECHO), RecordBatchSampler(160, 16, True, 5))
    loader.load_state_dict({"epoch": 1, "records": 64})
    assert len(epoch_of(loader, epoch=2)) == 10


class Echo(Signals):
    """Signals without samples that note what is asked of them, and by which thread."""

    def __init__(self, prefetches: bool = True) -> None:
        super().__init__((160, 12, 4))
        self.prefetches = prefetches
        self.asked: list[tuple[str, list[int]]] = []
        self.threads: set[int] = set()

        self.news = threading.Condition()

    def count(self, what: str) -> int:
        return sum(name == what for name, _ in self.asked)

    def prefetch(self, rows: Positions) -> None:
        with self.news:
            self.asked.append(("prefetch", rows.tolist()))
            self.news.notify()

    def gather(self, rows: Positions, out: torch.Tensor) -> None:
        if self.prefetches:  # the next four are being announced meanwhile
            wanted = min(self.count("gather") + 5, 32)
            with self.news:
                assert self.news.wait_for(lambda: self.count("prefetch") >= wanted, timeout=30)
        self.asked.append(("gather", rows.tolist()))
        self.threads.add(threading.get_ident())


ECHO = Echo(prefetches=False)


@pytest.mark.parametrize("ahead", [0, 3])
def test_one_thread_gathers_batches_that_were_announced_a_little_before(ahead: int) -> None:
    signals = Echo()
    loader = BatchLoader(records(signals), RecordBatchSampler(160, 5), ahead=ahead)
    given_out = []
    for number, (_, _, ids) in enumerate(loader):
        given_out.append((159 - (ids - 1000)).tolist())
        gathered = [rows for what, rows in signals.asked if what == "gather"]
        assert number < len(gathered) <= number + 1 + ahead
    announced, gathered = (
        [at for at, (name, _) in enumerate(signals.asked) if name == what] for what in ("prefetch", "gather")
    )
    assert [signals.asked[at][1] for at in announced] == [signals.asked[at][1] for at in gathered] == given_out
    assert all(before < after for before, after in zip(announced, gathered, strict=True))
    assert all(before < after for before, after in zip(gathered, announced[5:], strict=False))  # four ahead at most
    (thread,) = signals.threads
    assert (thread == threading.get_ident()) is (ahead == 0)


def test_signals_on_the_device_or_in_memory_are_not_announced(files: dict[str, Store]) -> None:
    kinds = every_kind(files)
    assert {name for name, signals in kinds.items() if signals.prefetches} == {"disk", "joined on disk"}
    ahead = {name: BatchLoader(records(signals), RecordBatchSampler(160, 5)).ahead for name, signals in kinds.items()}
    assert ahead == {**dict.fromkeys(kinds, 2), "device": 0}  # and nothing waits for what is on the device already


def test_what_goes_to_the_device_is_announced_a_block_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("projection.data.signal_sets._BLOCK", 16)
    source, rows = Echo(prefetches=False), np.arange(100, 50, -1)
    DeviceSignals(source, rows, "cpu")
    blocks = [rows[start : start + 16].tolist() for start in range(0, 64 + 16, 16)]
    announced, gathered = ([asked for name, asked in source.asked if name == what] for what in ("prefetch", "gather"))
    assert gathered == blocks[:4]
    assert announced == blocks[1:]
    assert [name for name, _ in source.asked] == 4 * ["prefetch", "gather"]


def first_batches(loaders: list[BatchLoader]) -> list[list[float]]:
    return [next(iter(loader))[0][0, 0, :5].tolist() for loader in loaders]


def send_first_batches(loaders: list[BatchLoader], answer: Any) -> None:
    answer.put(first_batches(loaders))


def test_loaders_can_be_pickled_and_open_their_files_anew(files: dict[str, Store]) -> None:
    loaders = [BatchLoader(records(signals), RecordBatchSampler(160, 4)) for signals in every_kind(files).values()]
    expected = first_batches(loaders)  # opens the files, before copies do
    copies = pickle.loads(pickle.dumps(loaders))
    assert first_batches(copies) == expected
    expected_size = 160 * 12 * 1000 * 2
    sizes = {type(one.records.signals).__name__: len(pickle.dumps(one.records.signals)) for one in loaders}
    assert all((size > expected_size) is (name == "DeviceSignals") for name, size in sizes.items()), sizes


# a spawned process imports PyTorch once more, which takes seconds
@pytest.mark.parametrize("method", ["fork", pytest.param("spawn", marks=pytest.mark.slow)])
def test_loaders_work_in_other_processes(files: dict[str, Store], method: str) -> None:
    loaders = [BatchLoader(records(signals), RecordBatchSampler(160, 4)) for signals in every_kind(files).values()]
    expected = first_batches(loaders)  # opens the files here, before the other process does
    context = multiprocessing.get_context(method)
    answer = context.Queue()
    process = context.Process(target=send_first_batches, args=(loaders, answer))
    process.start()
    assert answer.get(timeout=120) == expected
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
    assert len(made) <= 5  # two wait, besides the three that were taken
    assert threading.active_count() == threads


def test_reading_ahead_leaves_the_processors_to_training() -> None:
    def where() -> Iterator[tuple[int, int]]:
        yield threading.get_ident(), torch.get_num_threads()

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        ((thread, threads),) = read_ahead(where(), 2)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert thread != threading.get_ident()
    assert threads == 1


@pytest.mark.parametrize("kind", ["device", "memory", "disk"])
def test_a_data_module_needs_no_lightning_and_takes_several_files(files: dict[str, Store], kind: Residency) -> None:
    whole = PTBXLDataModule(files["whole"].path, batch_size=16)
    parts = PTBXLDataModule([files["first"].path, files["second"].path], batch_size=16, residency=kind)
    for data in (whole, parts):
        data.setup("fit")
    for name in ("train_dataloader", "val_dataloader", "predict_dataloader"):
        for expected, found in zip(getattr(whole, name)(), getattr(parts, name)(), strict=True):
            assert all(map(torch.equal, expected, found))
