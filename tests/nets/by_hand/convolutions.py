"""The convolutional nets by hand."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, max_pool1d, pad

from tests.nets.by_hand.weights import CLASSES, Weights, gelu, pooled, silu

STAGES = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


def cnn(
    w: Weights, x: Tensor, widths: Sequence[int] = (32, 64, 96, 128), kernel_size: int = 7, dropout: float = 0.2
) -> Tensor:
    for width in widths:
        x = w.batch_norm(w.conv(x, width, kernel_size, 2)).relu()
    return w.linear(w.drop(pooled(x), dropout), CLASSES)


def fcn_wang(w: Weights, x: Tensor, hidden: int = 128, dropout: float = 0.5) -> Tensor:
    for width, samples in ((128, 8), (256, 5), (128, 3)):
        x = w.batch_norm(w.conv(x, width, samples)).relu()
    return w.dense_head(pooled(x), hidden, dropout)


def resnet_wang(w: Weights, x: Tensor, kernel_size: int = 5, hidden: int = 128, dropout: float = 0.5) -> Tensor:
    x = w.batch_norm(w.conv(x, 128, 7)).relu()
    for stride in (1, 2, 2):
        y = w.batch_norm(w.conv(x, 128, kernel_size, stride)).relu()
        y = w.batch_norm(w.conv(y, 128, kernel_size // 2 + 1))
        x = (y + (w.batch_norm(w.conv(x, 128, 1, 2)) if stride == 2 else x)).relu()
    return w.dense_head(pooled(x), hidden, dropout)


def xresnet(
    w: Weights, x: Tensor, depth: int = 101, kernel_size: int = 5, hidden: int = 128, dropout: float = 0.5
) -> Tensor:
    blocks, bottleneck = STAGES[depth], depth >= 50
    for width, stride in ((32, 2), (32, 1), (64, 1)):
        x = w.batch_norm(w.conv(x, width, kernel_size, stride)).relu()
    x = max_pool1d(x, 3, 2, 1)
    for number in range(sum(blocks)):
        first_of_later_stage = number in (blocks[0], sum(blocks[:2]), sum(blocks[:3]))
        stride = 2 if first_of_later_stage else 1
        if bottleneck:
            y = w.batch_norm(w.conv(x, 64, 1)).relu()
            y = w.batch_norm(w.conv(y, 64, kernel_size, stride)).relu()
            y = w.batch_norm(w.conv(y, 256, 1))
        else:
            y = w.batch_norm(w.conv(x, 64, kernel_size, stride)).relu()
            y = w.batch_norm(w.conv(y, 64, kernel_size))
        if first_of_later_stage:  # an odd sample at the end is a mean by itself
            x = avg_pool1d(pad(x, (0, x.shape[2] % 2), mode="replicate"), 2)
        if bottleneck and number == 0:
            x = w.batch_norm(w.conv(x, 256, 1))
        x = (x + y).relu()
    return w.dense_head(pooled(x), hidden, dropout)


def inception(
    w: Weights, x: Tensor, depth: int = 6, kernel_size: int = 40, hidden: int = 128, dropout: float = 0.5
) -> Tensor:
    lengths = {40: (39, 19, 9), 16: (15, 7, 3), 11: (11, 5, 1)}[kernel_size]
    for _ in range(depth // 3):
        y = x
        for _ in range(3):
            narrow = w.conv(y, 32, 1)
            branches = [w.conv(narrow, 32, samples) for samples in lengths]
            branches.append(w.conv(max_pool1d(y, 3, 1, 1), 32, 1))
            y = w.batch_norm(torch.cat(branches, dim=1)).relu()
        x = (y + w.batch_norm(w.conv(x, 128, 1))).relu()
    return w.dense_head(pooled(x), hidden, dropout)


def net1d(
    w: Weights,
    x: Tensor,
    widths: Sequence[int] = (64, 160, 160, 400, 400, 1024, 1024),
    blocks: Sequence[int] = (2, 2, 2, 3, 3, 4, 4),
    kernel_size: int = 16,
    dropout: float = 0.0,
) -> Tensor:
    left = (kernel_size - 1) // 2
    around = (left, kernel_size - 1 - left)
    x = silu(w.batch_norm(w.conv(x, widths[0], kernel_size, 2, padding=around, bias=True)))
    for width, count in zip(widths, blocks, strict=True):
        for block in range(count):
            stride = 1 if block else 2
            y = w.conv(w.drop(silu(w.batch_norm(x)), dropout), width, 1, bias=True)
            y = w.drop(silu(w.batch_norm(y)), dropout)
            y = w.conv(y, width, kernel_size, stride, padding=around, groups=width // 16, bias=True)
            y = w.conv(w.drop(silu(w.batch_norm(y)), dropout), width, 1, bias=True)
            gate = silu(w.conv(y.mean(2, keepdim=True), width // 2, 1, bias=True))
            y = y * w.conv(gate, width, 1, bias=True).sigmoid()
            if stride == 2:
                x = max_pool1d(pad(x, (0, x.shape[2] % 2), value=-math.inf), 2)
            added = width - x.shape[1]
            x = y + pad(x, (0, 0, added // 2, added - added // 2))
    return w.linear(x.mean(2), CLASSES)


def convnext(
    w: Weights,
    x: Tensor,
    widths: Sequence[int] = (64, 128, 256, 512),
    blocks: Sequence[int] = (2, 2, 6, 2),
    patch: int = 4,
    kernel_size: int = 7,
    drop_path: float = 0.0,
) -> Tensor:
    assert not (w.training and drop_path), "which blocks are left out is not computed here"
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True)):
        joined = 2 if stage else patch
        x = w.layer_norm(x.mT).mT if stage else x
        x = w.conv(x, width, joined, joined, padding=(0, -x.shape[2] % joined), bias=True)
        x = x if stage else w.layer_norm(x.mT).mT
        for _ in range(count):
            scale = w.take(width)
            y = w.layer_norm(w.conv(x, width, kernel_size, groups=width, bias=True).mT)
            y = w.linear(gelu(w.linear(y, 4 * width)), width)
            x = x + (y * scale).mT
    return w.linear(w.layer_norm(x.mean(2)), CLASSES)
