"""Predictions as a table with one row per record."""

from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors
from typing_extensions import override

from projection.data.batches import BatchLoader, Positions
from projection.data.ecg import ECGDataModule
from projection.files import completed_or_removed


class PredictionWriter(Callback):
    """Write the probabilities of validation, test and prediction passes to `predictions/val`, `test` and `predict`.

    The validations within a training leave no table; the one of its best checkpoint does. Columns are ecg_id, then one
    per class; validation and test add the labels as `label_<class>`. Steps that return no tensor `(batch, classes)`,
    and data of other modules than PTBXLDataModule, leave no table.

    Args:
        format: csv or parquet.
    """

    def __init__(self, format: Literal["csv", "parquet"] = "csv") -> None:
        self.format = format
        self.path: Path | None = None
        self._batches: list[Positions] = []
        self._rows: list[Tensor] = []
        self._probabilities: list[Tensor] = []

    @override
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.state.fn == TrainerFn.VALIDATING:
            self._batches = _batches_of(trainer, trainer.val_dataloaders)

    @override
    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._batches = _batches_of(trainer, trainer.test_dataloaders)

    @override
    def on_predict_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._batches = _batches_of(trainer, trainer.predict_dataloaders)

    @override
    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._keep(trainer, outputs, batch_idx)

    @override
    def on_test_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._keep(trainer, outputs, batch_idx)

    @override
    def on_predict_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        self._keep(trainer, outputs, batch_idx)

    @override
    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, trainer.val_dataloaders, "val", with_labels=True)

    @override
    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, trainer.test_dataloaders, "test", with_labels=True)

    @override
    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, trainer.predict_dataloaders, "predict", with_labels=False)

    def _keep(self, trainer: Trainer, outputs: Any, batch_idx: int) -> None:
        if not self._batches:
            return
        rows = torch.from_numpy(self._batches[batch_idx])
        if isinstance(outputs, Tensor) and outputs.shape == (len(rows), len(_class_names(trainer))):
            self._rows.append(rows.to(outputs.device))
            self._probabilities.append(outputs.float())

    def _write(self, trainer: Trainer, loader: Any, name: str, with_labels: bool) -> None:
        if not self._rows:
            return
        rows, probabilities = _from_all_ranks(self._rows).cpu(), _from_all_ranks(self._probabilities).cpu()
        self._batches, self._rows, self._probabilities = [], [], []
        if trainer.is_global_zero:
            order = rows.argsort()
            columns = _class_names(trainer)
            table = pd.DataFrame(probabilities[order].numpy(), columns=columns)
            table.insert(0, "ecg_id", loader.records.ids[rows[order]].numpy())
            if with_labels:
                labels = loader.records.labels[rows[order]].to(torch.int8).numpy()
                table = table.join(pd.DataFrame(labels, columns=[f"label_{column}" for column in columns]))
            self.path = Path(trainer.default_root_dir) / "predictions" / f"{name}.{self.format}"
            _save(table, self.path)


def _from_all_ranks(parts: list[Tensor]) -> Tensor:
    joined = torch.cat(parts)
    return torch.cat(gather_all_tensors(joined)) if torch.distributed.is_initialized() else joined


def _batches_of(trainer: Trainer, loader: Any) -> list[Positions]:
    """List the batches of a loader whose records are known; a dry run and a user's own loaders have none."""
    known = isinstance(loader, BatchLoader) and not trainer.fast_dev_run  # type: ignore[attr-defined]
    return loader.batch_sampler.batches() if known else []


def _class_names(trainer: Trainer) -> tuple[str, ...]:
    data = trainer.datamodule  # type: ignore[attr-defined]
    return data.class_names if isinstance(data, ECGDataModule) else ()


def _save(table: pd.DataFrame, path: Path) -> None:
    with completed_or_removed(path) as partial:
        if path.suffix == ".csv":
            table.to_csv(partial, index=False)
        else:
            table.to_parquet(partial, index=False)
