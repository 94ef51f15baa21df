"""The weights of a net, and plain formulas for the layers that use them."""

import math
from collections.abc import Sequence
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d, dropout, dropout1d, pad

CLASSES = 71

N = TypeVar("N", bound=nn.Module)


class Weights:
    """Hand out the weights of a net in their order, each once: number, order and shapes of all layers are compared."""

    def __init__(self, net: nn.Module) -> None:
        # counters of batches have no dimension
        self.left = [(name, value.clone()) for name, value in net.state_dict().items() if value.ndim]
        self.training = net.training
        self.running: dict[str, Tensor] = {}  # what batch normalisation remembers after a step of training

    def take(self, *shape: int) -> Tensor:
        name, value = self.left.pop(0)
        value = value.squeeze(2) if value.ndim == 4 and value.shape[2] == 1 else value  # convolutions of height one
        assert value.shape == shape, f"{name} has shape {tuple(value.shape)}, not {shape}"
        return value

    def drop(self, x: Tensor, probability: float) -> Tensor:
        return dropout(x, probability, self.training)

    def drop_channels(self, x: Tensor, probability: float) -> Tensor:
        return dropout1d(x, probability, self.training)

    def linear(self, x: Tensor, outputs: int) -> Tensor:
        weight, bias = self.take(outputs, x.shape[-1]), self.take(outputs)
        return x @ weight.T + bias

    def conv(
        self,
        x: Tensor,
        outputs: int,
        samples: int,
        stride: int = 1,
        *,
        padding: tuple[int, int] | None = None,
        groups: int = 1,
        bias: bool = False,
    ) -> Tensor:
        weight = self.take(outputs, x.shape[1] // groups, samples)
        padded = pad(x, padding or ((samples - 1) // 2, (samples - 1) // 2))
        return conv1d(padded, weight, self.take(outputs) if bias else None, stride, groups=groups)

    def batch_norm(self, x: Tensor) -> Tensor:
        """Normalise by the batch in training, by what was remembered otherwise."""
        name, channels = self.left[2][0], x.shape[1]
        scale, shift, mean, var = (self.take(channels) for _ in range(4))
        if self.training:
            others = [0, *range(2, x.ndim)]
            var_of_sample, batch_mean = torch.var_mean(x, others)
            self.running[name] = 0.9 * mean + 0.1 * batch_mean
            self.running[name.replace("mean", "var")] = 0.9 * var + 0.1 * var_of_sample
            mean, var = batch_mean, x.var(others, correction=0)
        column = (-1, 1) if x.ndim == 3 else (-1,)
        normed = (x - mean.view(column)) / (var.view(column) + 1e-5).sqrt()
        return normed * scale.view(column) + shift.view(column)

    def layer_norm(self, x: Tensor, taken: Sequence[Tensor] = ()) -> Tensor:
        """Normalise the last dimension."""
        scale, shift = taken or (self.take(x.shape[-1]), self.take(x.shape[-1]))
        centred = x - x.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * scale + shift

    def dense_head(self, x: Tensor, hidden: int, probability: float) -> Tensor:
        """The benchmark's output layers."""
        x = self.drop(self.batch_norm(x), probability / 2)
        x = self.batch_norm(self.linear(x, hidden).relu())
        return self.linear(self.drop(x, probability), CLASSES)


def pooled(x: Tensor) -> Tensor:
    return torch.cat([x.amax(2), x.mean(2)], dim=1)


def gelu(x: Tensor) -> Tensor:
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


def silu(x: Tensor) -> Tensor:
    return x * x.sigmoid()


def shaken(net: N) -> N:
    """Move what starts at zero or one, so that all of it counts; in double precision."""
    with torch.no_grad():
        for parameter in net.double().parameters():
            if parameter.ndim == 1:
                parameter += 0.3 * torch.randn_like(parameter)
        for buffer in net.buffers():
            if buffer.ndim:
                buffer.uniform_(0.5, 1.5)
    return net
