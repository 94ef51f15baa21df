"""What a task may ask of its data."""

from collections.abc import Iterator
from typing import Any

from lightning.pytorch import LightningDataModule
from torch import Tensor
from typing_extensions import override


class ECGDataModule(LightningDataModule):
    """Where records come from. Derive from it to bring another data set.

    Set `class_names` and `lead_names` in the constructor and `sampling_rate` in `setup`, and return loaders for train,
    val, test and predict, whose batches are `(x, y)` or `(x, y, ids)`: `x` float32 `(batch, leads, time)` in mV, `y`
    float32 `(batch, classes)`, ids int64 `(batch,)`, by which predictions name their records. Steps are given
    `(x, y)`, and `predict_step` all three.
    """

    class_names: tuple[str, ...] = ()
    """Names of the classes, in the order of the label columns; known before any file is read."""
    lead_names: tuple[str, ...] = ()
    """Names of the leads, in the order of the signals; known before any file is read."""
    sampling_rate: int = 0
    """In Hz; known after `setup`."""
    ids: Any = None
    """Of the records in the batch that a step works on, where the loader gives them."""

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @override
    def on_before_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        named = isinstance(batch, list | tuple) and len(batch) == 3
        self.ids = batch[2] if named else None
        predicting = self.trainer is not None and self.trainer.predicting
        return tuple(batch[:2]) if named and not predicting else batch

    def training_signals(self) -> Iterator[Tensor]:
        """Yield the training records, `(batch, leads, time)` in mV, from which a task learns their scale.

        Override it if `train_dataloader` augments records or leaves some out.
        """
        for batch in self.train_dataloader():
            yield batch[0]

    def facts(self) -> dict[str, str | list[str]]:
        """Tell which data these are, for the run's record: label set, and of each file path, fingerprints and origin.

        Known after `setup`.
        """
        return {}
