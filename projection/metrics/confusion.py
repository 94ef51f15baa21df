"""Metrics of decisions: what follows from thresholds."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Confusion:
    """How decisions and labels agree, for each class.

    Args:
        true_positive: Weight of records with the statement that were found, float64 `(classes,)`.
        false_positive: Of those without it that were reported.
        false_negative: Of those with it that were missed.
        true_negative: Of those without it that were passed.
    """

    true_positive: Tensor
    false_positive: Tensor
    false_negative: Tensor
    true_negative: Tensor

    @property
    def sensitivity(self) -> Tensor:
        """Share of the records with a statement that are found (recall); NaN where there is none."""
        return self.true_positive / (self.true_positive + self.false_negative)

    @property
    def specificity(self) -> Tensor:
        """Share of the records without a statement that are passed; NaN where there is none."""
        return self.true_negative / (self.true_negative + self.false_positive)

    @property
    def positive_predictive_value(self) -> Tensor:
        """Share of the reported records that have the statement (precision); NaN where nothing is reported."""
        return self.true_positive / (self.true_positive + self.false_positive)

    @property
    def negative_predictive_value(self) -> Tensor:
        """Share of the passed records that lack the statement; NaN where everything is reported."""
        return self.true_negative / (self.true_negative + self.false_negative)

    def f_score(self, beta: float = 1.0) -> Tensor:
        """Weigh sensitivity beta times as much as precision (van Rijsbergen, Information Retrieval, 1979).

        NaN where there is neither a record with the statement nor a reported one.
        """
        hits = (1 + beta**2) * self.true_positive
        return hits / (hits + self.false_positive + beta**2 * self.false_negative)

    def g_score(self, beta: float = 2.0) -> Tensor:
        """Weigh what was missed beta times as much as what was reported wrongly.

        The G measure of the PhysioNet/CinC challenge 2020 (Perez Alday et al., Physiological Measurement 41, 2020); NaN
        where the F score is.
        """
        return self.true_positive / (self.true_positive + self.false_positive + beta * self.false_negative)


def confusion(decisions: Tensor, labels: Tensor, weights: Tensor | None = None) -> Confusion:
    """Count agreements and errors of decisions (bool) and labels (0 or 1), both `(records, classes)`.

    Args:
        weights: Of each record, `(records,)`; None counts each once. The PhysioNet/CinC challenge 2020, and with it the
            PTB-XL benchmark, divides each record's vote by its number of statements: `challenge_weights`.
    """
    true, reported = labels > 0.5, decisions.bool()
    each = torch.ones(len(true), dtype=torch.float64) if weights is None else weights.double()
    pairs = (true & reported, ~true & reported, true & ~reported, ~true & ~reported)
    return Confusion(*(each @ pair.double() for pair in pairs))


def challenge_weights(labels: Tensor) -> Tensor:
    """Give each record one vote, shared by its statements (Perez Alday et al., Physiological Measurement 41, 2020).

    From labels of 0 or 1 `(records, classes)` to float64 `(records,)`; 1 for records without a statement.
    """
    return 1 / (labels > 0.5).sum(dim=1).clamp(min=1).double()


def fmax(scores: Tensor, labels: Tensor) -> Tensor:
    """Compute the record-centred maximum F1 over all thresholds, a scalar (float64).

    At each threshold, precision is averaged over the records for which anything is reported, and recall over all
    records (Radivojac et al., Nature Methods 10, 2013; used for PTB-XL by Strodthoff et al., IEEE JBHI 25(5), 2021,
    who try 100 thresholds; here every distinct score is one).

    Args:
        scores: Probabilities `(records, classes)`.
        labels: 0 or 1, `(records, classes)`; records without a 1 have no recall but that of 0.
    """
    true = labels > 0.5
    ordered, order = scores.double().flatten().sort(descending=True)
    record = order // true.shape[1]
    hit = true.flatten()[order].double()
    # each report changes one record's precision and recall: their sums over records follow by adding the changes
    reported, found = _counts(record, torch.ones_like(hit)), _counts(record, hit)
    precision = found / reported
    before = torch.where(reported > 1, (found - hit) / (reported - 1).clamp(min=1), torch.zeros_like(hit))
    precision_sum = (precision - before).cumsum(0)
    recall_sum = (hit / true.sum(dim=1).clamp(min=1).double()[record]).cumsum(0)
    mean_precision = precision_sum / (reported == 1).double().cumsum(0)
    mean_recall = recall_sum / len(true)
    last = torch.cat([ordered[1:] != ordered[:-1], torch.ones(1, dtype=torch.bool)])
    f1 = 2 * mean_precision * mean_recall / (mean_precision + mean_recall)
    return f1[last].nan_to_num(0.0).max()


def _counts(group: Tensor, values: Tensor) -> Tensor:
    """Sum values within groups, up to and with each one."""
    order = group.argsort(stable=True)
    running = values[order].cumsum(0)
    sorted_group = group[order]
    first = torch.cat([torch.ones(1, dtype=torch.bool), sorted_group[1:] != sorted_group[:-1]])
    start = torch.where(first, running - values[order], torch.zeros_like(running)).cummax(0).values
    result = torch.empty_like(running)
    result[order] = running - start
    return result
