"""The task computed by hand: NumPy on what wfdb and pandas read, for a network that is a weighted sum."""

import ast
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import wfdb
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import nn

Array = NDArray[Any]


class ReadOut(nn.Module):
    """Weigh the first sample, the last and the mean of each lead, and keep what was seen in training and judged."""

    def __init__(self, leads: int, classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(3 * leads, classes)
        self.seen: list[Array] = []
        self.judged: list[Array] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        (self.seen if self.training else self.judged).append(x.float().numpy().astype(np.float64))
        return self.linear(torch.cat([x[..., 0], x[..., -1], x.mean(dim=-1)], dim=-1))


class Witness(Callback):
    """Keeps losses and learning rates of training batches, metrics of validations, and what judging a batch gives."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.rates: list[float] = []
        self.validated: list[dict[str, float]] = []
        self.judged: list[torch.Tensor] = []

    def on_train_batch_start(self, trainer: Trainer, *_: Any) -> None:
        self.rates.append(trainer.optimizers[0].param_groups[0]["lr"])

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        self.losses.append(float(trainer.callback_metrics["train/loss"]))

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, outputs: Any, *_: Any) -> None:
        self.judged.append(outputs)

    on_test_batch_end = on_validation_batch_end

    def on_validation_end(self, trainer: Trainer, *_: Any) -> None:
        if not trainer.sanity_checking:
            metrics = trainer.callback_metrics.items()
            self.validated.append({name: float(value) for name, value in metrics if name.startswith("val/")})


class Records:
    """A corpus as wfdb and pandas read it: signals in mV, superdiagnostic labels, folds."""

    def __init__(self, corpus: Path, classes: Sequence[str]) -> None:
        table = pd.read_csv(corpus / "ptbxl_database.csv", index_col="ecg_id")
        kinds = pd.read_csv(corpus / "scp_statements.csv", index_col=0)["diagnostic_class"].dropna()
        found = [{kinds.get(code) for code in ast.literal_eval(codes)} for codes in table["scp_codes"]]
        self.ids = table.index.to_numpy()
        self.folds = table["strat_fold"].to_numpy()
        self.y = np.array([[float(name in classes_of) for name in classes] for classes_of in found])
        self.x = np.stack([wfdb.rdrecord(str(corpus / name)).p_signal.T for name in table["filename_lr"]])

    def of(self, *folds: int, labelled: bool = True) -> NDArray[np.bool_]:
        """Choose records by their fold, those with a label unless told otherwise."""
        return np.isin(self.folds, folds) & (self.y.any(axis=1) | (not labelled))

    def located(self, windows: Array) -> list[tuple[int, int]]:
        """Find which record each window was cut from, and at which sample."""
        return [self._places[_microvolts(window[:, 0])] for window in windows]

    @cached_property
    def _places(self) -> dict[bytes, tuple[int, int]]:
        records, _, length = self.x.shape
        return {_microvolts(self.x[place[0], :, place[1]]): place for place in np.ndindex(records, length)}


def _microvolts(sample: Array) -> bytes:
    """Name a sample of all leads by its values, which no other sample of the corpus has."""
    return np.round(1000 * sample).astype(np.int16).tobytes()


def features(x: Array) -> Array:
    """Compute what ReadOut weighs, `(..., leads, time)` to `(..., 3 * leads)`."""
    return np.concatenate([x[..., 0], x[..., -1], x.mean(axis=-1)], axis=-1)


def sigmoid(logits: Array) -> Array:
    return 1 / (1 + np.exp(-logits))


def cross_entropy(p: Array, y: Array) -> float:
    return float(-np.mean(y * np.log(p) + (1 - y) * np.log(1 - p)))


def judged(p: Array, y: Array) -> dict[str, float]:
    """Judge probabilities as the benchmark does: averages over the classes that have both outcomes."""
    both = [c for c in range(y.shape[1]) if 0 < y[:, c].sum() < len(y)]
    return {
        "auroc": float(np.mean([roc_auc_score(y[:, c], p[:, c]) for c in both])),
        "average_precision": float(np.mean([average_precision_score(y[:, c], p[:, c]) for c in both])),
        "loss": cross_entropy(p, y),
    }
