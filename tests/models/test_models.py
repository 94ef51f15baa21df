"""Every network: shapes, gradients, sizes; and what is particular to some."""

from collections.abc import Callable

import pytest
import torch
from torch import nn

from projection.errors import ProjectionError
from projection.models import (
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
from projection.models.net import as_image, convolution
from projection.models.s4 import StateSpace, legendre_memory

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


@pytest.mark.parametrize("length", [250, 999, 1250])
@pytest.mark.parametrize("leads", [12, 2])
@every
def test_any_length_and_number_of_leads(factory: Factory, leads: int, length: int) -> None:
    net = factory(leads, 5)
    x = torch.randn(2, leads, length)
    assert net(x).shape == (2, 5)
    assert torch.equal(net.eval().head(net.features(x)), net(x))


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


# as published, for 12 leads and 71 statements; of the benchmark's networks by its definitions, layer for layer
SIZES: dict[str, tuple[Factory, int]] = {
    "FCNWang": (FCNWang, 318_279),
    "Inception1d": (Inception1d, 516_167),
    "LSTM": (LSTM, 912_199),
    "LSTM both ways": (lambda leads, classes: LSTM(leads, classes, bidirectional=True), 2_339_143),
    "ResNet1dWang": (ResNet1dWang, 481_863),
}


@pytest.mark.parametrize(("factory", "published"), SIZES.values(), ids=SIZES)
def test_sizes_are_those_of_the_benchmark(factory: Factory, published: int) -> None:
    assert sum(parameter.numel() for parameter in factory(12, 71).parameters()) == published


def test_net1d_has_the_published_30_7_million_parameters() -> None:
    count = sum(parameter.numel() for parameter in Net1D(12, 71).parameters())
    assert round(count / 1e6, 1) == 30.7


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: Inception1d(12, 5, depth=4), "depth must be a multiple of three, found 4"),
        (lambda: Net1D(12, 5, widths=(20,), blocks=(1,)), "widths must be multiples of 16"),
        (lambda: ConvNeXt1d(12, 5, widths=(8,), blocks=(1, 1)), "1 widths do not go with 2 numbers of blocks"),
        (lambda: ViT1d(12, 5, width=10, heads=3), "a multiple of heads, found 10 and 3"),
        (lambda: S4(12, 5, width=4, state=3), "state must be even, found 3"),
    ],
)
def test_wrong_sizes_are_named(build: Callable[[], Net], told: str) -> None:
    with pytest.raises(ProjectionError, match=told):
        build()


@pytest.mark.parametrize(("depth", "layers"), [(18, 18), (34, 34), (50, 50), (101, 101), (152, 152)])
def test_depth_counts_the_layers_as_in_the_literature(depth: int, layers: int) -> None:
    net = XResNet1d(12, 5, depth=depth)  # type: ignore[arg-type]
    convolutions = [
        module
        for name, module in net.body.named_modules()
        if isinstance(module, torch.nn.Conv2d) and "shortcut" not in name
    ]
    # the stem has three convolutions in place of one, and the classic count includes the output layer
    assert len(convolutions) - 2 + 1 == layers


def test_a_convolution_of_height_one_is_a_convolution_over_time() -> None:
    layer = convolution(3, 4, 5, stride=2)
    x = torch.randn(2, 3, 31)
    expected = torch.nn.functional.conv1d(x, layer.weight[:, :, 0], stride=2, padding=2)
    torch.testing.assert_close(layer(as_image(x))[:, :, 0], expected)


@pytest.mark.parametrize("length", [1, 2, 57, 250])
def test_s4_computes_what_its_recurrence_does(length: int) -> None:
    space = StateSpace(6, 8, bidirectional=True).double()
    x = torch.randn(2, 6, length, dtype=torch.float64)
    forwards, backwards = recurrence(space, x, 0), recurrence(space, x.flip(2), 1).flip(2)
    # what looks backwards sees later samples only, or the present one would count twice
    later = torch.nn.functional.pad(backwards[:, :, 1:], (0, 1))
    torch.testing.assert_close(space(x), forwards + later + x * space.direct[:, None], rtol=1e-9, atol=1e-9)


def recurrence(space: StateSpace, x: torch.Tensor, direction: int) -> torch.Tensor:
    """Step through a signal, sample by sample."""
    a, b = space.discrete()
    out = torch.view_as_complex(space.out)[direction]
    state = torch.zeros(len(x), *b.shape[:2], dtype=a.dtype)
    outputs = []
    for sample in x.unbind(2):
        state = torch.einsum("wij,bwj->bwi", a, state) + b[:, :, 0] * sample[:, :, None]
        outputs.append(2 * (out * state[:, :, : out.shape[1]]).sum(2).real)
    return torch.stack(outputs, dim=2)


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


def test_s4_runs_in_half_precision() -> None:
    net = S4(12, 5, width=16, depth=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert net(torch.randn(2, 12, 250)).isfinite().all()
