import pytest
import torch

from projection.models import CNN1d, Net, XResNet1d
from projection.models.net import as_image, convolution


def built(leads: int, classes: int) -> list[Net]:
    return [
        CNN1d(leads, classes, widths=(8, 8)),
        XResNet1d(leads, classes, depth=18),
        XResNet1d(leads, classes, depth=50),
    ]


@pytest.mark.parametrize("length", [250, 999, 1250])
@pytest.mark.parametrize("leads", [12, 2])
def test_any_length_and_number_of_leads(leads: int, length: int) -> None:
    for net in built(leads, 5):
        x = torch.randn(2, leads, length)
        assert net(x).shape == (2, 5)
        assert torch.equal(net.eval().head(net.features(x)), net(x))


def test_all_parameters_learn() -> None:
    for net in built(12, 5):
        # zero at first in every block, so that gradients reach what is behind it only after one step
        for name, parameter in net.named_parameters():
            if name.endswith("weight") and parameter.ndim == 1:
                torch.nn.init.ones_(parameter)
        net(torch.randn(4, 12, 250)).square().sum().backward()
        assert all(parameter.grad is not None and parameter.grad.any() for parameter in net.parameters())


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
