import pytest
import torch

from projection.transforms import AmplitudeScaling, GaussianNoise, RandomCrop, Transform

X = torch.arange(100.0).expand(64, 12, 100)
Y = torch.ones(64, 3)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("transform", [RandomCrop(0.5), GaussianNoise(), AmplitudeScaling()])
def test_randomness_comes_from_the_generator(transform: Transform) -> None:
    first, same, other = (transform(X, Y, 100, seeded(seed))[0] for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


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


def test_signals_shorter_than_the_crop_stay_whole() -> None:
    assert torch.equal(RandomCrop(5.0)(X, Y, 100)[0], X)


def test_noise_has_the_level_asked_for() -> None:
    zeros = torch.zeros(500, 12, 200)
    levels = GaussianNoise(0.2)(zeros, Y, 100, seeded(0))[0].std(dim=(1, 2))
    assert levels.max() < 0.21
    assert levels.mean().item() == pytest.approx(0.1, abs=0.02)


def test_scaling_keeps_the_relation_of_leads() -> None:
    x = torch.randn(64, 12, 50)
    factors = AmplitudeScaling(0.5, 2.0)(x, Y, 100, seeded(0))[0] / x
    torch.testing.assert_close(factors, factors[:, :1, :1].expand_as(factors))
    assert factors.min() >= 0.499
    assert factors.max() <= 2.001
