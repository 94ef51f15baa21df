"""Integrated gradients against closed forms, and what their authors promise."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from projection.nets import CNN1d
from projection.report.attribution import Attribution, integrated_gradients


def test_of_a_linear_model_each_sample_gets_its_part() -> None:
    weights = torch.randn(12, 50, dtype=torch.float64)
    record = torch.randn(12, 50, dtype=torch.float64)
    found = integrated_gradients(lambda x: (x * weights).sum(dim=(1, 2)) + 3, record, steps=5)
    np.testing.assert_allclose(found.values, weights * record, atol=1e-12)
    assert found.unexplained == pytest.approx(0)
    assert found.flat_logit == 3


@pytest.mark.parametrize("steps", [1, 5, 8, 20])
def test_a_product_is_shared_by_its_factors(steps: int) -> None:
    record = torch.randn(3, 50, dtype=torch.float64)
    # along the path from a flat line both grow alike, so that each has half of it; the third lead has its square
    found = integrated_gradients(lambda x: (x[:, 0] * x[:, 1] - x[:, 2] ** 2).sum(dim=1) - 1, record, steps)
    half = record[0] * record[1] / 2
    np.testing.assert_allclose(found.values, torch.stack([half, half, -(record[2] ** 2)]), atol=1e-6)
    assert found.logit == pytest.approx(float(2 * half.sum() - (record[2] ** 2).sum()) - 1)
    assert found.flat_logit == -1


def test_gradients_are_averaged_in_the_middle_of_thirty_two_equal_parts() -> None:
    record = torch.randn(12, 50, dtype=torch.float64)
    found = integrated_gradients(lambda x: (x**3).sum(dim=(1, 2)), record)
    # the sum over n middles falls short of the integral of 3 a^2 by 1 / (4 n^2), which is told
    np.testing.assert_allclose(found.values, record**3 * (1 - 1 / (4 * 32**2)), rtol=1e-12)
    assert found.unexplained == pytest.approx(float((record**3).sum()) / (4 * 32**2), rel=1e-6)


def test_a_net_s_attributions_add_up_and_ignored_leads_get_nothing() -> None:
    net = nn.Sequential(CNN1d(11, 3, widths=[8, 16]), nn.Softplus()).eval()

    def logit(x: Tensor) -> Tensor:
        found: Tensor = net(torch.cat([x[:, :4], x[:, 5:]], dim=1))[:, 1]
        return found

    record = torch.randn(12, 500)
    found = integrated_gradients(logit, record, steps=400)
    assert found.logit == pytest.approx(logit(record.unsqueeze(0)).item(), abs=1e-5)
    assert abs(found.logit - found.flat_logit) > 0.1
    assert abs(found.unexplained) < 2e-3 * abs(found.logit - found.flat_logit)
    assert np.abs(found.values[4]).max() == 0
    assert found.lead_shares()[4] == 0


def test_what_speaks_for_and_against_in_one_lead_does_not_cancel_out() -> None:
    values = np.array([[1.0, -1.0], [0.5, 0.5], [-1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_allclose(Attribution(values, 0, 0).lead_shares(), [0.5, 0.25, 0.25, 0])
    assert Attribution(np.zeros((12, 5)), 0, 0).lead_shares().tolist() == [0] * 12
