import pytest
import torch
from scipy import stats

from projection.errors import ProjectionError
from projection.transforms import (
    AmplitudeScaling,
    BaselineWander,
    GaussianNoise,
    LeadDropout,
    Mixup,
    Normalise,
    PowerLineInterference,
    RandomApply,
    RandomCrop,
    Resample,
    TimeMask,
)

X = torch.arange(100.0).expand(64, 12, 100)
Y = torch.ones(64, 3)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_crops_are_stretches_at_different_places() -> None:
    x, y = RandomCrop(0.25)(X, Y, 100, seeded(0))
    assert x.shape == (64, 12, 25)
    assert y is Y
    assert (x.diff(dim=2) == 1).all()
    starts = x[:, 0, 0]
    assert (x[:, :, 0] == starts[:, None]).all()
    assert starts.min() < 10
    assert starts.max() > 65
    assert len(starts.unique()) > 20


def test_crops_reach_both_ends() -> None:
    starts = RandomCrop(0.98)(X, Y, 100, seeded(0))[0][:, 0, 0]
    assert starts.unique().tolist() == [0, 1, 2]


def test_signals_shorter_than_the_crop_stay_whole() -> None:
    assert torch.equal(RandomCrop(5.0)(X, Y, 100)[0], X)


def test_noise_has_the_level_asked_for() -> None:
    zeros = torch.zeros(500, 12, 200)
    noise = GaussianNoise(0.2)(zeros, Y, 100, seeded(0))[0]
    levels = noise.std(dim=(1, 2))
    assert stats.kstest(levels / 0.2, "uniform").pvalue > 0.01
    assert stats.kstest((noise / levels.view(-1, 1, 1))[:, 0, 0], "norm").pvalue > 0.01
    neighbours = (noise[..., 1:] * noise[..., :-1]).sum() / noise.square().sum()
    assert abs(neighbours) < 0.01, "white noise has no memory"


def test_scaling_keeps_the_relation_of_leads() -> None:
    x = torch.randn(64, 12, 50)
    factors = AmplitudeScaling(0.5, 2.0)(x, Y, 100, seeded(0))[0] / x
    torch.testing.assert_close(factors, factors[:, :1, :1].expand_as(factors))
    assert 0.499 <= factors.min() < 0.6
    assert 1.9 < factors.max() <= 2.001


@pytest.mark.parametrize(("over", "axes"), [("record", (1, 2)), ("lead", (2,))])
def test_normalised_signals_have_mean_0_and_deviation_1(over: str, axes: tuple[int, ...]) -> None:
    x = 3 + 2 * torch.randn(5, 12, 301, generator=seeded(0)) * torch.arange(1.0, 13.0).view(1, 12, 1)
    normal = Normalise(over)(x, Y, 100)[0]
    mean, deviation = normal.mean(dim=axes), normal.std(dim=axes, correction=0)
    torch.testing.assert_close(mean, torch.zeros_like(mean), atol=1e-5, rtol=0)
    torch.testing.assert_close(deviation, torch.ones_like(deviation))
    one_factor = (normal.diff() / x.diff()).std(dim=(1, 2)) < 0.01
    assert (one_factor == (over == "record")).all(), "only a whole record keeps the relation of its leads"


def test_normalising_by_the_data_set_takes_the_given_numbers() -> None:
    assert torch.equal(Normalise("dataset", mean=9.0, std=2.0)(X, Y, 100)[0], (X - 9) / 2)


@pytest.mark.parametrize("over", ["record", "lead"])
@pytest.mark.parametrize("length", [1, 2, 999])
def test_normalised_constants_are_0(over: str, length: int) -> None:
    normal = Normalise(over)(torch.full((2, 3, length), 0.7), Y, 100)[0]
    torch.testing.assert_close(normal, torch.zeros(2, 3, length), atol=1e-3, rtol=0)


@pytest.mark.thorough
def test_wander_is_slow_bounded_and_common_to_all_leads() -> None:
    wander = BaselineWander(0.3, max_hertz=0.5, waves=2)(torch.zeros(64, 12, 10_000).double(), Y, 100, seeded(0))[0]
    assert 0.2 < wander.abs().max() <= 0.3
    power = torch.fft.rfft(wander * torch.hann_window(10_000)).abs().square()
    hertz = torch.fft.rfftfreq(10_000, 1 / 100)
    band = (hertz >= 0.03) & (hertz <= 0.52)  # a window of 100 s blurs by 0.02 Hz
    assert (power[..., band].sum(dim=2) > 0.999 * power.sum(dim=2)).all()
    assert (torch.linalg.matrix_rank(wander, rtol=1e-9) == 2).all(), "12 leads are mixtures of 2 waves"


@pytest.mark.parametrize(("hertz", "rate"), [(50, 500), (60, 500), (60, 120), (50, 100)])
def test_hum_has_the_frequency_of_the_mains_in_phase_on_all_leads(hertz: int, rate: int) -> None:
    hum = PowerLineInterference(0.1, hertz)(torch.zeros(32, 12, 10 * rate), Y, rate, seeded(0))[0]
    assert 0.09 < hum.abs().max() <= 0.1
    spectrum = torch.fft.rfft(hum)
    assert (torch.fft.rfftfreq(10 * rate, 1 / rate)[spectrum.abs().argmax(dim=2)] == hertz).all()
    line = spectrum[..., 10 * hertz]
    torch.testing.assert_close((line * line[:, :1].conj()).angle(), torch.zeros(32, 12), atol=1e-2, rtol=0)
    assert line.abs().std(dim=1).min() > 0, "of another size in each lead"


def test_hum_beyond_the_spectrum_is_refused() -> None:
    with pytest.raises(ProjectionError, match="cannot add 60 Hz to signals at 100 Hz"):
        PowerLineInterference(hertz=60)(X, Y, 100)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_leads_are_dropped_whole_but_never_all(probability: float) -> None:
    x = torch.randn(2000, 12, 5, generator=seeded(0))
    changed = LeadDropout(probability)(x, Y, 100, seeded(1))[0]
    dropped = (changed == 0).all(dim=2)
    assert torch.equal(changed[~dropped], x[~dropped])
    assert not dropped.all(dim=1).any()
    assert dropped.float().mean().item() == pytest.approx(min(probability, 11 / 12), abs=0.01)
    assert dropped.float().mean(dim=0).std() < 0.02, "every lead is as likely as another"
    assert torch.equal(LeadDropout(probability)(x[:, :1], Y, 100, seeded(1))[0], x[:, :1]), "a single lead stays"


@pytest.mark.parametrize("length", [1, 30, 1000])
def test_masks_are_single_stretches_no_longer_than_asked_for(length: int) -> None:
    masked = TimeMask(0.5)(torch.ones(500, 12, length), Y, 100, seeded(0))[0]
    hidden = masked == 0
    assert torch.equal(masked[~hidden], torch.ones_like(masked[~hidden]))
    assert (hidden == hidden[:, :1]).all(), "all leads at once"
    assert (torch.nn.functional.pad(hidden[:, 0].int(), (1, 0)).diff(dim=1) == 1).sum(dim=1).max() == 1
    lengths = hidden[:, 0].sum(dim=1)
    assert lengths.max() <= min(50, length)
    if length == 1000:
        assert stats.kstest(lengths / 50, "uniform").statistic < 0.1
        middles = torch.stack([row.nonzero().float().mean() for row in hidden[:, 0] if row.any()])
        assert stats.kstest(middles / length, "uniform").statistic < 0.1


@pytest.mark.parametrize("alpha", [0.1, 0.2, 0.5, 1.0])
def test_mixing_weights_follow_the_beta_distribution(alpha: float) -> None:
    y = torch.eye(1000, dtype=torch.float64)
    mixed = Mixup(alpha)(torch.zeros(1000, 1, 1).double(), y, 100, seeded(0))[1]
    weights = mixed.diagonal()
    torch.testing.assert_close(mixed.sum(dim=1), torch.ones(1000, dtype=torch.float64))
    assert (mixed >= 0).all()
    assert ((mixed > 0).sum(dim=1) <= 2).all(), "a record and its partner"
    assert stats.kstest(weights, stats.beta(alpha, alpha).cdf).pvalue > 0.01


def test_labels_are_mixed_as_signals_are() -> None:
    y = torch.eye(50)
    mixed_x, mixed_y = Mixup(0.5)(y.view(50, 1, 50).expand(50, 12, 50), y, 100, seeded(0))
    torch.testing.assert_close(mixed_x, mixed_y.unsqueeze(1).expand_as(mixed_x))
    assert torch.equal(Mixup()(y[:1, None], y[:1], 100)[1], y[:1]), "a single record has no other to mix with"


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_only_a_share_of_records_is_changed(probability: float) -> None:
    x, y = torch.ones(3000, 2, 4), torch.ones(3000, 1)
    changed = (RandomApply(AmplitudeScaling(2.0, 3.0), probability)(x, y, 100, seeded(0))[0] != x).float()
    assert changed.mean().item() == pytest.approx(probability, abs=0.03)
    assert torch.equal(changed, changed[:, :1, :1].expand_as(changed)), "a record is changed as a whole, or not"


def test_now_and_then_can_be_nested_and_takes_labels_along() -> None:
    x, y = torch.ones(3000, 1, 4), torch.ones(3000, 1)
    nested = RandomApply(RandomApply(AmplitudeScaling(2.0, 3.0), 0.5), 0.5)
    assert (nested(x, y, 100, seeded(0))[0] != x).float().mean().item() == pytest.approx(0.25, abs=0.03)
    eye = torch.eye(200)
    mixed_x, mixed_y = RandomApply(Mixup(1.0), 0.5)(eye.unsqueeze(1), eye, 100, seeded(0))
    torch.testing.assert_close(mixed_x[:, 0], mixed_y)
    assert (mixed_y != eye).any(dim=1).float().mean().item() == pytest.approx(0.5, abs=0.1)


@pytest.mark.parametrize("transform", [RandomCrop(0.5), Resample(50)])
def test_what_changes_the_length_is_not_applied_now_and_then(transform: RandomCrop | Resample) -> None:
    with pytest.raises(ProjectionError, match=f"found {type(transform).__name__}, which made 50 samples of 100"):
        RandomApply(transform)(X, Y, 100)
