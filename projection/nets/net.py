"""The contract of a network, and the pieces that the convolutional ones share.

One-dimensional convolutions run as two-dimensional ones of height 1 in the channels-last memory format: the same
arithmetic and parameters, and measurably faster on CPUs as well as on GPUs.
"""

import torch
from torch import Tensor, nn


class Net(nn.Module):
    """A network from signals to class logits.

    Derive from it, set `head`, and implement `features`. Constructors take `leads` and `classes` first, which the
    task fills in; all further arguments come from the configuration.
    """

    head: nn.Module

    def features(self, x: Tensor) -> Tensor:
        """Summarise standardised signals `(batch, leads, time)` as `(batch, channels)`, for transfer and inspection."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits `(batch, classes)` of standardised signals `(batch, leads, time)`."""
        logits: Tensor = self.head(self.features(x))
        return logits


def as_image(x: Tensor) -> Tensor:
    """Lay signals `(batch, channels, time)` out as images `(batch, channels, 1, time)`, channels last."""
    return x.unsqueeze(2).contiguous(memory_format=torch.channels_last)


def convolution(inputs: int, outputs: int, kernel_size: int, stride: int = 1) -> nn.Conv2d:
    """Make a convolution over `(batch, inputs, 1, time)` that keeps the length but for its stride.

    The kernel's size is odd. There is no bias, since a normalisation follows.
    """
    padding = (0, kernel_size // 2)
    return nn.Conv2d(inputs, outputs, (1, kernel_size), (1, stride), padding, bias=False)


class ConvNet(Net):
    """A network whose convolutions end in feature maps, pooled over time by maximum and by mean.

    Both are joined (Howard and Gugger, fastai, Information 11(2), 2020). Set `body`, from `(batch, leads, 1, time)` to
    `(batch, channels, 1, shorter time)`, and `head`, for `2 * channels` features; then call `initialise`.
    """

    body: nn.Module

    def features(self, x: Tensor) -> Tensor:
        """Summarise signals as vectors `(batch, 2 * channels)`."""
        maps = self.body(as_image(x))
        return torch.cat([maps.amax(dim=(2, 3)), maps.mean(dim=(2, 3))], dim=1)


def normalised(inputs: int, outputs: int, kernel_size: int, stride: int = 1, *, active: bool = True) -> nn.Sequential:
    """Make a `convolution` with batch normalisation and, where `active`, a rectifier."""
    layers: list[nn.Module] = [convolution(inputs, outputs, kernel_size, stride), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, *([nn.ReLU(inplace=True)] if active else []))


def dense_head(features: int, classes: int, hidden: int, dropout: float) -> nn.Sequential:
    """Make the output layers of the PTB-XL benchmark's networks (Strodthoff et al., IEEE JBHI 25(5), 2021).

    All of `dropout` applies before the output layer, half of it before the hidden one.
    """
    return nn.Sequential(
        nn.BatchNorm1d(features),
        nn.Dropout(dropout / 2),
        nn.Linear(features, hidden),
        nn.ReLU(inplace=True),
        nn.BatchNorm1d(hidden),
        nn.Dropout(dropout),
        nn.Linear(hidden, classes),
    )


def initialise(net: nn.Module) -> None:
    """Draw convolution and linear weights after He et al. (2015), biases at zero, and lay them out channels last."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    net.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
