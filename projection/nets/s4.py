"""S4: structured state spaces, the best published PTB-XL model trained from scratch."""

import math

import torch
from torch import Tensor, nn

from projection.errors import ProjectionError
from projection.nets.net import Net


class S4(Net):
    """Layers that convolve over the whole window with the impulse responses of small linear systems.

    After Gu, Goel and Re, Efficiently modeling long sequences with structured state spaces, ICLR 2022, in the size of
    Mehari and Strodthoff, Towards quantitative precision for ECG analysis, arXiv 2308.15291: four bidirectional layers
    of width 512 with states of 8. 2.2 million parameters; the receptive field is the whole window. The published recipe
    is AdamW at a constant learning rate of 1e-3 with weight decay 1e-3.

    Args:
        leads: Input channels.
        classes: Outputs.
        width: Channels.
        depth: Layers (1 or more).
        state: Size of each channel's state (even).
        bidirectional: Look backwards as well.
        dropout: Probability of dropping a channel, twice in each layer (0 to 1).
    """

    def __init__(
        self,
        leads: int,
        classes: int,
        width: int = 512,
        depth: int = 4,
        state: int = 8,
        bidirectional: bool = True,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.encoder = nn.Conv1d(leads, width, 1)
        self.body = nn.Sequential(*(Layer(width, state, bidirectional, dropout) for _ in range(depth)))
        self.head = nn.Linear(width, classes)

    def features(self, x: Tensor) -> Tensor:
        """Summarise signals as vectors `(batch, width)`."""
        features: Tensor = self.body(self.encoder(x)).mean(dim=2)
        return features


class Layer(nn.Module):
    """A state space, a gated mixing of channels, and a normalised shortcut."""

    def __init__(self, width: int, state: int, bidirectional: bool, dropout: float) -> None:
        super().__init__()
        self.space = StateSpace(width, state, bidirectional)
        # whole channels, as in the authors' code: time steps are not independent, and the CPU draws few numbers
        self.mix = nn.Sequential(nn.GELU(), nn.Dropout1d(dropout), nn.Conv1d(width, 2 * width, 1), nn.GLU(dim=1))
        self.dropout = nn.Dropout1d(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """Transform feature maps `(batch, width, time)`."""
        summed = x + self.dropout(self.mix(self.space(x)))
        normed: Tensor = self.norm(summed.transpose(1, 2)).transpose(1, 2)
        return normed


class StateSpace(nn.Module):
    """One linear system for each channel: x' = A x + B u, y = C x + D u, with A diagonal but for a term of rank one.

    A is that of HiPPO-LegS at first, which remembers a signal's past as Legendre polynomials (Gu et al., HiPPO, NeurIPS
    2020). Its eigenvalues come in conjugate pairs, of which one each is kept.
    """

    def __init__(self, width: int, state: int, bidirectional: bool) -> None:
        super().__init__()
        if state < 2 or state % 2:
            raise ProjectionError(f"S4: state must be even, found {state}.")
        eigenvalues, low_rank, into = legendre_memory(state)
        steps = torch.empty(width).uniform_(math.log(1e-3), math.log(1e-1))
        self.log_step = nn.Parameter(steps)
        self.log_decay = nn.Parameter((-eigenvalues.real).log().expand(width, -1).contiguous())
        self.frequency = nn.Parameter(eigenvalues.imag.expand(width, -1).contiguous())
        self.low_rank = nn.Parameter(torch.view_as_real(low_rank).expand(width, -1, -1).contiguous())
        self.into = nn.Parameter(torch.view_as_real(into).expand(width, -1, -1).contiguous())
        self.out = nn.Parameter(torch.randn(1 + bidirectional, width, state // 2, 2) * math.sqrt(0.5))
        self.direct = nn.Parameter(torch.randn(width))

    def forward(self, x: Tensor) -> Tensor:
        """Filter each channel of `(batch, width, time)`."""
        length = x.shape[2]
        # half precision has no complex numbers
        with torch.autocast(x.device.type, enabled=False):
            signal = x.to(torch.promote_types(x.dtype, torch.float32))
            kernels = self.impulse_responses(length)
            # those of the other direction stand at the end: negative lags, in a circle of twice the length
            joined = torch.cat([kernels[0], kernels[1].flip(1)], dim=1) if len(kernels) == 2 else kernels[0]
            spectrum = torch.fft.rfft(signal, n=2 * length) * torch.fft.rfft(joined, n=2 * length)
            filtered: Tensor = torch.fft.irfft(spectrum, n=2 * length)[..., :length]
            return (filtered + signal * self.direct[:, None]).to(x.dtype)

    def impulse_responses(self, length: int) -> Tensor:
        """Compute C A^t B, `(directions, width, length)`, for all times at once, the powers of A by doubling."""
        power, states = self.discrete()
        while states.shape[2] < length:
            states = torch.cat([states, power @ states], dim=2)
            power = power @ power
        out = torch.view_as_complex(self.out)
        # the other half of each pair is the conjugate
        responses: Tensor = 2 * torch.einsum("dwn,wnt->dwt", out, states[:, : out.shape[2], :length]).real
        return responses

    def discrete(self) -> tuple[Tensor, Tensor]:
        """Turn the systems into recurrences over samples, by the bilinear transform.

        Returns:
            A `(width, state, state)` and B `(width, state, 1)`, both halves of each pair.
        """
        eigenvalues = _both_halves(torch.complex(-self.log_decay.exp(), self.frequency))
        low_rank = _both_halves(torch.view_as_complex(self.low_rank))[:, :, None]
        into = _both_halves(torch.view_as_complex(self.into))[:, :, None]
        step = self.log_step.exp()[:, None, None]
        half = step / 2 * (torch.diag_embed(eigenvalues) - low_rank @ low_rank.mH)
        one = torch.eye(half.shape[1], device=half.device)
        solved = torch.linalg.solve(one - half, torch.cat([one + half, step * into], dim=2))
        return solved[..., :-1], solved[..., -1:]


def legendre_memory(state: int) -> tuple[Tensor, Tensor, Tensor]:
    """Give HiPPO-LegS in the basis in which A is diagonal but for a term of rank one.

    Returns:
        Eigenvalues, the vector p of A = diagonal - p p^H, and B; each complex `(state / 2,)`, one of each pair.
    """
    n = torch.arange(state, dtype=torch.float64)
    root = (2 * n + 1).sqrt()
    p = (n + 0.5).sqrt()
    a = -(torch.outer(root, root).tril(-1) + torch.diag(n + 1))
    skew = a + torch.outer(p, p) + 0.5 * torch.eye(state, dtype=torch.float64)
    frequencies, basis = torch.linalg.eigh(skew * -1j)
    kept = frequencies > 0
    basis = basis[:, kept].mH
    eigenvalues = torch.complex(torch.full_like(frequencies[kept], -0.5), frequencies[kept])
    low_rank, into = basis @ (p + 0j), basis @ (root + 0j)
    return eigenvalues.to(torch.complex64), low_rank.to(torch.complex64), into.to(torch.complex64)


def _both_halves(values: Tensor) -> Tensor:
    return torch.cat([values, values.conj()], dim=1)
