"""From millivolts to what a network sees: the fixed transforms of a task, and the scale of its signals."""

import math
from collections.abc import Iterable, Sequence

from torch import Tensor

from projection.errors import ProjectionError
from projection.transforms import Transform


def check_fixed(transforms: Sequence[Transform]) -> None:
    """Make sure that transforms belong to every record that a model sees.

    Args:
        transforms: Of `model.init_args.preprocess`.

    Raises:
        ProjectionError: If one augments training only.
    """
    if augmenting := [type(each).__name__ for each in transforms if each.random]:
        raise ProjectionError(
            f"model.init_args.preprocess applies to every record, but {', '.join(augmenting)} changes records at "
            "random, which is for training alone: give it as data.transforms."
        )


def rate_after(transforms: Sequence[Transform], sampling_rate: int) -> int:
    """Tell the sampling rate that the network sees, in Hz.

    Args:
        transforms: The fixed transforms.
        sampling_rate: Of the records, in Hz.
    """
    for transform in transforms:
        sampling_rate = transform.output_rate(sampling_rate)
    return sampling_rate


def preprocessed(transforms: Sequence[Transform], x: Tensor, sampling_rate: int) -> Tensor:
    """Apply fixed transforms in their order, each at the rate that the one before leaves.

    Args:
        transforms: The fixed transforms.
        x: Signals `(batch, leads, time)` in mV.
        sampling_rate: Of the records, in Hz.
    """
    no_labels = x.new_zeros(len(x), 0)
    for transform in transforms:
        x, _ = transform(x, no_labels, sampling_rate)
        sampling_rate = transform.output_rate(sampling_rate)
    return x


def mean_and_std(batches: Iterable[Tensor]) -> tuple[float, float]:
    """Compute mean and standard deviation over all leads and samples, in double precision.

    Args:
        batches: Signals `(batch, leads, time)`.
    """
    total, squares, count = 0.0, 0.0, 0
    for batch in batches:
        values = batch.double()
        total, squares = total + float(values.sum()), squares + float(values.square().sum())
        count += values.numel()
    mean = total / count
    return mean, math.sqrt(max(0.0, squares / count - mean**2))
