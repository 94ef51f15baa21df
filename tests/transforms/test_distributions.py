"""What transforms draw, read back from what they made: units, ranges, and what records and leads have in common."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

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
    TimeMask,
    TimeWarp,
    Transform,
    seeded_generator,
)

RECORDS = 400
Y = torch.ones(RECORDS, 2)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def is_uniform(values: Tensor, low: float, high: float) -> None:
    shares = (values.flatten() - low) / (high - low)
    assert shares.min() >= -1e-6, "below the range"
    assert shares.max() <= 1 + 1e-6, "above the range"
    assert stats.kstest(shares.numpy(), "uniform").pvalue > 0.01


def sinusoids(x: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
    """Fit `amplitude * sin(2 pi turns * sample + phase)` to signals; give amplitudes, 0 or more, and phases."""
    angles = 2 * math.pi * turns * torch.arange(x.shape[-1])
    waves = torch.stack([angles.sin(), angles.cos()], dim=-1)
    sine, cosine = torch.linalg.lstsq(waves, x.unsqueeze(-1)).solution.squeeze(-1).unbind(-1)
    torch.testing.assert_close(waves @ torch.stack([sine, cosine], -1).unsqueeze(-1), x.unsqueeze(-1))
    return torch.hypot(sine, cosine), torch.atan2(cosine, sine) % (2 * math.pi)


@pytest.mark.parametrize("rate", [5, 20])
def test_a_wave_of_the_baseline_has_any_frequency_phase_and_size_up_to_what_was_asked_for(rate: int) -> None:
    zeros = torch.zeros(RECORDS, 2, 30 * rate, dtype=torch.float64)
    wander = BaselineWander(0.3, max_hertz=0.5, waves=1)(zeros, Y, rate, seeded(0))[0]
    # x[t + k] + x[t - k] is 2 cos(2 pi k turns) x[t] of a sinusoid
    middle, around = (
        wander[..., rate // 5 : -(rate // 5)],
        wander[..., 2 * (rate // 5) :] + wander[..., : -2 * (rate // 5)],
    )
    cosine = (around * middle).sum(dim=(1, 2)) / middle.square().sum(dim=(1, 2)) / 2
    turns = cosine.arccos() / (2 * math.pi * (rate // 5))
    is_uniform(turns * rate, 0.05, 0.5)
    size, phase = sinusoids(wander, turns.view(-1, 1, 1))
    # a negative amplitude is half a turn of the phase
    opposite = (phase[:, 0] - phase[:, 1]).cos() < 0
    assert 0.4 < opposite.double().mean() < 0.6, "leads sway to either side"
    is_uniform(size[:, 0], 0, 0.3)
    is_uniform(size[:, 1], 0, 0.3)
    is_uniform(phase[:, 0], 0, 2 * math.pi)
    assert abs(np.corrcoef(size[:, 0], size[:, 1])[0, 1]) < 0.2, "each lead by its own amount"


def test_hum_has_any_phase_and_size_up_to_what_was_asked_for() -> None:
    zeros = torch.zeros(RECORDS, 2, 300, dtype=torch.float64)
    hum = PowerLineInterference(0.1, 60)(zeros, Y, 300, seeded(0))[0]
    size, phase = sinusoids(hum, torch.full((RECORDS, 1, 1), 60 / 300, dtype=torch.float64))
    is_uniform(size[:, 0], 0, 0.1)
    is_uniform(size[:, 1], 0, 0.1)
    is_uniform(phase[:, 0], 0, 2 * math.pi)
    torch.testing.assert_close(phase[:, 0], phase[:, 1])


@pytest.mark.parametrize(
    ("rate", "seconds", "period", "turns"), [(100, 10, 4.0, 2), (200, 5, 1.0, 5), (100, 3, 9.0, 1)]
)
def test_tempo_swings_a_whole_number_of_times_from_any_phase(
    rate: int, seconds: int, period: float, turns: int
) -> None:
    last = rate * seconds
    time = torch.arange(last + 1, dtype=torch.float64)
    warped = TimeWarp(0.2, period)(time.expand(RECORDS, 1, -1), Y, rate, seeded(0))[0]
    # the shift of time is a sinusoid from which its first value is taken; its slope is the change of speed
    shift = (warped - time)[:, 0, 2:-2]
    angles = 2 * math.pi * turns / last * time[2:-2]
    waves = torch.stack([angles.sin(), angles.cos(), torch.ones_like(angles)], dim=-1)
    found = torch.linalg.lstsq(waves, shift.T).solution
    torch.testing.assert_close(waves @ found, shift.T, atol=1e-6, rtol=0)
    is_uniform(torch.hypot(found[0], found[1]) * 2 * math.pi * turns / last, 0, 0.2)
    is_uniform(torch.atan2(found[1], found[0]) % (2 * math.pi), 0, 2 * math.pi)


def test_surrogates_shift_each_frequency_of_each_record_by_its_own_angle() -> None:
    x = torch.randn(RECORDS, 2, 201, generator=seeded(0), dtype=torch.float64)
    surrogate = FourierSurrogate(0.4)(x, Y, 100, seeded(1))[0]
    angles = (torch.fft.rfft(surrogate) / torch.fft.rfft(x)).angle()[:, 0, 1:]
    is_uniform(angles, -0.4 * math.pi, 0.4 * math.pi)
    is_uniform(angles[0], -0.4 * math.pi, 0.4 * math.pi)
    is_uniform(angles[:, 0], -0.4 * math.pi, 0.4 * math.pi)


@pytest.mark.parametrize("rate", [100, 500])
def test_masks_last_up_to_the_seconds_asked_for_at_any_sampling_rate(rate: int) -> None:
    hidden = (TimeMask(0.5)(torch.ones(RECORDS, 2, 4 * rate), Y, rate, seeded(0))[0] == 0)[:, 0]
    # a length of a fraction of a sample is rounded either way
    assert stats.kstest(hidden.sum(dim=1) / (0.5 * rate), "uniform").statistic < 0.1
    assert (hidden.sum(dim=1) <= 0.5 * rate + 1).all()


def test_sizes_are_any_between_the_two_given() -> None:
    factors = AmplitudeScaling(0.5, 3.0)(torch.ones(RECORDS, 2, 3, dtype=torch.float64), Y, 100, seeded(0))[0]
    is_uniform(factors[:, 0, 0], 0.5, 3.0)


def test_partners_are_drawn_anew_for_each_batch() -> None:
    y = torch.eye(RECORDS, dtype=torch.float64)
    others = []
    for seed in (0, 1):
        mixed = Mixup(1.0)(torch.zeros(RECORDS, 1, 1, dtype=torch.float64), y, 100, seeded(seed))[1]
        others.append(mixed.fill_diagonal_(0).argmax(dim=1))
        assert len(others[-1].unique()) > RECORDS - 5, "everyone is a partner once"
    assert (others[0] == others[1]).double().mean() < 0.05
    distance = (others[0] - torch.arange(RECORDS)) % RECORDS
    is_uniform(distance.double(), 0, RECORDS)


def test_a_faint_record_is_normalised_and_a_microvolt_is_not() -> None:
    x = torch.randn(2, 12, 1000, generator=seeded(0)) * torch.tensor([0.005, 0.0005]).view(2, 1, 1)
    faint, nothing = Normalise()(x, Y, 100)[0].std(dim=(1, 2), correction=0)
    assert faint == pytest.approx(1, abs=1e-4)
    assert nothing == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        (GaussianNoise, {"max_millivolts": 0.05}),
        (AmplitudeScaling, {"low": 0.8, "high": 1.25}),
        (BaselineWander, {"max_millivolts": 0.2, "max_hertz": 0.5, "waves": 3}),
        (PowerLineInterference, {"max_millivolts": 0.05, "hertz": 50}),
        (LeadDropout, {"probability": 0.1}),
        (TimeMask, {"max_seconds": 0.5}),
        (TimeWarp, {"max_change": 0.1, "period": 4.0}),
        (FourierSurrogate, {"strength": 0.1}),
        (Mixup, {"alpha": 0.2}),
        (partial(RandomApply, TimeMask()), {"probability": 0.5}),
        (BandPass, {"low": 0.5, "high": 40.0, "order": 3}),
        (Normalise, {"over": "record"}),
    ],
)
def test_transforms_are_shipped_with_these_settings(kind: Callable[..., Transform], settings: dict[str, Any]) -> None:
    x, y = torch.randn(200, 3, 1000, generator=seeded(0)), torch.eye(200)
    found, expected = (each(x, y, 100, seeded(1)) for each in (kind(), kind(**settings)))
    assert all(map(torch.equal, found, expected))


def test_seeded_generators_tell_the_same_numbers_in_another_order_apart() -> None:
    numbers = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0), (0, 0), (1, 1, 0), (11, 0), (1, 10), (0, 0, 0, 1)]
    assert len({seeded_generator(torch.device("cpu"), *each).initial_seed() for each in numbers}) == len(numbers)
