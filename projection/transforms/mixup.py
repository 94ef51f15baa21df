"""Mixing records."""

import torch
from torch import Tensor

from projection.transforms.transform import Generator, Transform

_TRIES = 32


class Mixup(Transform):
    """Replace each record by a weighted mean of itself and another of the batch (by chance itself), labels likewise.

    After Zhang et al., mixup: Beyond Empirical Risk Minimization, ICLR 2018. Labels become fractions.

    Args:
        alpha: Both parameters of the beta distribution that weights are drawn from (above 0, to 1): small ones leave
            most records nearly as they are, 1 draws all weights alike.
    """

    def __init__(self, alpha: float = 0.2) -> None:
        super().__init__()
        self._require(0 < alpha <= 1, f"an alpha above 0 and at most 1, found {alpha}")
        self.alpha = alpha

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Mix a batch."""
        weight = _symmetric_beta(len(x), self.alpha, x, generator)
        partner = torch.randperm(len(x), generator=generator, device=x.device)
        mixed_x = torch.lerp(x[partner], x, weight.view(-1, 1, 1))
        return mixed_x, torch.lerp(y[partner], y, weight.view(-1, 1).to(y.dtype))


def _symmetric_beta(size: int, alpha: float, x: Tensor, generator: Generator) -> Tensor:
    """Draw from Beta(alpha, alpha) by Jöhnk's method (1964), since PyTorch's own takes no generator.

    A try succeeds with a probability of at least one half, so that 32 of them fail once in four billion draws.
    """
    tries = torch.rand((2, _TRIES, size), generator=generator, device=x.device, dtype=x.dtype)
    logs = tries.clamp(min=torch.finfo(x.dtype).tiny).log() / alpha  # as logarithms, since small ones underflow
    accepted = logs.logsumexp(dim=0) <= 0
    first = accepted.int().argmax(dim=0, keepdim=True)
    a, b = logs[0].gather(0, first)[0], logs[1].gather(0, first)[0]
    return torch.sigmoid(a - b)
