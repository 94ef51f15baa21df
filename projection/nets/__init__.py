"""Networks, one file per architecture."""

from projection.nets.cnn1d import CNN1d
from projection.nets.convnext1d import ConvNeXt1d
from projection.nets.fcn_wang import FCNWang
from projection.nets.inception1d import Inception1d
from projection.nets.lstm import LSTM
from projection.nets.net import Net
from projection.nets.net1d import Net1D
from projection.nets.resnet1d_wang import ResNet1dWang
from projection.nets.s4 import S4
from projection.nets.vit1d import ViT1d
from projection.nets.xresnet1d import XResNet1d

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
