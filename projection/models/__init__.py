"""Networks, one file per architecture."""

from projection.models.cnn1d import CNN1d
from projection.models.net import Net
from projection.models.xresnet1d import XResNet1d

__all__ = ["CNN1d", "Net", "XResNet1d"]
