"""The nets that see the whole window by hand."""

import torch
from torch import Tensor

from tests.nets.by_hand.weights import CLASSES, Weights, gelu


def lstm(
    w: Weights,
    x: Tensor,
    width: int = 256,
    layers: int = 2,
    bidirectional: bool = False,
    hidden: int = 128,
    dropout: float = 0.5,
) -> Tensor:
    x = x.mT
    for _ in range(layers):
        both = []
        for backwards in range(1 + bidirectional):
            recurrent = [w.take(4 * width, x.shape[2]), w.take(4 * width, width), w.take(4 * width), w.take(4 * width)]
            steps = cells(x.flip(1) if backwards else x, *recurrent)
            both.append(steps.flip(1) if backwards else steps)
        x = torch.cat(both, dim=2)
    ends = [both[0][:, -1], *(steps[:, 0] for steps in both[1:])]
    return w.dense_head(torch.cat([x.mean(1), x.amax(1), *ends], dim=1), hidden, dropout)


def cells(x: Tensor, of_input: Tensor, of_output: Tensor, bias: Tensor, other_bias: Tensor) -> Tensor:
    """Long short-term memory, sample by sample."""
    output = memory = x.new_zeros(len(x), of_output.shape[1])
    outputs = []
    for sample in x.unbind(1):
        gates = sample @ of_input.T + output @ of_output.T + bias + other_bias
        take_in, keep, new, give_out = gates.chunk(4, dim=1)
        memory = keep.sigmoid() * memory + take_in.sigmoid() * new.tanh()
        output = give_out.sigmoid() * memory.tanh()
        outputs.append(output)
    return torch.stack(outputs, dim=1)


def vit(
    w: Weights, x: Tensor, patch: int = 10, width: int = 192, depth: int = 12, heads: int = 3, dropout: float = 0.1
) -> Tensor:
    x = w.conv(x, width, patch, patch, padding=(0, -x.shape[2] % patch), bias=True).mT
    angles = torch.arange(x.shape[1])[:, None] / 10_000 ** (torch.arange(0, width, 2).double() / width)
    x = w.drop(x + torch.cat([angles.sin(), angles.cos()], dim=1), dropout)
    for _ in range(depth):
        attention = [w.take(3 * width, width), w.take(3 * width), w.take(width, width), w.take(width)]
        network = [w.take(4 * width, width), w.take(4 * width), w.take(width, 4 * width), w.take(width)]
        norms = [w.take(width) for _ in range(4)]
        x = x + w.drop(attend(w, w.layer_norm(x, norms[:2]), *attention, heads, dropout), dropout)
        y = w.drop(gelu(w.layer_norm(x, norms[2:]) @ network[0].T + network[1]), dropout)
        x = x + w.drop(y @ network[2].T + network[3], dropout)
    return w.linear(w.layer_norm(x).mean(1), CLASSES)


def attend(
    w: Weights, x: Tensor, into: Tensor, bias: Tensor, out: Tensor, out_bias: Tensor, heads: int, dropout: float
) -> Tensor:
    query, key, value = (x @ into.T + bias).unflatten(2, (3, heads, -1)).permute(2, 0, 3, 1, 4)
    weights = (query @ key.mT / query.shape[-1] ** 0.5).softmax(-1)
    return (w.drop(weights, dropout) @ value).transpose(1, 2).flatten(2) @ out.T + out_bias


def s4(
    w: Weights,
    x: Tensor,
    width: int = 512,
    depth: int = 4,
    state: int = 8,
    bidirectional: bool = True,
    dropout: float = 0.2,
) -> Tensor:
    x = w.conv(x, width, 1, bias=True)
    for _ in range(depth):
        y = w.drop_channels(gelu(filtered(w, x, width, state, bidirectional)), dropout)
        values, gates = w.conv(y, 2 * width, 1, bias=True).chunk(2, dim=1)
        x = w.layer_norm((x + w.drop_channels(values * gates.sigmoid(), dropout)).mT).mT
    return w.linear(x.mean(2), CLASSES)


def filtered(w: Weights, x: Tensor, width: int, state: int, bidirectional: bool) -> Tensor:
    """A linear system for each channel, stepped through; what looks backwards sees later samples only."""
    pairs = state // 2
    step = w.take(width).exp()[:, None, None]
    eigenvalues = both_halves(torch.complex(-w.take(width, pairs).exp(), w.take(width, pairs)))
    low_rank, into = (both_halves(torch.view_as_complex(w.take(width, pairs, 2)))[:, :, None] for _ in range(2))
    out = both_halves(torch.view_as_complex(w.take(1 + bidirectional, width, pairs, 2)), axis=2)
    a = torch.diag_embed(eigenvalues) - low_rank @ low_rank.mH
    # the bilinear transform of Tustin
    inverse = torch.linalg.inv(torch.eye(state) - step / 2 * a)
    a, b = inverse @ (torch.eye(state) + step / 2 * a), inverse @ into * step
    y = x * w.take(width)[:, None] + stepped(x, a, b, out[0])
    if bidirectional:
        later = stepped(x.flip(2), a, b, out[1]).flip(2)
        y[:, :, :-1] += later[:, :, 1:]
    return y


def stepped(x: Tensor, a: Tensor, b: Tensor, out: Tensor) -> Tensor:
    state = torch.zeros(len(x), *b.shape, dtype=b.dtype)
    outputs = []
    for sample in x.unbind(2):
        state = a @ state + b * sample[:, :, None, None]
        outputs.append((out * state[..., 0]).sum(2).real)
    return torch.stack(outputs, dim=2)


def both_halves(values: Tensor, axis: int = 1) -> Tensor:
    return torch.cat([values, values.conj()], dim=axis)
