"""ResNet1dWang: a residual network of three blocks."""

from torch import Tensor, nn

from projection.errors import ProjectionError
from projection.nets.net import ConvNet, convolution, dense_head, initialise, normalised

_WIDTH = 128


class ResNet1dWang(ConvNet):
    """A stem and three residual blocks, 128 channels wide throughout; the last two halve the length.

    After Wang, Yan and Oates, Time series classification from scratch with deep neural networks, IJCNN 2017, as adapted
    by Strodthoff et al., Deep Learning for ECG Analysis, IEEE JBHI 25(5), 2021. 0.5 million parameters; receptive
    field 37 samples.

    Args:
        leads: Input channels.
        classes: Outputs.
        kernel_size: Samples of the first convolution of each block (1, 5, 9, ...); the second has
            `kernel_size // 2 + 1`, which is odd as well.
        hidden: Width of the layer between pooling and output.
        dropout: Probability before the output layer; half of it applies before the hidden one (0 to 1).
    """

    def __init__(self, leads: int, classes: int, kernel_size: int = 5, hidden: int = 128, dropout: float = 0.5) -> None:
        super().__init__()
        if kernel_size % 4 != 1:
            raise ProjectionError(f"ResNet1dWang: kernel_size must be 1, 5, 9, ..., found {kernel_size}.")
        blocks = [Block(kernel_size, stride) for stride in (1, 2, 2)]
        self.body = nn.Sequential(normalised(leads, _WIDTH, 7), *blocks)
        self.head = dense_head(2 * _WIDTH, classes, hidden, dropout)
        initialise(self)


class Block(nn.Module):
    """Two convolutions added to a shortcut; `kernel_size` and `stride` are those of the first."""

    def __init__(self, kernel_size: int, stride: int) -> None:
        super().__init__()
        second = kernel_size // 2 + 1
        self.convolutions = nn.Sequential(
            normalised(_WIDTH, _WIDTH, kernel_size, stride), normalised(_WIDTH, _WIDTH, second, active=False)
        )
        shortcut = [convolution(_WIDTH, _WIDTH, 1, stride), nn.BatchNorm2d(_WIDTH)] if stride > 1 else []
        self.shortcut = nn.Sequential(*shortcut)
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """Transform feature maps `(batch, 128, 1, time)` to `(batch, 128, 1, time / stride)`."""
        summed: Tensor = self.activation(self.convolutions(x) + self.shortcut(x))
        return summed
