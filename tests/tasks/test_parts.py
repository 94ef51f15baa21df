"""The task's parts against their formulas: losses, schedules, windows."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor, nn
from torch.optim import Optimizer

from projection.errors import ProjectionError
from projection.tasks import BinaryCrossEntropy, FocalLoss, OneCycle, WarmupCosine
from projection.tasks.checks import check_first_batch
from projection.tasks.windows import aggregate, sliding_windows
from tests.tasks.by_hand import Array

CLASSES = 3
logits = arrays.arrays(float, (4, CLASSES), elements=st.floats(-8, 8))
labels = arrays.arrays(float, (4, CLASSES), elements=st.sampled_from([0.0, 1.0]))
parts = st.floats(0, 1)


def by_formula(
    z: Array, y: Array, positive: Array | float = 1.0, gamma: float = 0.0, alpha: float | None = None, smooth: float = 0
) -> float:
    p, target = 1 / (1 + np.exp(-z)), y * (1 - smooth) + smooth / 2
    losses = -positive * target * np.log(p) - (1 - target) * np.log(1 - p)
    losses = losses * np.where(y == 1, 1 - p, p) ** gamma
    if alpha is not None:
        losses = losses * np.where(y == 1, alpha, 1 - alpha)
    return float(losses.mean())


def computed(loss: nn.Module, z: Array, y: Array) -> float:
    return float(loss(torch.from_numpy(z), torch.from_numpy(y)))


@given(logits, labels, st.lists(st.floats(0.125, 8, width=32), min_size=CLASSES, max_size=CLASSES), parts)
def test_cross_entropy_weighs_positives_and_smooths_labels(
    z: Array, y: Array, weights: list[float], part: float
) -> None:
    assert computed(BinaryCrossEntropy(), z, y) == pytest.approx(by_formula(z, y))
    assert computed(BinaryCrossEntropy(weights[0]), z, y) == pytest.approx(by_formula(z, y, weights[0]))
    expected = by_formula(z, y, np.array(weights), smooth=part)
    assert computed(BinaryCrossEntropy(weights, part), z, y) == pytest.approx(expected)


@pytest.mark.thorough
@given(logits, labels, st.floats(0, 5), parts, parts)
def test_focal_loss_fades_and_weighs_both_kinds_of_labels(
    z: Array, y: Array, gamma: float, alpha: float, part: float
) -> None:
    assert computed(FocalLoss(), z, y) == pytest.approx(by_formula(z, y, gamma=2))
    expected = by_formula(z, y, gamma=gamma, alpha=alpha, smooth=part)
    assert computed(FocalLoss(gamma, alpha, part), z, y) == pytest.approx(expected)


def test_a_wrong_number_of_positive_weights_is_named() -> None:
    with pytest.raises(ProjectionError, match="3 values for 2 classes"):
        BinaryCrossEntropy([1.0, 2.0, 3.0])(torch.zeros(1, 2), torch.zeros(1, 2))


def optimizer() -> Optimizer:
    """Two groups, since each has a peak of its own."""
    groups = [{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 0.02)]
    return torch.optim.AdamW(groups, betas=(0.9, 0.999))


def followed(schedule: torch.optim.lr_scheduler.LRScheduler, steps: int) -> Array:
    """Step on, and give the rates of both groups and the first's momentum before each step."""
    seen = []
    for number in range(steps):
        groups = schedule.optimizer.param_groups
        seen.append([groups[0]["lr"], groups[1]["lr"], groups[0]["betas"][0]])
        schedule.optimizer.step()
        if number < steps - 1:
            schedule.step()
    return np.array(seen)


def between(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def one_cycle(steps: int, warmup: float, first: float, last: float) -> Array:
    """Compute factors on the peak, and momentum."""
    top, end = warmup * steps - 1, steps - 1
    rising = [(between(first, 1, k / top), between(0.95, 0.85, k / top)) for k in range(steps) if k <= top]
    falling = [(k - top) / (end - top) for k in range(len(rising), steps)]
    return np.array(rising + [(between(1, last, part), between(0.85, 0.95, part)) for part in falling])


@pytest.mark.parametrize("steps", [10, 100])
def test_one_cycle_rises_and_falls_along_cosines(steps: int) -> None:
    shipped, own = one_cycle(steps, 0.3, 1 / 25, 1 / 25 / 1e4), one_cycle(steps, 0.5, 1 / 10, 1 / 10 / 100)
    found = followed(OneCycle(optimizer(), steps), steps)
    np.testing.assert_allclose(found, np.column_stack([0.1 * shipped[:, 0], 0.02 * shipped[:, 0], shipped[:, 1]]))
    found = followed(OneCycle(optimizer(), steps, 0.5, 10, 100, cycle_momentum=False), steps)
    np.testing.assert_allclose(found, np.column_stack([0.1 * own[:, 0], 0.02 * own[:, 0], np.full(steps, 0.9)]))


def warmup_cosine(step: int, steps: int, rising: int, floor: float) -> float:
    return (step + 1) / rising if step < rising else between(1, floor, min(1, (step - rising) / (steps - rising)))


@pytest.mark.parametrize("steps", [10, 100])
def test_warmup_cosine_rises_along_a_line_and_falls_to_its_floor(steps: int) -> None:
    # some steps longer, since the floor comes after the last step and then holds
    shipped = [warmup_cosine(step, steps, max(1, steps // 20), 0.0) for step in range(steps + 3)]
    np.testing.assert_allclose(
        followed(WarmupCosine(optimizer(), steps), steps + 3)[:, :2], np.outer(shipped, [0.1, 0.02]), atol=1e-12
    )
    own = [warmup_cosine(step, steps, 3 * steps // 10, 0.25) for step in range(steps + 3)]
    assert own[-1] == 0.25
    np.testing.assert_allclose(
        followed(WarmupCosine(optimizer(), steps, 0.3, 0.25), steps + 3)[:, :2], np.outer(own, [0.1, 0.02])
    )


@pytest.mark.parametrize("schedule", [OneCycle, WarmupCosine])
def test_a_resumed_run_may_be_longer_and_goes_on_along_the_longer_shape(schedule: type[OneCycle]) -> None:
    stopped = schedule(optimizer(), 10)
    followed(stopped, 8)
    resumed = schedule(optimizer(), 40)
    resumed.optimizer.load_state_dict(stopped.optimizer.state_dict())
    resumed.load_state_dict(stopped.state_dict())
    resumed.step()
    np.testing.assert_allclose(followed(resumed, 32), followed(schedule(optimizer(), 40), 40)[8:])


@given(st.integers(1, 300), st.integers(1, 100), st.integers(1, 80))
def test_windows_begin_every_stride_and_the_last_ends_with_the_signal(time: int, length: int, stride: int) -> None:
    x = np.arange(2.0 * 3 * time).reshape(2, 3, time)
    last = max(0, time - length)
    starts = sorted({start for start in range(last) if start % stride == 0} | {last})
    expected = np.stack([x[:, :, start : start + length] for start in starts], axis=1)
    np.testing.assert_array_equal(sliding_windows(torch.from_numpy(x), length, stride), expected)


def test_published_windows() -> None:
    assert sliding_windows(torch.zeros(1, 12, 1000), 250, 125).shape == (1, 7, 12, 250)


def test_aggregation_is_of_probabilities() -> None:
    given = torch.randn(4, 7, 3)
    probabilities = given.sigmoid()
    torch.testing.assert_close(aggregate(given, "max").sigmoid(), probabilities.amax(dim=1))
    torch.testing.assert_close(aggregate(given, "mean").sigmoid(), probabilities.mean(dim=1))
    for sure in (torch.tensor([[[40.0], [50.0]]]), torch.tensor([[[-50.0], [-40.0]]])):
        assert 40 < aggregate(sure, "mean").abs().item() < 50


@pytest.mark.parametrize("last", [nn.Sigmoid(), nn.Softmax(dim=1)])
def test_a_net_that_gives_probabilities_is_told_of(last: nn.Module) -> None:
    net = nn.Sequential(nn.Linear(8, 5), last)
    with pytest.warns(UserWarning, match="All that Sequential gives lies between 0 and 1, as after a sigmoid or soft"):
        check_first_batch(net(torch.randn(4, 8)), torch.ones(4, 5), net)


@pytest.mark.parametrize("logits", [torch.randn(4, 5), torch.zeros(4, 5), torch.full((4, 5), 1.01)])
def test_a_net_that_gives_logits_is_not(logits: Tensor, recwarn: pytest.WarningsRecorder) -> None:
    check_first_batch(logits, torch.ones(4, 5), nn.Identity())
    assert not recwarn


@pytest.mark.parametrize("wrong", [-1.0, 2.0, math.nan])
def test_labels_that_are_none_are_refused(wrong: float) -> None:
    labels = torch.tensor([[0.0, 1.0], [0.3, 1.0]])
    logits = torch.randn(2, 2)
    check_first_batch(logits, labels, nn.Identity())
    labels[1, 0] = wrong
    with pytest.raises(ProjectionError, match="Labels are 0 or 1, or between them where labels are mixed; found"):
        check_first_batch(logits, labels, nn.Identity())
