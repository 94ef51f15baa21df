import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from projection.errors import ProjectionError
from projection.tasks import BinaryCrossEntropy, FocalLoss, OneCycle, WarmupCosine
from projection.tasks.windows import aggregate, sliding_windows

LOGITS = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
LABELS = torch.tensor([[1.0, 0.0], [0.0, 1.0]])


def test_plain_loss_is_cross_entropy() -> None:
    expected = -(LABELS * LOGITS.sigmoid().log() + (1 - LABELS) * (-LOGITS).sigmoid().log()).mean()
    assert BinaryCrossEntropy()(LOGITS, LABELS).item() == pytest.approx(expected.item())
    assert FocalLoss(gamma=0)(LOGITS, LABELS).item() == pytest.approx(expected.item())


def test_positive_weights_scale_positive_labels_only() -> None:
    ones, zeros = torch.ones(2, 2), torch.zeros(2, 2)
    weighted, plain = BinaryCrossEntropy([3.0, 3.0]), BinaryCrossEntropy()
    assert weighted(LOGITS, ones).item() == pytest.approx(3 * plain(LOGITS, ones).item())
    assert weighted(LOGITS, zeros).item() == pytest.approx(plain(LOGITS, zeros).item())


def test_a_wrong_number_of_positive_weights_is_named() -> None:
    with pytest.raises(ProjectionError, match="3 values for 2 classes"):
        BinaryCrossEntropy([1.0, 2.0, 3.0])(LOGITS, LABELS)


def test_smoothing_moves_the_best_logit_from_infinity() -> None:
    loss = BinaryCrossEntropy(label_smoothing=0.2)
    at = {logit: loss(torch.tensor([[logit]]), torch.ones(1, 1)).item() for logit in (1.0, 2.1972, 8.0)}
    assert min(at, key=at.get) == 2.1972  # type: ignore[arg-type]


def test_focal_loss_fades_where_the_prediction_is_good() -> None:
    good, bad = torch.tensor([[4.0]]), torch.tensor([[-4.0]])
    plain, focal = BinaryCrossEntropy(), FocalLoss(gamma=2.0)
    one = torch.ones(1, 1)
    assert focal(good, one) / plain(good, one) == pytest.approx((1 - torch.sigmoid(good).item()) ** 2, rel=1e-4)
    assert focal(bad, one) / plain(bad, one) > 0.9
    assert FocalLoss(2.0, alpha=0.25)(good, one) == pytest.approx(0.25 * focal(good, one).item())


def rates(schedule: str, steps: int) -> list[float]:
    optimizer = torch.optim.AdamW([nn.Parameter(torch.zeros(1))], lr=0.1)
    built = {"one": OneCycle, "cosine": WarmupCosine}[schedule](optimizer, steps)
    seen = []
    for _ in range(steps):
        seen.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        built.step() if len(seen) < steps else None
    return seen


@pytest.mark.parametrize("schedule", ["one", "cosine"])
@pytest.mark.parametrize("steps", [10, 100])
def test_schedules_rise_to_the_optimizers_rate_and_fall(schedule: str, steps: int) -> None:
    seen = rates(schedule, steps)
    peak = seen.index(max(seen))
    assert max(seen) == pytest.approx(0.1, rel=0.05)
    assert seen[: peak + 1] == sorted(seen[: peak + 1])
    assert seen[peak:] == sorted(seen[peak:], reverse=True)
    assert seen[-1] < 0.02


@given(st.integers(1, 300), st.integers(1, 100), st.integers(1, 80))
def test_windows_cover_the_signal(time: int, length: int, stride: int) -> None:
    x = torch.arange(time, dtype=torch.float32).expand(2, 3, time)
    windows = sliding_windows(x, length, stride)
    assert windows.shape[-1] == min(length, time)
    assert windows[0, 0, 0, 0] == 0
    assert windows[0, -1, 0, -1] == time - 1
    assert (windows[0, 1:, 0, 0] - windows[0, :-1, 0, 0] <= stride).all()
    if stride <= length:
        assert set(windows.flatten().tolist()) == set(range(time))


def test_published_windows() -> None:
    assert sliding_windows(torch.zeros(1, 12, 1000), 250, 125).shape == (1, 7, 12, 250)


def test_aggregation_is_of_probabilities() -> None:
    logits = torch.randn(4, 7, 3)
    probabilities = logits.sigmoid()
    torch.testing.assert_close(aggregate(logits, "max").sigmoid(), probabilities.amax(dim=1))
    torch.testing.assert_close(aggregate(logits, "mean").sigmoid(), probabilities.mean(dim=1))
    sure = torch.tensor([[[40.0], [50.0]]])
    assert 40 < aggregate(sure, "mean").item() < 50
