"""Sizes and receptive fields are those that docstrings, README and papers tell."""

import re
from collections.abc import Sequence

import pytest
import torch
from torch import nn

from projection.nets import LSTM, S4, ConvNeXt1d, FCNWang, Inception1d, Net, Net1D, ResNet1dWang, ViT1d, XResNet1d
from projection.nets.net import ConvNet, as_image
from tests.benchmarks.nets import CONFIGS, PUBLISHED, sizes
from tests.conftest import ROOT

# the configs that are a net's class as it stands
DEFAULTS = {
    "convnext1d": ConvNeXt1d,
    "fcn_wang": FCNWang,
    "inception1d": Inception1d,
    "lstm": LSTM,
    "net1d": Net1D,
    "resnet1d_wang": ResNet1dWang,
    "s4": S4,
    "vit1d": ViT1d,
    "xresnet1d101": XResNet1d,
}


def test_sizes_are_the_published_ones_and_those_that_readme_and_docstrings_tell() -> None:
    rows = {line.split(" | ")[0].strip("| "): line.split(" | ")[1] for line in sizes().splitlines()[2:]}
    ours = {name: int(count.replace(",", "")) for name, count in rows.items()}
    told = told_by_readme()
    assert set(ours) == set(told) == {config.stem for config in CONFIGS}
    assert len(ours) == 13
    for name, published in PUBLISHED.items():
        assert published in (f"{ours[name]:,}", f"{ours[name] / 1e6:.1f} million")
    for name, millions in told.items():
        assert rounded(ours[name], millions), name
    for name, kind in DEFAULTS.items():
        (millions,) = re.findall(r"([\d.]+) million parameters", " ".join(str(kind.__doc__).split()))
        assert rounded(ours[name], millions), name


def rounded(count: int, millions: str) -> bool:
    """Tell whether a count is this number of millions, to as many digits."""
    return f"{count / 1e6:.{len(millions.partition('.')[2])}f}" == millions


def told_by_readme() -> dict[str, str]:
    found = {}
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for names, millions in re.findall(r"^\| ([\w, ]+) \| ([\d., ]+) million \|", readme, re.MULTILINE):
        # "xresnet1d18, 34" is short for "xresnet1d18, xresnet1d34"
        full = [f"xresnet1d{name}" if name.isdigit() else name for name in names.split(", ")]
        found |= dict(zip(full, millions.split(", "), strict=True))
    return found


XRESNET101 = [(5, 2), (5, 1), (5, 1), (3, 2), *3 * [(5, 1)], *[(5, 2), *3 * [(5, 1)]], *[(5, 2), *22 * [(5, 1)]]]
# samples and stride of each layer on the longest way
FIELDS: dict[type[Net], Sequence[tuple[int, int]]] = {
    FCNWang: [(8, 1), (5, 1), (3, 1)],
    ResNet1dWang: [(7, 1), (5, 1), (3, 1), (5, 2), (3, 1), (5, 2), (3, 1)],
    Inception1d: 6 * [(39, 1)],
    XResNet1d: [*XRESNET101, (5, 2), *2 * [(5, 1)]],
    ConvNeXt1d: [(4, 4), *2 * [(7, 1)], (2, 2), *2 * [(7, 1)], (2, 2), *6 * [(7, 1)], (2, 2), *2 * [(7, 1)]],
}


@pytest.mark.thorough
@pytest.mark.parametrize(("kind", "ways"), FIELDS.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_the_receptive_field_is_the_one_that_the_docstring_tells(
    kind: type[Net], ways: Sequence[tuple[int, int]]
) -> None:
    field, jump = 1, 1
    for samples, stride in ways:
        field, jump = field + (samples - 1) * jump, jump * stride
    text = " ".join(str(kind.__doc__).split())
    assert f"receptive field {field:,} samples" in text
    narrow = kind(1, 1, widths=4 * [8]) if kind is ConvNeXt1d else kind(1, 1)
    assert measured_field(narrow, field + 8 * jump) == (field, jump)


def measured_field(net: Net, length: int) -> tuple[int, int]:
    """Find which samples two neighbours of the last feature map depend on: how many, and how far they are apart."""
    for name, parameter in net.eval().named_parameters():
        if name.endswith("scale") or (name.endswith("weight") and parameter.ndim == 1):
            nn.init.ones_(parameter)  # of these, some begin at zero or nearly so
    x = torch.randn(4, 1, length, requires_grad=True)  # some, since a maximum sees one sample
    maps = net.body(as_image(x) if isinstance(net, ConvNet) else x)
    middle = maps.shape[-1] // 2
    gradients = [torch.autograd.grad(maps[..., at].sum(), x, retain_graph=True)[0] for at in (middle, middle + 1)]
    seen = [gradient.any(dim=0).nonzero()[:, 1] for gradient in gradients]
    return int(seen[0][-1] - seen[0][0]) + 1, int(seen[1][0] - seen[0][0])


@pytest.mark.parametrize(("length", "left"), [(5000, 20), (250, 1)])
def test_net1d_leaves_as_many_time_steps_as_its_docstring_tells(length: int, left: int) -> None:
    net = Net1D(1, 5, widths=7 * [16])  # seven stages, as by default
    assert net.body(torch.randn(2, 1, 1, length)).shape == (2, 16, 1, left)
