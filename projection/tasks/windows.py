"""Judging a long record by sliding windows, as the PTB-XL benchmark does."""

from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

Aggregation = Literal["max", "mean"]


def sliding_windows(x: Tensor, length: int, stride: int) -> Tensor:
    """Cut signals `(batch, leads, time)` into overlapping windows; the last one ends with the signal.

    Args:
        length: Samples per window.
        stride: Samples from one window's start to the next.

    Returns:
        `(batch, windows, leads, length)`; one window with the whole signal where it is not longer than `length`.
    """
    last = x.shape[-1] - length
    if last <= 0:
        return x.unsqueeze(1)
    starts = [*range(0, last, stride), last]
    return torch.stack([x[..., start : start + length] for start in starts], dim=1)


def aggregate(logits: Tensor, how: Aggregation) -> Tensor:
    """Join logits `(batch, windows, classes)` to those of the largest or mean probability, `(batch, classes)`."""
    if how == "max":
        return logits.amax(dim=1)
    # the log-odds of a mean of probabilities, without ever forming a probability that rounds to 1
    return logsigmoid(logits).logsumexp(dim=1) - logsigmoid(-logits).logsumexp(dim=1)
