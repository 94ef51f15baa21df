"""What nets and labels are to be, told where they are not."""

from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor, nn

from projection.errors import ProjectionError


def check_logits(logits: object, shape: tuple[int, int], net: nn.Module) -> None:
    """Refuse what a net gives, if it is no tensor of `shape`, `(batch, classes)`."""
    if not isinstance(logits, Tensor) or logits.shape != shape:
        found = tuple(logits.shape) if isinstance(logits, Tensor) else f"a {type(logits).__name__}"
        raise ProjectionError(
            f"{type(net).__name__} is to give logits {shape}, a row for each record and a column for each class; it "
            f"gave {found}. A net takes (leads, classes) first, in this order."
        )


def check_first_batch(logits: Tensor, labels: Tensor, net: nn.Module) -> None:
    """Refuse labels beyond 0 to 1, which no metric could mend, and warn where all that a net gives lies there too.

    Raises:
        ProjectionError: If labels are no probabilities.
    """
    low, high = float(labels.min()), float(labels.max())
    if not (low >= 0 and high <= 1):
        raise ProjectionError(f"Labels are 0 or 1, or between them where labels are mixed; found {low:g} to {high:g}.")
    if ((logits > 0) & (logits <= 1)).all():
        rank_zero_warn(
            f"All that {type(net).__name__} gives lies between 0 and 1, as after a sigmoid or softmax. A net is to "
            "give logits: the task takes the sigmoid itself, in the loss and for probabilities. Leave its own out."
        )
