"""ViT1d: a vision transformer over time."""

import torch
from torch import Tensor, nn

from projection.errors import ProjectionError
from projection.nets.net import Net


class ViT1d(Net):
    """Patches of a few samples of all leads, attended to by each other.

    After Dosovitskiy et al., An image is worth 16x16 words, ICLR 2021, with normalisation first, fixed positions
    (sines and cosines after Vaswani et al., 2017, so that any length goes) and the mean over patches in place of a
    class token. 5.4 million parameters; the receptive field is the whole window.

    Args:
        leads: Input channels.
        classes: Outputs.
        patch: Samples of a patch: 10 is 0.1 s at 100 Hz, and 50 at 500 Hz.
        width: Channels (a multiple of heads, and even).
        depth: Layers (1 or more).
        heads: Attention heads.
        dropout: Probability in all layers (0 to 1).
    """

    def __init__(
        self,
        leads: int,
        classes: int,
        patch: int = 10,
        width: int = 192,
        depth: int = 12,
        heads: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if width % heads or width % 2:
            raise ProjectionError(f"ViT1d: width must be even and a multiple of heads, found {width} and {heads}.")
        self.patch = patch
        self.embedding = nn.Conv1d(leads, width, patch, patch)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.body = nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, classes)
        for parameter in self.body.parameters():
            if parameter.ndim > 1:
                nn.init.xavier_uniform_(parameter)  # the layers are copies of each other until now

    def features(self, x: Tensor) -> Tensor:
        """Summarise signals as vectors `(batch, width)`."""
        filled = nn.functional.pad(x, (0, -x.shape[2] % self.patch))
        patches = self.embedding(filled).transpose(1, 2)
        features: Tensor = self.body(self.dropout(patches + positions(patches.shape[1], patches))).mean(dim=1)
        return features


def positions(count: int, like: Tensor) -> Tensor:
    """Write positions `(count, width)` as sines and cosines, with the width, type and device of `like`.

    Their frequencies fall (Vaswani et al., Attention is all you need, 2017).
    """
    width = like.shape[-1]
    place = torch.arange(count, device=like.device, dtype=torch.float32)
    rates = 10_000 ** (-torch.arange(0, width, 2, device=like.device, dtype=torch.float32) / width)
    angles = place[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=1).to(like.dtype)
