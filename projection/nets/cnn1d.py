"""CNN1d: a plain convolutional network, small enough to train in seconds on a laptop."""

from collections.abc import Sequence

from torch import nn

from projection.nets.net import ConvNet, initialise, normalised


class CNN1d(ConvNet):
    """Strided convolutions, each normalised and rectified, then pooling and a linear layer.

    Args:
        leads: Input channels.
        classes: Outputs.
        widths: Channels of each layer; every layer halves the length.
        kernel_size: Samples (odd).
        dropout: Probability before the output layer (0 to 1).
    """

    def __init__(
        self,
        leads: int,
        classes: int,
        widths: Sequence[int] = (32, 64, 96, 128),
        kernel_size: int = 7,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in zip([leads, *widths], widths, strict=False):
            layers += normalised(inputs, outputs, kernel_size, 2)
        self.body = nn.Sequential(*layers)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * widths[-1], classes))
        initialise(self)
