"""XResNet1d: the strongest convolutional network of the PTB-XL benchmark of 2020/21."""

from typing import Literal

from torch import Tensor, nn

from projection.nets.net import ConvNet, convolution, dense_head, initialise, normalised

Depth = Literal[18, 34, 50, 101, 152]

# blocks per stage, and by how much a block widens its output
_STAGES: dict[Depth, tuple[tuple[int, ...], int]] = {
    18: ((2, 2, 2, 2), 1),
    34: ((3, 4, 6, 3), 1),
    50: ((3, 4, 6, 3), 4),
    101: ((3, 4, 23, 3), 4),
    152: ((3, 8, 36, 3), 4),
}
_WIDTH = 64


class XResNet1d(ConvNet):
    """Residual network with the "bag of tricks" changes, over time.

    After He et al., Bag of Tricks for Image Classification with Convolutional Neural Networks, CVPR 2019, as adapted
    to ECGs by Strodthoff et al., Deep Learning for ECG Analysis, IEEE JBHI 25(5), 2021: three convolutions as stem,
    every stage 64 channels wide (256 after a bottleneck), pooling before the projection in the shortcut, and the last
    normalisation of each block starting at zero. With depth 101 1.9 million parameters; receptive field 1,945 samples.

    Args:
        leads: Input channels.
        classes: Outputs.
        depth: 18 or 34 (basic blocks), 50, 101 or 152 (bottlenecks).
        kernel_size: Samples of every convolution that is not pointwise (odd).
        hidden: Width of the layer between pooling and output.
        dropout: Probability before the output layer; half of it applies before the hidden one (0 to 1).
    """

    def __init__(
        self,
        leads: int,
        classes: int,
        depth: Depth = 101,
        kernel_size: int = 5,
        hidden: int = 128,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        blocks, expansion = _STAGES[depth]
        stem = [
            *normalised(leads, 32, kernel_size, stride=2),
            *normalised(32, 32, kernel_size),
            *normalised(32, 64, kernel_size),
        ]
        stages: list[nn.Module] = []
        channels, outputs = 64, _WIDTH * expansion
        for stage, count in enumerate(blocks):
            for block in range(count):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(Block(channels, outputs, kernel_size, stride, bottleneck=expansion > 1))
                channels = outputs
        self.body = nn.Sequential(*stem, nn.MaxPool2d((1, 3), (1, 2), (0, 1)), *stages)
        self.head = dense_head(2 * channels, classes, hidden, dropout)
        initialise(self)


class Block(nn.Module):
    """Add a stack of convolutions to a shortcut.

    Args:
        bottleneck: Put the wide convolution between two pointwise ones at a quarter of the width.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int, bottleneck: bool) -> None:
        super().__init__()
        inner = outputs // 4 if bottleneck else outputs
        if bottleneck:
            layers = [*normalised(inputs, inner, 1), *normalised(inner, inner, kernel_size, stride)]
            layers.append(convolution(inner, outputs, 1))
        else:
            layers = [*normalised(inputs, inner, kernel_size, stride), convolution(inner, outputs, kernel_size)]
        norm = nn.BatchNorm2d(outputs)
        nn.init.zeros_(norm.weight)
        self.convolutions = nn.Sequential(*layers, norm)
        shortcut: list[nn.Module] = []
        if stride > 1:
            shortcut.append(nn.AvgPool2d((1, stride), (1, stride), ceil_mode=True))
        if inputs != outputs:
            shortcut += [convolution(inputs, outputs, 1), nn.BatchNorm2d(outputs)]
        self.shortcut = nn.Sequential(*shortcut)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Transform feature maps `(batch, inputs, 1, time)` to `(batch, outputs, 1, time / stride)`."""
        summed: Tensor = self.activation(self.convolutions(x) + self.shortcut(x))
        return summed
