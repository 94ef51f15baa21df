"""PTB-XL for Lightning: folds, labels and batches from one HDF5 file."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Subset

from projection.data.batches import IndexBatches, Positions, Records
from projection.data.statements import LEADS, LabelSet, class_names
from projection.data.store import Store, open_store
from projection.errors import ProjectionError
from projection.transforms import Transform

Split = Literal["train", "val", "test"]


class ECGDataModule(LightningDataModule):
    """What a task may ask of its data. Derive from it to bring another data set."""

    class_names: tuple[str, ...]
    """Names of the classes, in the order of the label columns; known before any file is read."""
    lead_names: tuple[str, ...]
    """Names of the leads, in the order of the signals; known before any file is read."""
    sampling_rate: int
    """In Hz; known after `setup`."""

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def mean_and_std(self) -> tuple[float, float]:
        """Compute mean and standard deviation of the training signals, over all leads and samples.

        Returns:
            Both in mV.
        """
        raise NotImplementedError


class PTBXLDataModule(ECGDataModule):
    """PTB-XL, or any data set in its form, from the HDF5 file that `python -m projection convert` writes.

    Batches are signals in mV, float32 `(batch, 12, T)`, and labels, float32 `(batch, classes)`; prediction batches
    add the records' ids. Records without a label of the task are left out, except from prediction, which covers
    every record of the test folds. By default folds 1 to 8 train, 9 validates and 10 tests, as its authors recommend.

    Args:
        path: The HDF5 file.
        task: The label set: all (71 classes), diagnostic (44), subdiagnostic (23), superdiagnostic (5), form (19) or
            rhythm (12).
        train_folds: Folds to train on (1 to 10).
        val_folds: Folds to validate on.
        test_folds: Folds to test and predict on.
        batch_size: Records per batch and process (1 or more).
        train_fraction: Part of the training records to use, for quick looks and learning curves (above 0, to 1). A
            smaller part is contained in a larger one.
        transforms: Applied to training batches, one after the other, on the device.
        residency: Where signals wait for their turn. memory: in the operating system's page cache.
    """

    def __init__(
        self,
        path: Path,
        task: LabelSet = "all",
        train_folds: Sequence[int] = (1, 2, 3, 4, 5, 6, 7, 8),
        val_folds: Sequence[int] = (9,),
        test_folds: Sequence[int] = (10,),
        batch_size: int = 128,
        train_fraction: float = 1.0,
        transforms: list[Transform] | None = None,
        residency: Literal["memory"] = "memory",
    ) -> None:
        super().__init__()
        self.path = Path(path)
        self.task = task
        self.folds: dict[Split, tuple[int, ...]] = {
            "train": tuple(train_folds),
            "val": tuple(val_folds),
            "test": tuple(test_folds),
        }
        self.batch_size = batch_size
        self.train_fraction = train_fraction
        self.transforms = transforms or []
        self.residency = residency
        self.class_names = class_names(task)
        self.lead_names = LEADS

    def prepare_data(self) -> None:
        """Stop at once, with the commands that help, if there is no data file.

        Raises:
            ProjectionError: If `path` does not exist, or an argument is out of its range.
        """
        self._check_arguments()
        if not self.path.is_file():
            raise ProjectionError(
                f"There is no data file {self.path}. Two commands make it from PTB-XL:\n"
                "  python -m projection download --output data/ptbxl\n"
                f"  python -m projection convert --source data/ptbxl --output {self.path}\n"
                "or name another file with `--data.path FILE.h5`."
            )

    def setup(self, stage: str) -> None:
        """Open the file and divide its records.

        Args:
            stage: fit, validate, test or predict; all of them need the same.

        Raises:
            ProjectionError: If the file cannot be read, a split has no records, or an argument is out of its range.
        """
        self._check_arguments()
        self.store = open_store(self.path)
        self.sampling_rate = self.store.sampling_rate
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", "0"))
        self.signals = self.store.signals()
        self.train = self._select("train")
        self.val = self._select("val")
        self.test = self._select("test")
        self.predict = self._select("test", labelled=False)

    def mean_and_std(self) -> tuple[float, float]:
        """Compute mean and standard deviation of the training signals, over all leads and samples.

        Returns:
            Both in mV.
        """
        total, squares, count = 0, 0, 0
        for rows in np.array_split(self.train.rows, len(self.train) // 256 + 1):
            samples = self.signals[rows].astype(np.int64)
            total, squares = total + int(samples.sum()), squares + int((samples * samples).sum())
            count += samples.size
        mean = total / count
        return mean / self.store.gain, float(np.sqrt(squares / count - mean**2)) / self.store.gain

    def train_dataloader(self) -> DataLoader[tuple[Tensor, Tensor, Tensor]]:
        """Load the training records, in a new order each epoch.

        Returns:
            The loader.
        """
        return self._loader(self.train, shuffle=True)

    def val_dataloader(self) -> DataLoader[tuple[Tensor, Tensor, Tensor]]:
        """Load the validation records.

        Returns:
            The loader.
        """
        return self._loader(self.val)

    def test_dataloader(self) -> DataLoader[tuple[Tensor, Tensor, Tensor]]:
        """Load the test records.

        Returns:
            The loader.
        """
        return self._loader(self.test)

    def predict_dataloader(self) -> DataLoader[tuple[Tensor, Tensor, Tensor]]:
        """Load every record of the test folds.

        Returns:
            The loader.
        """
        return self._loader(self.predict)

    def on_after_batch_transfer(
        self, batch: tuple[Tensor, Tensor, Tensor], dataloader_idx: int
    ) -> tuple[Tensor, Tensor] | tuple[Tensor, Tensor, Tensor]:
        """Turn samples into millivolts and, in training, apply the transforms.

        Args:
            batch: int16 signals, labels and ids, on the device.
            dataloader_idx: Unused.

        Returns:
            Signals and labels; in prediction also ids.
        """
        assert self.trainer is not None
        samples, y, ids = batch
        x = samples.float() / self.store.gain
        if self.trainer.training and self.transforms:
            generator = self._generator(x.device)
            for transform in self.transforms:
                x, y = transform(x, y, self.sampling_rate, generator)
        return (x, y, ids) if self.trainer.predicting else (x, y)

    def _generator(self, device: torch.device) -> torch.Generator:
        # seeded by the batch, so that a resumed run draws what an uninterrupted one draws
        assert self.trainer is not None
        batch = self.trainer.fit_loop.total_batch_idx
        entropy = np.random.SeedSequence([self.seed, max(0, batch), self.trainer.global_rank])
        return torch.Generator(device).manual_seed(int(entropy.generate_state(1)[0]))

    def _loader(self, records: Records, shuffle: bool = False) -> DataLoader[tuple[Tensor, Tensor, Tensor]]:
        assert self.trainer is not None
        if self.trainer.overfit_batches:  # type: ignore[attr-defined]
            # Lightning wants one fixed order of batches, which it recognises by a sequential sampler
            batches = IndexBatches(len(records), self.batch_size).batches()
            return DataLoader(Subset(records, batches), batch_size=None)  # type: ignore[arg-type]
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        sampler = IndexBatches(len(records), self.batch_size, shuffle, self.seed, rank, world_size)
        return DataLoader(records, sampler=sampler, batch_size=None)

    def _select(self, split: Split, labelled: bool = True) -> Records:
        labels = self.store.tables.labels(self.task)
        member = np.isin(self.store.tables.records["strat_fold"], self.folds[split])
        if labelled:
            member &= labels.any(axis=1)
        rows: Positions = np.flatnonzero(member)
        if split == "train" and self.train_fraction < 1:
            order = np.random.default_rng(self.seed).permutation(len(rows))
            rows = np.sort(rows[order[: max(1, round(self.train_fraction * len(rows)))]])
        if not len(rows):
            raise ProjectionError(_no_records(self.store, split, self.folds[split], self.task))
        return Records(self.signals, rows, labels[rows], self.store.tables.records["ecg_id"][rows])

    def _check_arguments(self) -> None:
        if self.batch_size < 1:
            raise ProjectionError(f"data.batch_size must be at least 1, found {self.batch_size}.")
        if not 0 < self.train_fraction <= 1:
            raise ProjectionError(f"data.train_fraction must be above 0 and at most 1, found {self.train_fraction}.")
        train, val, test = (set(folds) for folds in self.folds.values())
        if shared := (train & val) | (train & test) | (val & test):
            raise ProjectionError(
                f"Fold(s) {sorted(shared)} are in more than one of data.train_folds, val_folds and test_folds: "
                "the model would be judged on what it learned from. Give each fold one purpose."
            )


def _no_records(store: Store, split: Split, folds: Sequence[int], task: LabelSet) -> str:
    present = np.unique(store.tables.records["strat_fold"]).tolist()
    return (
        f"{store.path} has no records with a label of task {task} in data.{split}_folds {list(folds)}; "
        f"it has records in folds {present}."
    )
