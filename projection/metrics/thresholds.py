"""Thresholds that turn probabilities into decisions; to be fitted on validation records only."""

from typing import Literal

import torch
from torch import Tensor

Criterion = Literal["youden", "f1", "g2", "sensitivity"]


def fit_thresholds(
    scores: Tensor,
    labels: Tensor,
    criterion: Criterion = "youden",
    sensitivity: float = 0.9,
    weights: Tensor | None = None,
) -> Tensor:
    """Choose a threshold for each class; a record is reported if its score is not below it.

    Args:
        scores: Probabilities of validation records `(records, classes)`.
        labels: 0 or 1, `(records, classes)`.
        criterion: youden maximises sensitivity + specificity (Youden, Cancer 3, 1950), f1 the F1 score,
            g2 the G2 score; sensitivity takes the highest threshold with at least the wanted one. Of equal ones, the
            highest.
        sensitivity: The wanted sensitivity (0 to 1).
        weights: Of each record, `(records,)`; None counts each once.

    Returns:
        float64 `(classes,)`; above every score, so that nothing is reported, for classes without both outcomes.
    """
    each = torch.ones(len(scores), dtype=torch.float64) if weights is None else weights.double()
    pairs = zip(scores.double().T, (labels > 0.5).T, strict=True)
    return torch.stack([_threshold(column, true, each, criterion, sensitivity) for column, true in pairs])


def _threshold(scores: Tensor, true: Tensor, weights: Tensor, criterion: Criterion, sensitivity: float) -> Tensor:
    if not true.any() or true.all():
        return torch.tensor(torch.inf, dtype=torch.float64)
    ordered, order = scores.sort(descending=True)
    reported, hits = weights[order].cumsum(0), (weights * true)[order].cumsum(0)
    positives, negatives = hits[-1], (weights * ~true).sum()
    if criterion == "youden":
        # times positives and negatives: whole numbers, so that equal ones are equal
        value = hits * negatives - (reported - hits) * positives
    elif criterion == "f1":
        value = 2 * hits / (reported + positives)
    elif criterion == "g2":
        value = hits / (reported + 2 * (positives - hits))
    else:
        # the first that is high enough; 0.55 * 100 is above 55, but 55 / 100 is 0.55
        value = -(reported + (hits / positives < sensitivity) * (reported[-1] + 1))
    # records of one score are reported together
    last = torch.cat([ordered[1:] != ordered[:-1], torch.ones(1, dtype=torch.bool)])
    return ordered[value.masked_fill(~last, -torch.inf).argmax()]
