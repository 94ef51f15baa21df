"""Ranking metrics per class: exact under ties and in double precision, all classes at once.

Both follow from counting, for each record, how many others score at least as high; no thresholds are involved.
"""

import torch
from torch import Tensor


def auroc(scores: Tensor, labels: Tensor) -> Tensor:
    """Compute the area under the ROC curve of each class.

    It is the probability that a positive record scores above a negative one, ties counting half (Mann and Whitney,
    1947; Hanley and McNeil, Radiology 143, 1982).

    Args:
        scores: Any monotone scores `(records, classes)`, such as logits.
        labels: 0 or 1, `(records, classes)`.

    Returns:
        float64 `(classes,)`; NaN for a class that lacks positives or negatives, or has a score that is NaN.
    """
    columns = scores.double().T.contiguous()
    positive = labels.T > 0.5
    ordered = columns.sort(dim=1).values
    below = torch.searchsorted(ordered, columns, right=False)
    up_to = torch.searchsorted(ordered, columns, right=True)
    midranks = (below + up_to + 1).double() / 2
    positives = positive.sum(dim=1).double()
    negatives = positive.shape[1] - positives
    wins = (midranks * positive).sum(dim=1) - positives * (positives + 1) / 2
    return _defined(wins / (positives * negatives), columns, positives, negatives)


def average_precision(scores: Tensor, labels: Tensor) -> Tensor:
    """Compute the average precision of each class: the mean, over positive records, of the precision at their score.

    It equals the sum of precision times increase in recall over distinct thresholds, without interpolation.

    Args:
        scores: Any monotone scores `(records, classes)`, such as logits.
        labels: 0 or 1, `(records, classes)`.

    Returns:
        float64 `(classes,)`; NaN for a class that lacks positives or negatives, or has a score that is NaN.
    """
    columns = scores.double().T.contiguous()
    positive = labels.T > 0.5
    records = positive.shape[1]
    all_ordered = columns.sort(dim=1).values
    positive_ordered = columns.masked_fill(~positive, -torch.inf).sort(dim=1).values
    retrieved = records - torch.searchsorted(all_ordered, columns, right=False)
    hits = records - torch.searchsorted(positive_ordered, columns, right=False)
    precision = hits.double() / retrieved.double()
    positives = positive.sum(dim=1).double()
    average = (precision * positive).sum(dim=1) / positives
    return _defined(average, columns, positives, records - positives)


def _defined(values: Tensor, columns: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    undefined = (positives == 0) | (negatives == 0) | columns.isnan().any(dim=1)
    return values.masked_fill(undefined, torch.nan)
