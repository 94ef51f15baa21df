"""Losses for records that carry several statements at once."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from projection.errors import ProjectionError


class BinaryCrossEntropy(nn.Module):
    """Binary cross-entropy of each class, averaged over records and classes.

    Args:
        positive_weight: Factor on the loss of positive labels: one number, or one per class in the order of the
            class names (above 0).
        label_smoothing: How far labels are pulled towards one half (0 to 1).
    """

    positive_weight: Tensor

    def __init__(self, positive_weight: float | Sequence[float] = 1.0, label_smoothing: float = 0.0) -> None:
        super().__init__()
        # a setting, which a checkpoint judged by another loss need not have
        self.register_buffer("positive_weight", torch.as_tensor(positive_weight, dtype=torch.float32), persistent=False)
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss, a scalar, of logits and labels (0 to 1), both `(batch, classes)`."""
        weights = self.positive_weight
        if weights.numel() not in (1, logits.shape[1]):
            raise ProjectionError(
                f"positive_weight has {weights.numel()} values for {logits.shape[1]} classes; "
                "give one number, or one per class."
            )
        targets = smooth(labels, self.label_smoothing)
        return functional.binary_cross_entropy_with_logits(logits, targets, pos_weight=weights)


class FocalLoss(nn.Module):
    """Cross-entropy that fades for labels already predicted well (Lin et al., ICCV 2017, equation 5).

    Args:
        gamma: How fast it fades; 0 is plain cross-entropy (0 or more).
        alpha: Weight of positive labels, with 1 - alpha for negative ones; None weights both alike (0 to 1).
        label_smoothing: How far labels are pulled towards one half (0 to 1).
    """

    def __init__(self, gamma: float = 2.0, alpha: float | None = None, label_smoothing: float = 0.0) -> None:
        super().__init__()
        self.gamma = gamma
        self.alpha = alpha
        self.label_smoothing = label_smoothing

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Compute the loss, a scalar, of logits and labels (0 to 1), both `(batch, classes)`."""
        targets = smooth(labels, self.label_smoothing)
        losses = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        likelihood = torch.sigmoid(logits) * labels + torch.sigmoid(-logits) * (1 - labels)
        losses = losses * (1 - likelihood) ** self.gamma
        if self.alpha is not None:
            losses = losses * (self.alpha * labels + (1 - self.alpha) * (1 - labels))
        return losses.mean()


def smooth(labels: Tensor, amount: float) -> Tensor:
    """Pull labels towards one half (Szegedy et al., CVPR 2016, for two outcomes): by 0 not at all, by 1 all the way."""
    return labels * (1 - amount) + amount / 2
