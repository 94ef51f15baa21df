"""LSTM: a recurrent network over the samples."""

import torch
from torch import Tensor, nn

from projection.nets.net import Net, dense_head, initialise


class LSTM(Net):
    """Two layers of long short-term memory; their outputs pooled by mean and maximum, beside the last ones.

    After Hochreiter and Schmidhuber, Neural Computation 9(8), 1997, as in the PTB-XL benchmark (Strodthoff et al., IEEE
    JBHI 25(5), 2021). 0.9 million parameters, bidirectional 2.3; the receptive field is the whole window.

    Args:
        leads: Input channels.
        classes: Outputs.
        width: Cells of each layer and direction.
        layers: Layers (1 or more).
        bidirectional: Read backwards as well.
        hidden: Width of the layer between pooling and output.
        dropout: Probability before the output layer; half of it applies before the hidden one (0 to 1).
    """

    def __init__(
        self,
        leads: int,
        classes: int,
        width: int = 256,
        layers: int = 2,
        bidirectional: bool = False,
        hidden: int = 128,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.width = width
        self.body = nn.LSTM(leads, width, layers, batch_first=True, bidirectional=bidirectional)
        self.head = dense_head(3 * width * (1 + bidirectional), classes, hidden, dropout)
        initialise(self.head)

    def features(self, x: Tensor) -> Tensor:
        """Summarise signals as vectors `(batch, 3 * width)`, twice that if bidirectional."""
        outputs: Tensor = self.body(x.transpose(1, 2))[0]
        # each direction ends where it has read everything
        last = torch.cat([outputs[:, -1, : self.width], outputs[:, 0, self.width :]], dim=1)
        return torch.cat([outputs.mean(dim=1), outputs.amax(dim=1), last], dim=1)
