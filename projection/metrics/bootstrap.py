"""Bootstrap of the macro AUROC: exact, and all resamples at once."""

import torch
from torch import Tensor

from projection.errors import ProjectionError

_DRAWN = 1000  # resamples drawn at a time
_PATIENCE = 10_000  # rejected resamples for each accepted one


def bootstrap_auroc(
    scores: Tensor, labels: Tensor, resamples: int = 1000, seed: int = 0, patients: Tensor | None = None
) -> Tensor:
    """Compute the macro AUROC of resampled test sets, float64 `(resamples,)`.

    Records are drawn with replacement; a draw in which a class lost all of its positives or negatives is drawn again,
    as in the PTB-XL benchmark (Strodthoff et al., IEEE JBHI 25(5), 2021).

    A resample says how often it holds each record. With these counts as weights, the AUROC is the weighted share of
    pairs of a positive and a negative that are in order, ties counting half. One sorting serves all resamples, and
    whole and half numbers below 2^23 are exact in single precision.

    Args:
        scores: Any monotone scores `(records, classes)`, such as logits.
        labels: 0 or 1, `(records, classes)`; classes without positives or negatives are left out.
        patients: Whose each record is, int64 `(records,)`. Patients are drawn then, each with all of their records,
            which are not independent (Field and Welsh, Journal of the Royal Statistical Society B 69, 2007).

    Raises:
        ProjectionError: If there is no class with both outcomes, or one is too rare for resampling.
    """
    positive = labels.cpu() > 0.5
    defined = positive.any(dim=0) & ~positive.all(dim=0)
    if not defined.any():
        raise ProjectionError("No class has both positives and negatives among these records.")
    positive, columns = positive[:, defined], scores.cpu().double()[:, defined]
    counts = draw_counts(positive, resamples, seed, patients)
    total = torch.zeros(resamples, dtype=torch.float64)
    for column, is_positive in zip(columns.T, positive.T, strict=True):
        total += _weighted_auroc(column, is_positive, counts)
    return total / positive.shape[1]


def draw_counts(positive: Tensor, resamples: int, seed: int, patients: Tensor | None = None) -> Tensor:
    """Draw resamples in which every class keeps both outcomes.

    Args:
        positive: bool `(records, classes)`.
        patients: Whose each record is, `(records,)`; None draws records.

    Returns:
        float32 `(records, resamples)`: how often each resample holds each record.

    Raises:
        ProjectionError: If nearly all draws lose a class.
    """
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


def _weighted_auroc(scores: Tensor, is_positive: Tensor, counts: Tensor) -> Tensor:
    positives, negatives = counts[is_positive], counts[~is_positive]
    levels, level = torch.unique(scores[is_positive], return_inverse=True)
    below = scores[~is_positive]
    # negatives belong to an odd place if they equal one of the positives' scores, to the even ones between otherwise
    place = torch.searchsorted(levels, below) + torch.searchsorted(levels, below, right=True)
    at = torch.zeros(2 * len(levels) + 1, counts.shape[1]).index_add_(0, place, negatives)
    beaten = at.cumsum(dim=0)[:-1:2].add_(at[1::2], alpha=0.5)
    wins = (positives * beaten[level]).sum(dim=0, dtype=torch.float64)
    return wins / (positives.sum(dim=0, dtype=torch.float64) * negatives.sum(dim=0, dtype=torch.float64))
