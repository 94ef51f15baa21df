"""FCNWang: a fully convolutional network of three layers."""

from torch import nn

from projection.nets.net import ConvNet, dense_head, initialise

_LAYERS = ((128, 8), (256, 5), (128, 3))  # channels, samples


class FCNWang(ConvNet):
    """Three convolutions without stride.

    After Wang, Yan and Oates, Time series classification from scratch with deep neural networks, IJCNN 2017, with the
    pooling and output layers of the PTB-XL benchmark (Strodthoff et al., IEEE JBHI 25(5), 2021). 0.3 million
    parameters; receptive field 14 samples.

    Args:
        leads: Input channels.
        classes: Outputs.
        hidden: Width of the layer between pooling and output.
        dropout: Probability before the output layer; half of it applies before the hidden one (0 to 1).
    """

    def __init__(self, leads: int, classes: int, hidden: int = 128, dropout: float = 0.5) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = leads
        for outputs, samples in _LAYERS:
            padding = (0, (samples - 1) // 2)
            layers += [nn.Conv2d(channels, outputs, (1, samples), padding=padding, bias=False)]
            layers += [nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
            channels = outputs
        self.body = nn.Sequential(*layers)
        self.head = dense_head(2 * channels, classes, hidden, dropout)
        initialise(self)
