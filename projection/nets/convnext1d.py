"""ConvNeXt1d: a convolutional network in the manner of transformers."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from projection.errors import ProjectionError
from projection.nets.net import Net


class ConvNeXt1d(Net):
    """Stages of depthwise convolutions, each with a pointwise network behind it.

    After Liu et al., A ConvNet for the 2020s, CVPR 2022, over time: patches of a few samples as stem, halving between
    stages, layer normalisation, inverted bottlenecks, scaled residuals and stochastic depth. 8.1 million parameters;
    receptive field 1,136 samples.

    Args:
        leads: Input channels.
        classes: Outputs.
        widths: Channels of each stage.
        blocks: Blocks of each stage, as many numbers as widths.
        patch: Samples of the stem, which shortens by as much.
        kernel_size: Samples of the depthwise convolutions (odd).
        drop_path: Probability of leaving a block out in training, rising to this from 0 (0 to 1).
    """

    def __init__(
        self,
        leads: int,
        classes: int,
        widths: Sequence[int] = (64, 128, 256, 512),
        blocks: Sequence[int] = (2, 2, 6, 2),
        patch: int = 4,
        kernel_size: int = 7,
        drop_path: float = 0.1,
    ) -> None:
        super().__init__()
        if len(widths) != len(blocks):
            raise ProjectionError(f"ConvNeXt1d: {len(widths)} widths do not go with {len(blocks)} numbers of blocks.")
        rates = iter(torch.linspace(0, drop_path, sum(blocks)).tolist())
        layers: list[nn.Module] = [Shorten(leads, widths[0], patch), ChannelNorm(widths[0])]
        for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
            if stage:
                layers += [ChannelNorm(widths[stage - 1]), Shorten(widths[stage - 1], width, 2)]
            layers += [Block(width, kernel_size, next(rates)) for _ in range(count)]
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.LayerNorm(widths[-1]), nn.Linear(widths[-1], classes))
        for layer in self.modules():
            if isinstance(layer, nn.Conv1d | nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)

    def features(self, x: Tensor) -> Tensor:
        """Summarise signals as vectors `(batch, widths[-1])`."""
        features: Tensor = self.body(x).mean(dim=2)
        return features


class ChannelNorm(nn.LayerNorm):
    """Layer normalisation over the channels of `(batch, channels, time)`."""

    def forward(self, x: Tensor) -> Tensor:
        """Normalise each time step."""
        return super().forward(x.transpose(1, 2)).transpose(1, 2)


class Shorten(nn.Conv1d):
    """Join neighbouring samples; what does not fill a group at the end is filled up with zeros."""

    def __init__(self, inputs: int, outputs: int, samples: int) -> None:
        super().__init__(inputs, outputs, samples, samples)

    def forward(self, x: Tensor) -> Tensor:
        """Transform `(batch, inputs, time)` to `(batch, outputs, time / samples)`, rounded up."""
        return super().forward(nn.functional.pad(x, (0, -x.shape[2] % self.stride[0])))


class Block(nn.Module):
    """A depthwise convolution and a pointwise network, added to what came in.

    Training leaves it out with a probability of `drop_path`.
    """

    def __init__(self, width: int, kernel_size: int, drop_path: float) -> None:
        super().__init__()
        self.depthwise = nn.Conv1d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.pointwise = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.scale = nn.Parameter(torch.full((width,), 1e-6))
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        """Transform feature maps `(batch, width, time)`."""
        y: Tensor = (self.pointwise(self.depthwise(x).transpose(1, 2)) * self.scale).transpose(1, 2)
        if self.training and self.drop_path:
            kept = torch.rand(len(x), 1, 1, device=x.device) >= self.drop_path
            y = y * kept / (1 - self.drop_path)
        return x + y
