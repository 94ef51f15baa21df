"""Predictions as a table with one row per record."""

from pathlib import Path
from typing import Any, Literal

import pandas as pd
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities import rank_zero_warn
from torch import Tensor
from torchmetrics.utilities.distributed import gather_all_tensors
from typing_extensions import override

from projection.data.batches import BatchLoader
from projection.data.ecg import ECGDataModule
from projection.data.signals import Positions
from projection.files import completed_or_removed
from projection.runs.folder import PREDICTIONS
from projection.runs.predictions import ID, PLACE
from projection.training.batch_ids import are_ids, ids_of

Part = tuple[Tensor, Tensor, Tensor]
"""Of a batch: where its records belong, `(batch,)`, their probabilities and their labels, `(batch, classes)`."""

_HALF = (torch.float16, torch.bfloat16)


class PredictionWriter(Callback):
    """Write the probabilities of validation, test and prediction passes to `predictions/val`, `test` and `predict`.

    The validations within a training leave no table; the one of its best checkpoint does. Columns are ecg_id, then one
    per class; validation and test add the labels as `label_<class>`. Any model has tables whose steps return
    probabilities `(batch, classes)`, the shape of its labels, which are 0 or 1. Batches of other data modules may name
    their records, as `(x, y, ids)` with whole numbers; where they do not, a column `row` in the place of ecg_id counts
    them from 0 in the loader's order.

    Args:
        format: csv or parquet.
    """

    def __init__(self, format: Literal["csv", "parquet"] = "csv") -> None:
        self.format = format
        self.path: Path | None = None
        self.why = "the steps return no tensor (batch, classes), the shape of the labels"
        self.doubt = ""
        self._wanted = False
        self._seen = 0
        self._numbered = False
        self._batches: list[Positions] = []
        self._parts: list[Part] = []

    @override
    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin(trainer, trainer.val_dataloaders, trainer.state.fn == TrainerFn.VALIDATING)

    @override
    def on_test_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin(trainer, trainer.test_dataloaders)

    @override
    def on_predict_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._begin(trainer, trainer.predict_dataloaders)

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
        self._keep(trainer, outputs, batch, batch_idx)

    on_test_batch_end = on_validation_batch_end
    on_predict_batch_end = on_validation_batch_end

    @override
    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, trainer.val_dataloaders, "val")

    @override
    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, trainer.test_dataloaders, "test")

    @override
    def on_predict_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._write(trainer, trainer.predict_dataloaders, "predict")

    def _begin(self, trainer: Trainer, loader: Any, wanted: bool = True) -> None:
        self._parts, self._seen, self._numbered = [], 0, False
        self._batches = loader.batch_sampler.batches() if isinstance(loader, BatchLoader) else []
        # a foreign loader's records are dealt out by a sampler that repeats some
        known = isinstance(loader, BatchLoader) or trainer.world_size == 1
        self._wanted = wanted and known and not trainer.fast_dev_run  # type: ignore[attr-defined]
        if wanted and not known:
            rank_zero_warn("No predictions are written: several processes share the records of a foreign loader.")

    def _keep(self, trainer: Trainer, outputs: Any, batch: Any, batch_idx: int) -> None:
        if not self._wanted or not isinstance(outputs, Tensor) or not isinstance(batch, list | tuple) or len(batch) < 2:
            return
        labels, ids = batch[1], ids_of(trainer, batch)
        if not isinstance(labels, Tensor) or outputs.ndim != 2 or outputs.shape != labels.shape:
            return
        if self._batches:
            places = torch.from_numpy(self._batches[batch_idx]).to(outputs.device)
        elif are_ids(ids, len(outputs)):
            places = ids.to(outputs.device)
        else:
            places = torch.arange(self._seen, self._seen + len(outputs), device=outputs.device)
            if ids is not None and not self._numbered:
                rank_zero_warn("Predictions are numbered by row: a batch's ids are to be a tensor of whole numbers.")
            self._numbered = True
        self._seen += len(outputs)
        self._parts.append((places, outputs.float() if outputs.dtype in _HALF else outputs, labels))

    def _write(self, trainer: Trainer, loader: Any, name: str) -> None:
        if not self._parts:
            return
        places, probabilities, labels = (_from_all_ranks(list(part)).cpu() for part in zip(*self._parts, strict=True))
        self._parts = []
        wrong = _no_table_of(labels, places)
        if wrong:
            self.why = wrong
            rank_zero_warn(f"No predictions are written: {wrong}.")
        elif ((probabilities < 0) | (probabilities > 1)).any():
            self.doubt = "numbers beyond 0 and 1, which `evaluate` refuses: steps are to return probabilities"
            rank_zero_warn(f"The steps return {self.doubt}.")
        if wrong or not trainer.is_global_zero:
            return
        order = places.argsort()
        ids = loader.records.ids[places[order]] if isinstance(loader, BatchLoader) else places[order]
        columns = _class_names(trainer, probabilities.shape[1])
        table = pd.DataFrame(probabilities[order].numpy(), columns=columns)
        table.insert(0, PLACE if self._numbered else ID, ids.numpy())
        if name != "predict":
            true = labels[order].to(torch.int8).numpy()
            table = table.join(pd.DataFrame(true, columns=[f"label_{column}" for column in columns]))
        self.path = Path(trainer.default_root_dir) / PREDICTIONS / f"{name}.{self.format}"
        with completed_or_removed(self.path) as partial:
            if self.format == "csv":
                table.to_csv(partial, index=False)
            else:
                table.to_parquet(partial, index=False)


def _no_table_of(labels: Tensor, places: Tensor) -> str:
    if not ((labels == 0) | (labels == 1)).all():  # another task may have labels of the same shape
        return "the labels are others than 0 and 1"
    return "" if len(set(places.tolist())) == len(places) else "the ids of batches name some records more than once"


def _from_all_ranks(parts: list[Tensor]) -> Tensor:
    joined = torch.cat(parts)
    return torch.cat(gather_all_tensors(joined)) if torch.distributed.is_initialized() else joined


def _class_names(trainer: Trainer, count: int) -> list[str]:
    data = trainer.datamodule  # type: ignore[attr-defined]
    named = list(data.class_names) if isinstance(data, ECGDataModule) else []
    return named if len(named) == count else [f"class_{number}" for number in range(count)]
