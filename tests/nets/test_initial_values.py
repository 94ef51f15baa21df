"""What nets begin with, and what they leave out at random."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn

from projection.nets import (
    LSTM,
    S4,
    CNN1d,
    ConvNeXt1d,
    FCNWang,
    Inception1d,
    Net,
    Net1D,
    ResNet1dWang,
    ViT1d,
    XResNet1d,
)
from projection.nets.convnext1d import Block
from projection.nets.s4 import StateSpace
from projection.nets.xresnet1d import Block as XResNetBlock

# any of these draws would fail once in ten thousand; the seed is fixed
IMPROBABLE = 1e-4


def drawn_from(values: Tensor, distribution: str, *parameters: float) -> bool:
    sample = values.detach().flatten().double().numpy()
    return bool(stats.kstest(sample[:: 1 + len(sample) // 100_000], distribution, parameters).pvalue > IMPROBABLE)


def layers(net: nn.Module, kind: type[nn.Module] | tuple[type[nn.Module], ...]) -> dict[str, nn.Module]:
    return {name: layer for name, layer in net.named_modules() if isinstance(layer, kind)}


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [CNN1d, FCNWang, Inception1d, LSTM, Net1D, ResNet1dWang, XResNet1d])
def test_convolutions_and_outputs_are_drawn_after_he(kind: Callable[..., Net]) -> None:
    net = kind(12, 71, widths=(64, 160), blocks=(1, 1)) if kind is Net1D else kind(12, 71)
    for layer in layers(net, (nn.Conv2d, nn.Linear)).values():
        assert drawn_from(layer.weight, "norm", 0, math.sqrt(2 / layer.weight[0].numel()))
        assert layer.bias is None or not layer.bias.any()


@pytest.mark.parametrize("kind", [CNN1d, FCNWang, Inception1d, LSTM, Net1D, ResNet1dWang, ConvNeXt1d, S4, ViT1d])
def test_normalisations_begin_as_no_change(kind: Callable[..., Net]) -> None:
    net = kind(12, 5, widths=(64, 160), blocks=(1, 1)) if kind is Net1D else kind(12, 5)
    for layer in layers(net, (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm)).values():
        assert torch.all(layer.weight == 1)
        assert not layer.bias.any()


@pytest.mark.parametrize(("depth", "blocks"), [(18, 8), (34, 16), (50, 16), (101, 33), (152, 50)])
def test_a_residual_net_begins_as_its_shortcuts(depth: int, blocks: int) -> None:
    net = XResNet1d(12, 5, depth=depth)  # type: ignore[arg-type]
    norms = layers(net, (nn.BatchNorm1d, nn.BatchNorm2d))
    zero = [name for name, norm in norms.items() if not norm.weight.any()]
    assert len(zero) == blocks
    assert all(torch.all(norm.weight == 1) for name, norm in norms.items() if name not in zero)
    assert not any(norm.bias.any() for norm in norms.values())
    for block in layers(net, XResNetBlock).values():
        x = torch.randn(2, next(block.parameters()).shape[1], 1, 9)
        torch.testing.assert_close(block(x), block.shortcut(x).relu())


@pytest.mark.thorough
def test_convnext_begins_with_small_weights_and_nearly_as_its_shortcuts() -> None:
    net = ConvNeXt1d(12, 71)
    for layer in layers(net, (nn.Conv1d, nn.Linear)).values():
        assert drawn_from(layer.weight, "norm", 0, 0.02)
        assert not layer.bias.any()
    scales = [value for name, value in net.named_parameters() if name.endswith("scale")]
    assert len(scales) == 12
    assert all(torch.all(scale == 1e-6) for scale in scales)


@pytest.mark.thorough
def test_transformer_layers_are_drawn_after_glorot_and_each_by_itself() -> None:
    net = ViT1d(12, 71)
    matrices = [value for value in net.body.parameters() if value.ndim == 2]
    for matrix in matrices:
        bound = math.sqrt(6 / sum(matrix.shape))
        assert drawn_from(matrix, "uniform", -bound, 2 * bound)
    assert len({float(matrix[0, 0]) for matrix in matrices}) == len(matrices) == 4 * 12


def test_s4_begins_with_steps_from_a_thousandth_to_a_tenth_and_with_hippo() -> None:
    space = StateSpace(width=20_000, state=4, bidirectional=True)
    assert drawn_from(space.log_step, "uniform", math.log(0.001), math.log(100))
    assert drawn_from(space.direct, "norm")
    for part in space.out.unbind(-1):  # complex numbers of variance one
        assert drawn_from(part, "norm", 0, math.sqrt(0.5))
    assert all(torch.all(value == value[0]) for value in (space.frequency, space.low_rank, space.into))
    # of A = diagonal - p p^H, as HiPPO-LegS of size 4 has it: the spectrum of A + p p^T, computed here from A alone
    root = np.sqrt(2 * np.arange(4) + 1)
    normal = -np.tril(np.outer(root, root), -1) - np.diag(np.arange(4) + 1) + np.outer(root, root) / 2
    expected = np.linalg.eigvals(normal)
    np.testing.assert_allclose(space.log_decay.exp().detach(), 0.5, rtol=1e-5)
    np.testing.assert_allclose(np.sort(space.frequency[0].detach()), np.sort(expected.imag)[2:], rtol=1e-5)


def test_a_block_is_left_out_of_some_records_and_counts_more_in_the_others() -> None:
    block = Block(width=4, kernel_size=3, drop_path=0.25)
    nn.init.ones_(block.scale)
    x = torch.randn(1, 4, 9)
    added = block(x.expand(8000, -1, -1)) - x
    left_out = (added == 0).flatten(1).all(dim=1)
    assert left_out.float().mean() == pytest.approx(0.25, abs=0.02)
    in_use = block.eval()(x) - x
    torch.testing.assert_close(added[~left_out], (in_use / 0.75).expand_as(added[~left_out]), rtol=1e-4, atol=1e-5)


def test_blocks_are_left_out_more_often_the_later_they_are() -> None:
    rates = [layer.drop_path for layer in layers(ConvNeXt1d(12, 5), Block).values()]
    assert rates == pytest.approx(np.linspace(0, 0.1, 12))


def test_the_recurrent_weights_are_those_of_pytorch() -> None:
    net = LSTM(12, 5)
    for weight in net.body.parameters():
        assert drawn_from(weight, "uniform", -1 / 16, 1 / 8)
