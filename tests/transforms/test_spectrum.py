import math

import numpy as np
import pytest
import torch
from scipy import signal
from torch import Tensor

from projection.errors import ProjectionError
from projection.transforms import BandPass, FourierSurrogate, Resample, TimeWarp

Y = torch.ones(1, 2)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def tone(hertz: float, rate: int, length: int, phase: float = 0.0) -> Tensor:
    return torch.sin(2 * math.pi * hertz * torch.arange(length, dtype=torch.float64) / rate + phase).view(1, 1, -1)


def chord(highest: float, rate: int, length: int) -> Tensor:
    tones = enumerate(np.linspace(0.7, highest, 7))
    return torch.cat([tone(hertz, rate, length, phase=k) for k, hertz in tones], dim=1).sum(dim=1, keepdim=True)


def filtered_by_scipy(x: Tensor, low: float | None, high: float | None, order: int, rate: int) -> Tensor:
    values = x.numpy()
    for edge, kind in ((low, "highpass"), (high, "lowpass")):
        if edge is not None:
            values = signal.sosfiltfilt(signal.butter(order, edge, kind, fs=rate, output="sos"), values)
    return torch.from_numpy(values.copy())


@pytest.mark.parametrize(
    ("low", "high", "rate"),
    [(0.5, 40.0, 500), (None, 40.0, 500), (0.5, None, 500), (5.0, 15.0, 500), (1.0, None, 100), (0.5, 8.0, 100)],
)
@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("seconds", [20.0, 19.99])
def test_bandpass_is_a_butterworth_filter_forwards_and_backwards(
    low: float | None, high: float | None, rate: int, order: int, seconds: float
) -> None:
    x = chord(0.1 * rate, rate, round(seconds * rate))
    ours = BandPass(low, high, order)(x, Y, rate)[0]
    # a digital filter bends the frequencies near half of the sampling rate, and scipy treats the ends otherwise
    inner = slice(5 * rate, -5 * rate)
    torch.testing.assert_close(
        ours[..., inner], filtered_by_scipy(x, low, high, order, rate)[..., inner], atol=0.03, rtol=0
    )


@pytest.mark.parametrize("order", [1, 2, 4])
@pytest.mark.parametrize(
    ("hertz", "share"), [(0.05, 0.0), (0.5, 0.5), (5.0, 1.0), (10.0, 1.0), (40.0, 0.5), (200.0, 0.0)]
)
def test_bandpass_shifts_no_tone_and_halves_those_at_its_edges(hertz: float, share: float, order: int) -> None:
    x = tone(hertz, 500, 20_000, phase=0.3)
    inner = slice(5000, 15_000)
    ours = BandPass(0.5, 40.0, order)(x, Y, 500)[0]
    torch.testing.assert_close(ours[..., inner], share * x[..., inner], atol=0.07 if order == 1 else 0.01, rtol=0)


def test_bandpass_takes_the_mean_away_and_a_lowpass_leaves_it() -> None:
    x = torch.full((1, 12, 301), 0.7)
    torch.testing.assert_close(BandPass()(x, Y, 100)[0], torch.zeros_like(x), atol=1e-5, rtol=0)
    torch.testing.assert_close(BandPass(low=None)(x, Y, 100)[0], x)
    torch.testing.assert_close(BandPass(None, None)(x, Y, 100)[0], x)


def test_bandpass_sees_no_jump_from_end_to_beginning() -> None:
    step = tone(0.01, 100, 1000)  # a slow rise
    assert (BandPass(None, 30.0)(step, Y, 100)[0] - step).abs().max() < 0.01


def test_bandpass_wants_its_edge_within_the_spectrum() -> None:
    x = torch.zeros(1, 1, 100)
    with pytest.raises(ProjectionError, match="60 Hz, but signals at 100 Hz end at 50 Hz"):
        BandPass(high=60.0)(x, Y, 100)
    BandPass(high=50.0)(x, Y, 100)


RATES = [(500, 100), (100, 500), (500, 250), (257, 100), (100, 257)]


@pytest.mark.parametrize(("rate", "hertz"), RATES)
@pytest.mark.parametrize("extra", [0, 1, 2, 3])
def test_resampling_agrees_with_scipy_and_with_the_truth(rate: int, hertz: int, extra: int) -> None:
    highest = 0.35 * min(rate, hertz)
    x = chord(highest, rate, 10 * rate + extra)
    ours = Resample(hertz)(x, Y, rate)[0]
    scipys = torch.from_numpy(signal.resample_poly(x.numpy(), hertz, rate, axis=2))
    assert ours.shape == scipys.shape
    inner = slice(2 * hertz, -2 * hertz)  # each treats the ends in its own way
    torch.testing.assert_close(ours[..., inner], scipys[..., inner], atol=0.02, rtol=0)
    truth = chord(highest, hertz, ours.shape[2])
    torch.testing.assert_close(ours[..., inner], truth[..., inner], atol=0.005, rtol=0)


@pytest.mark.parametrize(("rate", "hertz"), RATES)
@pytest.mark.parametrize("length", [1, 2, 3, 50, 257, 1001])
def test_resampling_keeps_constants_up_to_the_ends(rate: int, hertz: int, length: int) -> None:
    x = torch.full((2, 3, length), 1.3)
    resampled = Resample(hertz)(x, Y, rate)[0]
    torch.testing.assert_close(resampled, torch.full((2, 3, math.ceil(length * hertz / rate)), 1.3))


def test_resampling_cuts_off_what_the_new_rate_cannot_represent() -> None:
    resampled = Resample(100)(tone(70.0, 500, 5000), Y, 500)[0]
    assert resampled[..., 100:-100].abs().max() < 0.01


@pytest.mark.parametrize("length", [1, 2, 3, 100, 101])
def test_upsampling_goes_through_every_sample_even_at_the_highest_frequency(length: int) -> None:
    x = tone(50.0, 100, length, phase=1.0) + tone(7.0, 100, length)
    torch.testing.assert_close(Resample(500)(x, Y, 100)[0][..., ::5], x)


def test_resampling_tells_its_rate_and_leaves_the_same_rate_alone() -> None:
    x = torch.randn(2, 3, 101)
    assert Resample(250).output_rate(500) == 250
    assert BandPass().output_rate(500) == 500
    torch.testing.assert_close(Resample(500)(x, Y, 500)[0], x)


@pytest.mark.parametrize("length", [1, 2, 3, 500, 501])
@pytest.mark.parametrize("strength", [0.1, 1.0])
def test_surrogates_keep_spectra_and_what_leads_have_in_common(length: int, strength: float) -> None:
    x = torch.randn(4, 12, length, generator=seeded(0), dtype=torch.float64)
    surrogate = FourierSurrogate(strength)(x, Y, 100, seeded(1))[0]
    before, after = torch.fft.rfft(x), torch.fft.rfft(surrogate)
    torch.testing.assert_close(after.abs(), before.abs())
    torch.testing.assert_close(after * after[:, :1].conj(), before * before[:, :1].conj())  # phases between leads
    torch.testing.assert_close(surrogate.mean(dim=2), x.mean(dim=2))
    assert (after / before).angle().abs().max() <= math.pi * strength + 1e-6


def test_surrogates_depart_further_the_stronger_they_are() -> None:
    x = torch.randn(4, 12, 500, generator=seeded(0))
    none, some, full = (FourierSurrogate(strength)(x, Y, 100, seeded(1))[0] for strength in (0.0, 0.1, 1.0))
    torch.testing.assert_close(none, x)
    assert 0.01 < (some - x).std() < 0.5 < (full - x).std()


@pytest.mark.parametrize("length", [2, 3, 50, 1000, 2501])
@pytest.mark.parametrize("max_change", [0.1, 0.5, 0.99])
def test_warped_time_never_runs_backwards_and_keeps_its_ends(length: int, max_change: float) -> None:
    time = torch.arange(length, dtype=torch.float64)
    warped = TimeWarp(max_change)(time.expand(16, 2, length), Y, 100, seeded(0))[0]
    torch.testing.assert_close(warped[..., 0], torch.zeros(16, 2, dtype=torch.float64))
    torch.testing.assert_close(warped[..., -1], torch.full((16, 2), length - 1.0, dtype=torch.float64))
    assert torch.equal(warped[:, 0], warped[:, 1]), "all leads of a record share a rhythm"
    inner = warped[..., 2:-2]  # the cubic bends a straight line at its ends only
    assert (warped.diff() >= 0).all()
    assert ((inner.diff() - 1).abs() <= max_change + 0.01).all()


def test_warping_reaches_the_change_asked_for() -> None:
    speeds = TimeWarp(0.2)(torch.arange(1000.0).expand(200, 1, 1000), Y, 100, seeded(0))[0][..., 2:-2].diff()
    largest = (speeds - 1).abs().amax(dim=2)
    assert largest.max().item() == pytest.approx(0.2, abs=0.01)
    assert largest.mean().item() == pytest.approx(0.1, abs=0.02)


@pytest.mark.parametrize("length", [1, 2, 3, 1000])
def test_warping_leaves_constants_and_no_change_leaves_everything(length: int) -> None:
    constant = torch.full((4, 3, length), 0.7)
    torch.testing.assert_close(TimeWarp(0.5)(constant, Y, 100, seeded(0))[0], constant)
    x = torch.randn(4, 3, length)
    torch.testing.assert_close(TimeWarp(0.0)(x, Y, 100, seeded(0))[0], x)


def test_warped_tones_stay_pure_between_samples() -> None:
    x = tone(5.0, 500, 5000)
    positions = TimeWarp(0.1)(torch.arange(5000, dtype=torch.float64).view(1, 1, -1), Y, 500, seeded(3))[0]
    expected = torch.sin(2 * math.pi * 5.0 * positions / 500)
    warped = TimeWarp(0.1)(x, Y, 500, seeded(3))[0]
    torch.testing.assert_close(warped[..., 2:-2], expected[..., 2:-2], atol=1e-4, rtol=0)
