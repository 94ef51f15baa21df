"""Net1D: the grouped residual network behind ECGFounder."""

from collections.abc import Sequence

from torch import Tensor, nn

from projection.errors import ProjectionError
from projection.nets.net import Net, as_image, initialise

_GROUP = 16  # channels of each group of a convolution


class Net1D(Net):
    """Stages of bottleneck blocks with grouped convolutions and squeeze-and-excitation; every stage halves the length.

    After Hong et al., HOLMES: Health OnLine Model Ensemble Serving for deep learning models in intensive care units,
    KDD 2020, in the size of ECGFounder (Li et al., NEJM AI 2(7), 2025). 30.7 million parameters; with kernels of 16
    samples and eight halvings the receptive field exceeds ten seconds at 100 Hz. The usual rates of 500 Hz and
    windows of 10 s leave 20 time steps at the end; at 100 Hz and 2.5 s one is left.

    Args:
        leads: Input channels.
        classes: Outputs.
        widths: Channels of each stage (multiples of 16).
        blocks: Blocks of each stage, as many numbers as widths.
        kernel_size: Samples of every convolution that is not pointwise.
        dropout: Probability within blocks (0 to 1).
    """

    def __init__(
        self,
        leads: int,
        classes: int,
        widths: Sequence[int] = (64, 160, 160, 400, 400, 1024, 1024),
        blocks: Sequence[int] = (2, 2, 2, 3, 3, 4, 4),
        kernel_size: int = 16,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if len(widths) != len(blocks) or any(width % _GROUP for width in widths):
            raise ProjectionError(
                f"Net1D: widths must be multiples of {_GROUP}, as many as blocks; found {list(widths)}, {list(blocks)}."
            )
        channels = widths[0]
        layers: list[nn.Module] = [_wide(leads, channels, kernel_size, 2), nn.BatchNorm2d(channels), nn.SiLU()]
        for outputs, count in zip(widths, blocks, strict=True):
            for block in range(count):
                layers.append(Block(channels, outputs, kernel_size, 2 if block == 0 else 1, dropout))
                channels = outputs
        self.body = nn.Sequential(*layers)
        self.head = nn.Linear(channels, classes)
        initialise(self)

    def features(self, x: Tensor) -> Tensor:
        """Summarise signals as vectors `(batch, widths[-1])`."""
        features: Tensor = self.body(as_image(x)).mean(dim=(2, 3))
        return features


class Block(nn.Module):
    """A grouped convolution between two pointwise ones, weighted by channel, added to a shortcut.

    Args:
        stride: 1, or 2 to halve the length.
        dropout: Probability before each convolution.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, stride: int, dropout: float) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            *_before(inputs, dropout),
            nn.Conv2d(inputs, outputs, 1),
            *_before(outputs, dropout),
            _wide(outputs, outputs, kernel_size, stride, groups=outputs // _GROUP),
            *_before(outputs, dropout),
            nn.Conv2d(outputs, outputs, 1),
        )
        self.excite = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(outputs, outputs // 2, 1),
            nn.SiLU(),
            nn.Conv2d(outputs // 2, outputs, 1),
            nn.Sigmoid(),
        )
        self.shortcut = nn.MaxPool2d((1, 2), (1, 2), ceil_mode=True) if stride == 2 else nn.Identity()
        self.added = outputs - inputs

    def forward(self, x: Tensor) -> Tensor:
        """Transform feature maps `(batch, inputs, 1, time)` to `(batch, outputs, 1, time / stride)`, rounded up."""
        y: Tensor = self.convolutions(x)
        before = self.added // 2
        # channels that the shortcut lacks are zero, on both sides
        padded = nn.functional.pad(self.shortcut(x), (0, 0, 0, 0, before, self.added - before))
        summed: Tensor = padded + y * self.excite(y)
        return summed


def _before(channels: int, dropout: float) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.SiLU(), nn.Dropout(dropout)]


def _wide(inputs: int, outputs: int, kernel_size: int, stride: int, groups: int = 1) -> nn.Module:
    """Keep the length but for the stride, rounded up, also for an even number of samples."""
    left = (kernel_size - 1) // 2
    pad = nn.ZeroPad2d((left, kernel_size - 1 - left, 0, 0))
    return nn.Sequential(pad, nn.Conv2d(inputs, outputs, (1, kernel_size), (1, stride), groups=groups))
