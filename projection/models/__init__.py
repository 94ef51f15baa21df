"""Networks, one file per architecture."""

from projection.models.cnn1d import CNN1d
from projection.models.convnext1d import ConvNeXt1d
from projection.models.fcn_wang import FCNWang
from projection.models.inception1d import Inception1d
from projection.models.lstm import LSTM
from projection.models.net import Net
from projection.models.net1d import Net1D
from projection.models.resnet1d_wang import ResNet1dWang
from projection.models.s4 import S4
from projection.models.vit1d import ViT1d
from projection.models.xresnet1d import XResNet1d

__all__ = [
    "LSTM",
    "S4",
    "CNN1d",
    "ConvNeXt1d",
    "FCNWang",
    "Inception1d",
    "Net",
    "Net1D",
    "ResNet1dWang",
    "ViT1d",
    "XResNet1d",
]
