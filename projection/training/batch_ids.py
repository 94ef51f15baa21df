"""Which records a batch holds."""

from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Trainer
from torch import Tensor
from typing_extensions import TypeIs

from projection.data.ecg import ECGDataModule


def ids_of(trainer: Trainer, batch: Sequence[Any]) -> Any:
    """Find what names the records of the batch `(x, y)` or `(x, y, ids)` that a step has just worked on."""
    data = trainer.datamodule  # type: ignore[attr-defined]
    kept = data.ids if isinstance(data, ECGDataModule) else None
    return batch[2] if len(batch) > 2 else kept


def are_ids(values: Any, count: int) -> TypeIs[Tensor]:
    """Tell whether these are a whole number for each of some records."""
    return isinstance(values, Tensor) and values.shape == (count,) and not values.is_floating_point()
