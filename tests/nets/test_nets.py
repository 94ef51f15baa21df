"""What holds for every net, whatever it computes; and what is particular to S4."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from projection.errors import ProjectionError
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
from projection.nets.net import as_image
from projection.nets.s4 import legendre_memory

Factory = Callable[[int, int], Net]

# small ones of every kind
SMALL: dict[str, Factory] = {
    "CNN1d": lambda leads, classes: CNN1d(leads, classes, widths=(8, 8)),
    "ConvNeXt1d": lambda leads, classes: ConvNeXt1d(leads, classes, widths=(8, 16), blocks=(1, 2)),
    "FCNWang": lambda leads, classes: FCNWang(leads, classes, hidden=16),
    "Inception1d": lambda leads, classes: Inception1d(leads, classes, depth=3, kernel_size=16),
    "LSTM": lambda leads, classes: LSTM(leads, classes, width=8),
    "LSTM both ways": lambda leads, classes: LSTM(leads, classes, width=8, layers=1, bidirectional=True),
    "Net1D": lambda leads, classes: Net1D(leads, classes, widths=(16, 32), blocks=(1, 2)),
    "ResNet1dWang": lambda leads, classes: ResNet1dWang(leads, classes, hidden=16),
    "S4": lambda leads, classes: S4(leads, classes, width=16, depth=2),
    "S4 forwards": lambda leads, classes: S4(leads, classes, width=16, depth=1, bidirectional=False),
    "ViT1d": lambda leads, classes: ViT1d(leads, classes, width=24, depth=2),
    "XResNet1d of 18": lambda leads, classes: XResNet1d(leads, classes, depth=18),
    "XResNet1d of 50": lambda leads, classes: XResNet1d(leads, classes, depth=50),
}
every = pytest.mark.parametrize("factory", SMALL.values(), ids=SMALL)


@pytest.mark.thorough
@pytest.mark.parametrize(("leads", "length"), [(12, 250), (2, 999), (1, 1250)])
@every
def test_any_length_and_number_of_leads(factory: Factory, leads: int, length: int) -> None:
    net = factory(leads, 5)
    x = torch.randn(2, leads, length)
    assert net(x).shape == (2, 5)
    net.eval()
    seen: list[torch.Tensor] = []
    net.head.register_forward_pre_hook(lambda head, inputs: seen.append(inputs[0]))
    net(x)
    assert torch.equal(net.features(x), seen[0])


@every
def test_all_parameters_learn(factory: Factory) -> None:
    net = factory(12, 5).train()
    for name, parameter in net.named_parameters():
        # zero or nearly so at first in every block, so that gradients reach what is behind it only after some steps
        if (name.endswith("weight") and parameter.ndim == 1) or name.endswith("scale"):
            nn.init.ones_(parameter)
    for layer in net.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0  # at random, a parameter may have no say
    net(torch.randn(4, 12, 250)).square().sum().backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())


@every
def test_records_do_not_influence_each_other(factory: Factory) -> None:
    net = factory(12, 5).eval()
    x = torch.randn(3, 12, 250)
    torch.testing.assert_close(net(x)[1:2], net(x[1:2]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: Inception1d(12, 5, depth=4), "depth must be a multiple of three, found 4"),
        (lambda: Net1D(12, 5, widths=(20,), blocks=(1,)), "widths must be multiples of 16"),
        (lambda: ConvNeXt1d(12, 5, widths=(8,), blocks=(1, 1)), "1 widths do not go with 2 numbers of blocks"),
        (lambda: ViT1d(12, 5, width=10, heads=3), "a multiple of heads, found 10 and 3"),
        (lambda: ViT1d(12, 5, width=15, heads=3), "must be even and a multiple of heads, found 15 and 3"),
        (lambda: ResNet1dWang(12, 5, kernel_size=7), "kernel_size must be 1, 5, 9, ..., found 7"),
        (lambda: Net1D(12, 5, widths=(16, 16), blocks=(1,)), "as many as blocks"),
        (lambda: Inception1d(12, 5, depth=0), "depth must be a multiple of three, found 0"),
        (lambda: S4(12, 5, width=4, state=3), "state must be even, found 3"),
    ],
)
def test_wrong_sizes_are_named(build: Callable[[], Net], told: str) -> None:
    with pytest.raises(ProjectionError, match=told):
        build()


@pytest.mark.parametrize("name", ["CNN1d", "FCNWang", "Inception1d", "Net1D", "ResNet1dWang", "XResNet1d of 18"])
def test_convolutions_run_channels_last(name: str) -> None:
    layers = [layer for layer in SMALL[name](12, 5).modules() if isinstance(layer, nn.Conv2d)]
    assert all(layer.weight.is_contiguous(memory_format=torch.channels_last) for layer in layers)
    assert as_image(torch.randn(2, 12, 250)).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("state", [2, 8, 64])
def test_s4_remembers_as_hippo_does(state: int) -> None:
    eigenvalues, low_rank, into = legendre_memory(state)
    n = torch.arange(state, dtype=torch.float64)
    root = (2 * n + 1).sqrt()
    hippo = -(torch.outer(root, root).tril(-1) + torch.diag(n + 1))
    # both have the same response, (s - A)^-1 B seen through any output; here through B itself
    both = [torch.cat([value, value.conj()]).to(torch.complex128) for value in (eigenvalues, low_rank, into)]
    diagonal = torch.diag(both[0]) - torch.outer(both[1], both[1].conj())
    for s in (0.3 + 0.1j, 1.0 - 2.0j):
        expected = root + 0j
        expected = expected @ torch.linalg.solve(s * torch.eye(state) - hippo, root + 0j)
        found = both[2].conj() @ torch.linalg.solve(s * torch.eye(state) - diagonal, both[2])
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


def test_s4_filters_in_full_precision_where_all_else_is_halved() -> None:
    net, x = S4(12, 5, width=16, depth=1), torch.randn(2, 12, 250)
    space, maps = net.body[0].space, torch.randn(2, 16, 250)
    expected, logits = space(maps), net.eval()(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(space(maps), expected)
        halved = space(maps.bfloat16())
        torch.testing.assert_close(net(x).float(), logits, rtol=0.1, atol=0.02)
    assert halved.dtype == torch.bfloat16
    torch.testing.assert_close(halved.float(), space(maps.bfloat16().float()), rtol=0.01, atol=0.01)
