import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from projection.data.batches import RecordBatchSampler

sizes = st.integers(1, 400)
batch_sizes = st.integers(1, 40)
worlds = st.integers(1, 5)


def all_ranks(size: int, batch_size: int, world: int, shuffle: bool, epoch: int = 0) -> list[list[np.ndarray]]:
    samplers = [RecordBatchSampler(size, batch_size, shuffle, 7, rank, world) for rank in range(world)]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    for sampler in samplers:
        assert len(sampler) == len(sampler.batches())
    return [sampler.batches() for sampler in samplers]


@given(sizes, batch_sizes, worlds)
def test_evaluation_counts_every_record_once_in_as_many_batches_on_every_rank(
    size: int, batch_size: int, world: int
) -> None:
    ranks = all_ranks(size, batch_size, world, shuffle=False)
    assert len({len(batches) for batches in ranks}) == 1
    assert sorted(np.concatenate([batch for batches in ranks for batch in batches])) == list(range(size))
    assert max(len(batch) for batches in ranks for batch in batches) <= batch_size


@given(sizes, batch_sizes, worlds, st.integers(0, 5))
def test_training_batches_are_full_and_disjoint(size: int, batch_size: int, world: int, epoch: int) -> None:
    ranks = all_ranks(size, batch_size, world, shuffle=True, epoch=epoch)
    records = np.concatenate([batch for batches in ranks for batch in batches])
    assert len(set(records)) == len(records)
    if size >= batch_size * world:
        assert {len(batch) for batches in ranks for batch in batches} == {batch_size}
    else:
        assert len(records) == size


@given(sizes, st.integers(1, 10), st.integers(0, 3))
def test_the_order_does_not_depend_on_the_number_of_ranks(size: int, batch_size: int, epoch: int) -> None:
    one = all_ranks(size, 4 * batch_size, 1, shuffle=True, epoch=epoch)[0]
    four = all_ranks(size, batch_size, 4, shuffle=True, epoch=epoch)
    for whole, *shares in zip(one, *four, strict=True):
        assert np.array_equal(whole, np.concatenate(shares))


def test_epochs_differ_and_can_be_repeated() -> None:
    first = np.concatenate(all_ranks(100, 10, 1, shuffle=True, epoch=0)[0])
    second = np.concatenate(all_ranks(100, 10, 1, shuffle=True, epoch=1)[0])
    assert not np.array_equal(first, second)
    assert np.array_equal(first, np.concatenate(all_ranks(100, 10, 1, shuffle=True, epoch=0)[0]))
