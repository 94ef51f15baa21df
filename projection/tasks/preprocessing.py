"""From millivolts to what a network sees: the fixed transforms of a task, and the scale of its signals."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from torch import Tensor, nn

from projection.errors import ProjectionError
from projection.transforms import Transform


class FixedTransforms(nn.ModuleList):
    """A model's `preprocess`: transforms of every record that it sees, none of which augments."""

    def __init__(self, transforms: Sequence[Transform]) -> None:
        if augmenting := [type(each).__name__ for each in transforms if each.random]:
            raise ProjectionError(
                f"model.init_args.preprocess applies to every record, but {', '.join(augmenting)} changes records at "
                "random, which is for training alone: give it as data.transforms."
            )
        super().__init__(transforms)

    if TYPE_CHECKING:  # a ModuleList tells no more of its members than that they are modules

        def __iter__(self) -> Iterator[Transform]: ...


def rate_after(transforms: Iterable[Transform], sampling_rate: int) -> int:
    """Tell the sampling rate that the network sees, given that of the records (both in Hz)."""
    for transform in transforms:
        sampling_rate = transform.output_rate(sampling_rate)
    return sampling_rate


def preprocessed(transforms: Iterable[Transform], x: Tensor, sampling_rate: int) -> Tensor:
    """Apply transforms to signals `(batch, leads, time)` in mV, each at the rate (Hz) that the one before leaves."""
    no_labels = x.new_zeros(len(x), 0)
    for transform in transforms:
        x, _ = transform(x, no_labels, sampling_rate)
        sampling_rate = transform.output_rate(sampling_rate)
    return x


def mean_and_std(batches: Iterable[Tensor]) -> tuple[float, float]:
    """Compute mean and standard deviation over all leads and samples of signals, in double precision."""
    total, squares, count = 0.0, 0.0, 0
    for batch in batches:
        values = batch.double()
        total, squares = total + float(values.sum()), squares + float(values.square().sum())
        count += values.numel()
    mean = total / count
    if not math.isfinite(squares):
        raise ProjectionError(
            "The training signals hold NaN or infinite values, from which nothing can be learned: leave those records "
            "out, or put numbers in their places."
        )
    return mean, math.sqrt(max(0.0, squares / count - mean**2))
