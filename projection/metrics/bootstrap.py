"""Bootstrap of AUROC and average precision: exact, and all resamples at once."""

from dataclasses import dataclass

import torch
from torch import Tensor

from projection.errors import ProjectionError

_DRAWN = 1000  # resamples drawn at a time
_PATIENCE = 10_000  # rejected resamples for each accepted one


@dataclass(frozen=True)
class Resampled:
    """What each class reaches in each resample, float64 `(resamples, classes)`; NaN where it is undefined."""

    auroc: Tensor
    average_precision: Tensor

    @property
    def macro_auroc(self) -> Tensor:
        """The mean over the classes that have both outcomes, `(resamples,)`."""
        return self.auroc.nanmean(dim=1)


def bootstrap_auroc(
    scores: Tensor, labels: Tensor, resamples: int = 1000, seed: int = 0, patients: Tensor | None = None
) -> Tensor:
    """Compute the macro AUROC of resampled test sets, float64 `(resamples,)`: see `draw_counts`, `judge_resamples`."""
    return judge_resamples(scores, labels, draw_counts(labels, resamples, seed, patients)).macro_auroc


def draw_counts(labels: Tensor, resamples: int, seed: int, patients: Tensor | None = None) -> Tensor:
    """Draw how often each resample holds each record, float32 `(records, resamples)`.

    Records are drawn with replacement; a draw in which a class lost all of its positives or negatives is drawn again,
    as in the PTB-XL benchmark (Strodthoff et al., IEEE JBHI 25(5), 2021).

    Args:
        labels: 0 or 1, `(records, classes)`; classes without positives or negatives are left out.
        patients: Whose each record is, int64 `(records,)`. Patients are drawn then, each with all of their records,
            which are not independent (Field and Welsh, Journal of the Royal Statistical Society B 69, 2007).

    Raises:
        ProjectionError: If there is no class with both outcomes, or one is too rare for resampling.
    """
    positive = labels.cpu() > 0.5
    positive = positive[:, _have_both_outcomes(positive)]
    if not positive.shape[1]:
        raise ProjectionError("No class has both positives and negatives among these records.")
    unit = torch.arange(len(positive)) if patients is None else torch.unique(patients, return_inverse=True)[1]
    units, generator = int(unit.max()) + 1, torch.Generator().manual_seed(seed)
    kept: list[Tensor] = []
    outcomes = torch.cat([positive, ~positive], dim=1).float()
    found, drawn = 0, 0
    while found < resamples:
        chosen = torch.randint(units, (_DRAWN, units), generator=generator)
        counts = torch.zeros(_DRAWN, units).scatter_add_(1, chosen, torch.ones(()).expand(_DRAWN, units))[:, unit]
        accepted = counts[((counts @ outcomes) > 0).all(dim=1)]
        kept.append(accepted)
        found, drawn = found + len(accepted), drawn + _DRAWN
        if drawn > _PATIENCE * (found + 1):
            raise ProjectionError(
                f"Of {drawn:,} resamples of {len(positive):,} records only {found:,} kept a positive and a negative of "
                "every class: some classes are too rare for a bootstrap."
            )
    return torch.cat(kept)[:resamples].T.contiguous()


def judge_resamples(scores: Tensor, labels: Tensor, counts: Tensor) -> Resampled:
    """Judge every class in every resample of `draw_counts`.

    With the counts as weights, the AUROC is the weighted share of pairs of a positive and a negative that are in order,
    ties counting half. One sorting serves all resamples, and whole and half numbers below 2^23 are exact in single
    precision.

    Args:
        scores: Any monotone scores `(records, classes)`, such as logits.
        labels: 0 or 1, `(records, classes)`.
        counts: How often each resample holds each record, `(records, resamples)`.
    """
    columns, positive = scores.cpu().double(), labels.cpu() > 0.5
    auroc = torch.full((counts.shape[1], positive.shape[1]), torch.nan, dtype=torch.float64)
    precision = auroc.clone()
    for i in _have_both_outcomes(positive).nonzero().flatten().tolist():
        auroc[:, i], precision[:, i] = _judge(columns[:, i], positive[:, i], counts)
    return Resampled(auroc, precision)


def _have_both_outcomes(positive: Tensor) -> Tensor:
    return positive.any(dim=0) & ~positive.all(dim=0)


def _judge(scores: Tensor, positive: Tensor, counts: Tensor) -> tuple[Tensor, Tensor]:
    """Count, at each distinct score of the positives, whom it beats and who is reported; ties count half."""
    levels, level = torch.unique(scores[positive], return_inverse=True)
    negatives = scores[~positive]
    # negatives belong to an odd place if they equal one of the levels, to the even ones between otherwise
    place = torch.searchsorted(levels, negatives) + torch.searchsorted(levels, negatives, right=True)
    at = torch.zeros(2 * len(levels) + 1, counts.shape[1]).index_add_(0, place, counts[~positive])
    below, equal = at.cumsum(dim=0)[:-1:2], at[1::2]
    hits = torch.zeros(len(levels), counts.shape[1]).index_add_(0, level, counts[positive])
    positives, others = hits.sum(dim=0, dtype=torch.float64), at.sum(dim=0, dtype=torch.float64)
    wins = (hits * (below + equal / 2)).sum(dim=0, dtype=torch.float64)
    found = hits.flip(0).cumsum(dim=0).flip(0).double()
    reported = found + others - below
    precision = torch.where(reported > 0, found / reported, 0.0)
    return wins / (positives * others), (hits * precision).sum(dim=0) / positives
