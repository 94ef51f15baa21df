"""Integrated gradients: what their authors promise, and the model that a run folder gives back."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from projection.data.signal_sets import open_signals
from projection.evaluation.run import open_data, positions, read_run
from projection.models import CNN1d
from projection.report.attribution import integrated_gradients
from projection.report.rebuild import rebuild


def test_attributions_add_up_to_the_difference_of_logits() -> None:
    torch.manual_seed(0)
    net = CNN1d(12, 3, widths=[8, 16]).eval()
    record = torch.randn(12, 500)
    found = integrated_gradients(lambda x: net(x)[:, 1], record, steps=200)
    assert found.logit == pytest.approx(net(record.unsqueeze(0))[0, 1].item(), abs=1e-5)
    assert abs(found.logit - found.flat_logit) > 0.01
    assert abs(found.unexplained) < 0.02 * abs(found.logit - found.flat_logit)


def test_of_a_linear_model_each_sample_gets_its_part() -> None:
    weights = torch.randn(12, 50, dtype=torch.float64)
    record = torch.randn(12, 50, dtype=torch.float64)
    found = integrated_gradients(lambda x: (x * weights).sum(dim=(1, 2)) + 3, record, steps=5)
    np.testing.assert_allclose(found.values, weights * record, atol=1e-12)
    assert found.unexplained == pytest.approx(0)
    assert found.flat_logit == 3


def test_a_lead_that_the_model_ignores_gets_nothing() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(11, 4, 5), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten(), nn.Linear(4, 1)).eval()

    def logit(x: Tensor) -> Tensor:
        found: Tensor = net(torch.cat([x[:, :4], x[:, 5:]], dim=1))[:, 0]
        return found

    found = integrated_gradients(logit, torch.randn(12, 300))
    assert np.abs(found.values[4]).max() == 0
    assert found.lead_shares()[4] == 0
    assert found.lead_shares().sum() == pytest.approx(1)


def test_a_rebuilt_model_predicts_what_the_run_stored(trained: Path) -> None:
    run = read_run(trained)
    data = open_data(run)
    rows = positions(data, run.test.ids.numpy())
    model = rebuild(run, data.sampling_rate)
    signals = open_signals(data.stores).read(rows).float() / data.gain
    with torch.no_grad():
        torch.testing.assert_close(model(signals).sigmoid().double(), run.test.scores, atol=1e-5, rtol=0)


def test_fixed_transforms_belong_to_the_rebuilt_model(trained: Path) -> None:
    text = (trained / "config.yaml").read_text()
    named = [f"\n    - class_path: projection.transforms.{name}" for name in ("Normalise", "GaussianNoise")]
    (trained / "config.yaml").write_text(text.replace("transforms: null", f"transforms:{''.join(named)}"))
    model = rebuild(read_run(trained), 100)
    x = torch.randn(2, 12, 1000)
    torch.testing.assert_close(model(x), model(3 * x + 1), atol=1e-4, rtol=0)
