"""Macro-averaged metrics over an epoch, each record counted once however many processes share the work."""

from collections.abc import Callable

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from projection.metrics.ranking import auroc, average_precision


class Macro(Metric):
    """Collect an epoch's scores and average a per-class metric once, at its end.

    Classes without positives or without negatives are left out of the average, as in the PTB-XL benchmark; a NaN
    among the scores makes the result NaN.

    Args:
        per_class: From scores and labels `(records, classes)` to values `(classes,)`, NaN where undefined.
    """

    full_state_update = False
    is_differentiable = False
    higher_is_better = True
    scores: list[Tensor]
    labels: list[Tensor]

    def __init__(self, per_class: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.per_class = per_class
        self.add_state("scores", [], dist_reduce_fx="cat")
        self.add_state("labels", [], dist_reduce_fx="cat")

    def update(self, scores: Tensor, labels: Tensor) -> None:
        """Add a batch of any monotone scores, such as logits, and of labels (0 or 1), both `(batch, classes)`."""
        self.scores.append(scores.detach().float())
        self.labels.append(labels.detach().to(torch.uint8))

    def compute(self) -> Tensor:
        """Average over the classes for which the metric is defined: a scalar (float64), NaN where none is."""
        # double precision: not on every accelerator, and of no cost once per epoch
        scores, labels = dim_zero_cat(self.scores).cpu(), dim_zero_cat(self.labels).cpu()
        if scores.isnan().any():
            return torch.tensor(torch.nan)
        return self.per_class(scores, labels).nanmean()


class MacroAUROC(Macro):
    """Area under the ROC curve, averaged over classes: the PTB-XL benchmark's main number."""

    def __init__(self) -> None:
        super().__init__(auroc)


class MacroAveragePrecision(Macro):
    """Average precision (area under the precision-recall curve), averaged over classes."""

    def __init__(self) -> None:
        super().__init__(average_precision)
