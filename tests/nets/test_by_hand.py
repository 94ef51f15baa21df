"""Every net computes what its paper says, in training as in use."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

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
from projection.nets.s4 import StateSpace
from tests.nets.by_hand.convolutions import cnn, convnext, fcn_wang, inception, net1d, resnet_wang, xresnet
from tests.nets.by_hand.sequences import filtered, lstm, s4, vit
from tests.nets.by_hand.weights import Weights, shaken

BY_HAND: dict[Callable[..., Net], Callable[..., Tensor]] = {
    CNN1d: cnn,
    ConvNeXt1d: convnext,
    FCNWang: fcn_wang,
    Inception1d: inception,
    LSTM: lstm,
    Net1D: net1d,
    ResNet1dWang: resnet_wang,
    S4: s4,
    ViT1d: vit,
    XResNet1d: xresnet,
}
SHIPPED = [
    *((kind, {}) for kind in BY_HAND),
    (LSTM, {"bidirectional": True}),
    (XResNet1d, {"depth": 18}),
    *(pytest.param(XResNet1d, {"depth": depth}, marks=pytest.mark.slow) for depth in (34, 50, 152)),
]
OTHERS: list[tuple[Callable[..., Net], dict[str, Any]]] = [
    (CNN1d, {"widths": (4, 8), "kernel_size": 3, "dropout": 0.6}),
    (ConvNeXt1d, {"widths": (8, 16), "blocks": (1, 2), "patch": 3, "kernel_size": 5, "drop_path": 0.0}),
    (FCNWang, {"hidden": 32, "dropout": 0.2}),
    (Inception1d, {"depth": 3, "kernel_size": 16, "hidden": 32, "dropout": 0.2}),
    (Inception1d, {"depth": 3, "kernel_size": 11}),
    (LSTM, {"width": 8, "layers": 1, "hidden": 32, "dropout": 0.2}),
    (LSTM, {"width": 8, "layers": 3, "bidirectional": True}),
    # at a probability of one it does not matter which values are drawn, and they are drawn in another order there
    (Net1D, {"widths": (16, 48), "blocks": (1, 2), "kernel_size": 7, "dropout": 1.0}),
    (ResNet1dWang, {"kernel_size": 9, "hidden": 32, "dropout": 0.2}),
    (S4, {"width": 8, "depth": 2, "state": 4, "bidirectional": False, "dropout": 0.5}),
    (ViT1d, {"patch": 7, "width": 24, "depth": 2, "heads": 2, "dropout": 0.4}),
    (XResNet1d, {"depth": 18, "kernel_size": 7, "hidden": 32, "dropout": 0.2}),
]


def named(value: object) -> str:
    arguments = value.items() if isinstance(value, dict) else ()
    return value.__name__ if isinstance(value, type) else " ".join(f"{name}={given}" for name, given in arguments)


IN_USE = pytest.param(False, id="in use")
IN_TRAINING = pytest.param(True, id="in training", marks=pytest.mark.thorough)


@pytest.mark.parametrize("training", [IN_USE, IN_TRAINING])
@pytest.mark.parametrize(("kind", "arguments"), [*SHIPPED, *OTHERS], ids=named)
def test_a_net_computes_what_its_paper_says(
    kind: Callable[..., Net], arguments: dict[str, Any], training: bool
) -> None:
    if kind is ConvNeXt1d and training and not arguments:
        arguments = {"drop_path": 0.0}  # which blocks are left out has a test of its own
    leads = 2 if arguments else 12
    net = shaken(kind(leads, 71, **arguments)).train(training)
    # an odd number of samples, so that every rounding counts; one record where dropout depends on the layout in memory
    x = torch.randn(1 if kind is ViT1d else 3, leads, 97, dtype=torch.float64)
    weights = Weights(net)
    torch.manual_seed(1)
    expected = BY_HAND[kind](weights, x, **arguments)
    torch.manual_seed(1)  # for the same draws of dropout
    tolerance = 1e-4 if kind is ViT1d else 1e-7  # its positions are float32
    torch.testing.assert_close(net(x), expected, rtol=tolerance, atol=tolerance)
    assert not weights.left
    remembered = dict(net.named_buffers())
    for name, value in weights.running.items():
        torch.testing.assert_close(remembered[name], value, rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("length", [1, 2, 57, 250])
def test_s4_computes_what_its_recurrence_does(length: int) -> None:
    space = StateSpace(6, 8, bidirectional=True).double()
    x = torch.randn(2, 6, length, dtype=torch.float64)
    expected = filtered(Weights(space), x, width=6, state=8, bidirectional=True)
    torch.testing.assert_close(space(x), expected, rtol=1e-9, atol=1e-9)
