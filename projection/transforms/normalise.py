"""Normalisation."""

from typing import Literal

from torch import Tensor

from projection.errors import ProjectionError
from projection.transforms.transform import Generator, Transform


class Normalise(Transform):
    """Subtract a mean and divide by a standard deviation: for model.init_args.preprocess.

    ClassificationTask standardises by the training folds in any case; this one normalises each record by itself.

    Args:
        over: Whose mean and standard deviation: record (each over all of its leads, which keeps their relation), lead
            (each lead of each record), or dataset (the given numbers).
        mean: With over: dataset, in mV.
        std: With over: dataset, in mV (above 0).
    """

    random = False

    def __init__(
        self,
        over: Literal["dataset", "record", "lead"] = "record",
        mean: float | None = None,
        std: float | None = None,
    ) -> None:
        super().__init__()
        usable = mean is not None and std is not None and std > 0
        if not (usable if over == "dataset" else mean is None and std is None):
            raise ProjectionError(
                f"Normalise got over: {over}, mean: {mean}, std: {std}. Give mean and std (above 0) with over: "
                "dataset, and only then."
            )
        self.over = over
        self.mean = mean
        self.std = std

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Generator = None) -> tuple[Tensor, Tensor]:
        """Normalise a batch. What is constant becomes 0."""
        if self.mean is not None and self.std is not None:
            return (x - self.mean) / self.std, y
        axes = (1, 2) if self.over == "record" else (2,)
        centred = x - x.mean(dim=axes, keepdim=True)
        # a microvolt, the resolution of the file, is no signal
        return centred / x.std(dim=axes, correction=0, keepdim=True).clamp(min=1e-3), y
