"""Ranking metrics per class: exact under ties and in double precision, all classes at once.

Both follow from one sorting, in which records with equal scores share their place; no thresholds are involved.
They take any monotone scores, such as logits, and labels of 0 or 1, both `(records, classes)`, and give float64
`(classes,)`: NaN for a class that lacks positives or negatives, or has a score that is NaN.
"""

import torch
from torch import Tensor


def auroc(scores: Tensor, labels: Tensor) -> Tensor:
    """Compute the area under the ROC curve of each class.

    It is the probability that a positive record scores above a negative one, ties counting half (Mann and Whitney,
    1947; Hanley and McNeil, Radiology 143, 1982).
    """
    ordered, positive, first, last = _ordered(scores, labels)
    midranks = (first + last + 2).double() / 2
    positives = positive.sum(dim=1).double()
    negatives = positive.shape[1] - positives
    wins = (midranks * positive).sum(dim=1) - positives * (positives + 1) / 2
    return _defined(wins / (positives * negatives), ordered, positives, negatives)


def average_precision(scores: Tensor, labels: Tensor) -> Tensor:
    """Compute the average precision of each class: the mean, over positive records, of the precision at their score.

    It equals the sum of precision times increase in recall over distinct thresholds, without interpolation.
    """
    ordered, positive, first, _ = _ordered(scores, labels)
    records = positive.shape[1]
    found = positive.long().cumsum(dim=1)
    positives = found[:, -1:]
    hits = positives - (found - positive.long()).gather(1, first)
    precision = hits.double() / (records - first).double()
    average = (precision * positive).sum(dim=1) / positives[:, 0]
    return _defined(average, ordered, positives[:, 0].double(), (records - positives[:, 0]).double())


def _ordered(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sort each class by score: scores, whether positive, and the first and last place with the same score."""
    columns = scores.T.contiguous()
    if columns.dtype not in (torch.float32, torch.float64):
        columns = columns.double()
    ordered, order = columns.sort(dim=1)
    positive = (labels.T > 0.5).gather(1, order)
    place = torch.arange(ordered.shape[1], device=ordered.device).expand_as(ordered)
    differs = ordered[:, 1:] != ordered[:, :-1]
    edge = differs.new_ones(len(ordered), 1)
    first = place.where(torch.cat([edge, differs], dim=1), 0).cummax(dim=1).values
    beyond = place.where(torch.cat([differs, edge], dim=1), ordered.shape[1])
    return ordered, positive, first, beyond.flip(1).cummin(dim=1).values.flip(1)


def _defined(values: Tensor, columns: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    undefined = (positives == 0) | (negatives == 0) | columns.isnan().any(dim=1)
    return values.masked_fill(undefined, torch.nan)
