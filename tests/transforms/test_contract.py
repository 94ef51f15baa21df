"""What holds for every transform."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from projection import transforms
from projection.errors import ProjectionError
from projection.transforms import (
    AmplitudeScaling,
    BandPass,
    BaselineWander,
    FourierSurrogate,
    GaussianNoise,
    LeadDropout,
    Mixup,
    Normalise,
    PowerLineInterference,
    RandomApply,
    RandomCrop,
    Resample,
    TimeMask,
    TimeWarp,
    Transform,
    seeded_generator,
)

RANDOM = [
    RandomCrop(0.5),
    GaussianNoise(),
    AmplitudeScaling(),
    BaselineWander(),
    PowerLineInterference(),
    LeadDropout(0.5),
    TimeMask(),
    TimeWarp(),
    FourierSurrogate(),
    Mixup(),
    RandomApply(GaussianNoise()),
]
FIXED = [
    Normalise(),
    Normalise("lead"),
    Normalise("dataset", mean=0.1, std=0.5),
    BandPass(),
    BandPass(None, 30.0),
    BandPass(1.0, None),
    Resample(100),
    Resample(250),
    Resample(500),
]


def name(transform: Transform) -> str:
    return type(transform).__name__


each = pytest.mark.parametrize("transform", RANDOM + FIXED, ids=name)
each_random = pytest.mark.parametrize("transform", RANDOM, ids=name)
each_fixed = pytest.mark.parametrize("transform", FIXED, ids=name)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def signals(batch: int, leads: int, length: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn((batch, leads, length), generator=seeded(length), dtype=dtype)


def labels(batch: int) -> torch.Tensor:
    return (torch.arange(batch * 5).view(batch, 5) % 2).float()


def expected_length(transform: Transform, length: int, rate: int) -> int:
    if isinstance(transform, RandomCrop):
        return min(length, round(transform.seconds * rate))
    return -(-length * transform.output_rate(rate) // rate)


def test_these_are_all_the_transforms() -> None:
    exported = {name for name in transforms.__all__ if not name[0].islower() and name != "Transform"}
    assert {name(transform) for transform in RANDOM + FIXED} == exported
    assert all(transform.random for transform in RANDOM)
    assert not any(transform.random for transform in FIXED)


@pytest.mark.thorough
@each
@settings(max_examples=30)
@given(
    batch=st.integers(1, 5),
    leads=st.integers(1, 12),
    length=st.integers(1, 4) | st.integers(5, 700),
    rate=st.sampled_from([100, 500]),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    seed=st.integers(0, 2**32 - 1),
)
def test_any_batch_comes_out_whole_and_stays_as_it_was(
    transform: Transform, batch: int, leads: int, length: int, rate: int, dtype: torch.dtype, seed: int
) -> None:
    x, y = signals(batch, leads, length, dtype), labels(batch)
    x_before, y_before = x.clone(), y.clone()
    changed_x, changed_y = transform(x, y, rate, seeded(seed))
    assert changed_x.shape == (batch, leads, expected_length(transform, length, rate))
    assert changed_x.dtype == dtype
    assert changed_x.isfinite().all()
    assert changed_y.shape == y.shape
    assert changed_y.dtype == y.dtype
    if not isinstance(transform, Mixup):
        assert torch.equal(changed_y, y)
    assert torch.equal(x, x_before)
    assert torch.equal(y, y_before)
    assert torch.equal(changed_x, transform(x, y, rate, seeded(seed))[0])


@each_random
def test_randomness_comes_from_the_generator_alone(transform: Transform) -> None:
    x, y = signals(16, 3, 200), labels(16)
    state = torch.get_rng_state()
    first, same, other = (transform(x, y, 100, seeded(seed)) for seed in (0, 0, 1))
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(first[0], same[0])
    assert torch.equal(first[1], same[1])
    assert not torch.equal(first[0], other[0])
    torch.manual_seed(0)
    assert torch.equal(transform(x, y, 100)[0], first[0]), "without a generator, PyTorch's own is drawn from"


@each_random
def test_records_of_a_batch_are_changed_in_different_ways(transform: Transform) -> None:
    x = signals(1, 12, 200).expand(32, 12, 200)
    y = torch.eye(32)
    changed_x, changed_y = transform(x, y, 100, seeded(0))
    assert len((changed_y if isinstance(transform, Mixup) else changed_x.flatten(1)).unique(dim=0)) > 8


@each_fixed
def test_fixed_ones_draw_nothing_and_judge_each_record_by_itself(transform: Transform) -> None:
    x, y, generator = signals(4, 3, 250), labels(4), seeded(0)
    before, own = generator.get_state(), torch.get_rng_state()
    changed = transform(x, y, 100, generator)[0]
    assert torch.equal(generator.get_state(), before)
    assert torch.equal(transform(x, y, 100)[0], changed)
    assert torch.equal(torch.get_rng_state(), own)
    torch.testing.assert_close(transform(x[1:2], y[1:2], 100)[0], changed[1:2])


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda: RandomCrop(0.0), "0 seconds, found 0.0"),
        (lambda: AmplitudeScaling(0.0, 1.0), "found 0.0 and 1.0"),
        (lambda: AmplitudeScaling(1.2, 0.8), "found 1.2 and 0.8"),
        (lambda: BaselineWander(max_hertz=0.01), "found 0.01"),
        (lambda: BaselineWander(waves=0), "found 0"),
        (lambda: LeadDropout(10), "found 10"),
        (lambda: RandomApply(TimeMask(), 1.5), "found 1.5"),
        (lambda: TimeWarp(1.0), "found 1.0"),
        (lambda: TimeWarp(period=0.0), "found 0.0"),
        (lambda: BandPass(low=0.0), "found 0.0 and 40.0"),
        (lambda: BandPass(20.0, 10.0), "found 20.0 and 10.0"),
        (lambda: BandPass(order=0), "found 0"),
        (lambda: Resample(0), "found 0"),
        (lambda: Mixup(0.0), "found 0.0"),
        (lambda: Mixup(1.1), "found 1.1"),
        (lambda: Normalise("dataset"), "over: dataset, mean: None, std: None"),
        (lambda: Normalise("dataset", mean=0.0), "std: None"),
        (lambda: Normalise("dataset", mean=0.0, std=0.0), "std: 0.0"),
        (lambda: Normalise("lead", mean=0.0), "over: lead, mean: 0.0"),
        (lambda: Normalise("record", mean=0.0, std=-1.0), "std: -1.0"),
    ],
)
def test_arguments_out_of_their_range_are_refused_by_name(make: Callable[[], Transform], found: str) -> None:
    with pytest.raises(ProjectionError, match=found):
        make()


def test_the_ends_of_ranges_are_allowed() -> None:
    made = [
        AmplitudeScaling(1.0, 1.0),
        BaselineWander(max_hertz=0.05, waves=1),
        LeadDropout(0.0),
        LeadDropout(1.0),
        RandomApply(LeadDropout(), 0.0),
        RandomApply(LeadDropout(), 1.0),
        TimeWarp(0.0),
        BandPass(None, None, order=1),
        Resample(1),
        Mixup(1.0),
    ]
    x = torch.randn(2, 12, 200)
    assert all(transform(x, torch.ones(2, 3), 100)[0].isfinite().all() for transform in made)


@given(st.lists(st.integers(0, 10**6), min_size=3, max_size=3), st.lists(st.integers(0, 10**6), min_size=3, max_size=3))
def test_seeded_generators_depend_on_each_number(a: list[int], b: list[int]) -> None:
    first, same, other = (seeded_generator(torch.device("cpu"), *numbers).initial_seed() for numbers in (a, a, b))
    assert first == same
    assert (first == other) == (a == b)
