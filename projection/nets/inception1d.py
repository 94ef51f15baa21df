"""Inception1d: InceptionTime, convolutions of three lengths side by side."""

import torch
from torch import Tensor, nn

from projection.errors import ProjectionError
from projection.nets.net import ConvNet, convolution, dense_head, initialise, normalised

_BOTTLENECK = 32
_WIDTH = 32  # of each of the four branches


class Inception1d(ConvNet):
    """Blocks of long, medium and short convolutions and a maximum pooling, with a shortcut past every three.

    After Ismail Fawaz et al., InceptionTime: finding AlexNet for time series classification, Data Mining and Knowledge
    Discovery 34, 2020, with the output layers of the PTB-XL benchmark (Strodthoff et al., IEEE JBHI 25(5), 2021). 0.5
    million parameters; receptive field 229 samples.

    Args:
        leads: Input channels.
        classes: Outputs.
        depth: Blocks; a multiple of three.
        kernel_size: Samples of the longest convolution (8 or more); the others have a half and a quarter of it, each
            made odd.
        hidden: Width of the layer between pooling and output.
        dropout: Probability before the output layer; half of it applies before the hidden one (0 to 1).
    """

    def __init__(
        self,
        leads: int,
        classes: int,
        depth: int = 6,
        kernel_size: int = 40,
        hidden: int = 128,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        if depth < 3 or depth % 3:
            raise ProjectionError(f"Inception1d: depth must be a multiple of three, found {depth}.")
        channels, groups = leads, []
        for _ in range(depth // 3):
            groups.append(Group(channels, kernel_size))
            channels = 4 * _WIDTH
        self.body = nn.Sequential(*groups)
        self.head = dense_head(2 * channels, classes, hidden, dropout)
        initialise(self)


class Group(nn.Module):
    """Three blocks and a shortcut past them."""

    def __init__(self, inputs: int, kernel_size: int) -> None:
        super().__init__()
        outputs = 4 * _WIDTH
        self.blocks = nn.Sequential(*(Block(channels, kernel_size) for channels in (inputs, outputs, outputs)))
        self.shortcut = normalised(inputs, outputs, 1, active=False)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Transform feature maps `(batch, inputs, 1, time)` to `(batch, 128, 1, time)`."""
        summed: Tensor = self.activation(self.blocks(x) + self.shortcut(x))
        return summed


class Block(nn.Module):
    """Convolutions of three lengths, the longest of `kernel_size`, behind a bottleneck, and a pooling, joined."""

    def __init__(self, inputs: int, kernel_size: int) -> None:
        super().__init__()
        lengths = [samples - 1 + samples % 2 for samples in (kernel_size, kernel_size // 2, kernel_size // 4)]
        self.bottleneck = convolution(inputs, _BOTTLENECK, 1)
        self.convolutions = nn.ModuleList(convolution(_BOTTLENECK, _WIDTH, samples) for samples in lengths)
        self.pooled = nn.Sequential(nn.MaxPool2d((1, 3), 1, (0, 1)), convolution(inputs, _WIDTH, 1))
        self.norm = nn.Sequential(nn.BatchNorm2d(4 * _WIDTH), nn.ReLU(inplace=True))

    def forward(self, x: Tensor) -> Tensor:
        """Transform feature maps `(batch, inputs, 1, time)` to `(batch, 128, 1, time)`."""
        narrow = self.bottleneck(x)
        branches = [convolution(narrow) for convolution in self.convolutions]
        joined: Tensor = self.norm(torch.cat([*branches, self.pooled(x)], dim=1))
        return joined
