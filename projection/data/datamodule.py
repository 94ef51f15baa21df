"""PTB-XL for Lightning: folds, labels and batches from HDF5 files."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_info
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from projection.corpus.recipes import recipe
from projection.corpus.statements import LEADS, LabelSet, class_names
from projection.data.batches import Batch, BatchLoader, RecordBatchSampler, Records
from projection.data.data_set import open_data_set
from projection.data.ecg import ECGDataModule
from projection.data.leaks import check_leaks
from projection.data.residency import Residency, choose_residency
from projection.data.signal_sets import DeviceSignals, open_signals
from projection.errors import ProjectionError, file_did_you_mean
from projection.transforms import Transform, seeded_generator

Split = Literal["train", "val", "test"]


class PTBXLDataModule(ECGDataModule):
    """PTB-XL, or any data set in its form, from the HDF5 file that `python -m projection convert` writes.

    Batches are signals in mV, float32 `(batch, 12, T)`, and labels, float32 `(batch, classes)`; prediction batches
    add the records' ids. Records without a label of the set are left out, except from prediction, which covers
    every record of the test folds. By default folds 1 to 8 train, 9 validates and 10 tests, as its authors recommend.

    Args:
        path: The HDF5 file, or a list of files that make one set.
        labels: The label set: all (71 classes), diagnostic (44), subdiagnostic (23), superdiagnostic (5), form (19) or
            rhythm (12).
        train_folds: Folds to train on (1 to 10).
        val_folds: Folds to validate on.
        test_folds: Folds to test and predict on.
        batch_size: Records per batch and process (1 or more).
        train_fraction: Part of the training records to use, for quick looks and learning curves (above 0, to 1). A
            smaller part is contained in a larger one.
        transforms: Augment training batches on the device, one after the other. What every record goes through
            (filters, resampling, normalisation) belongs to the model: model.init_args.preprocess.
        residency: Where signals wait for their turn. device: on the GPU, for any set that fits there beside the
            model. memory: in the operating system's page cache. disk: read ahead batch by batch, for sets larger
            than memory. auto: chosen by size and free memory, and told.
    """

    def __init__(
        self,
        # str before Path, so that a data module of a user's own whose path is a str can be named instead; a list before
        # one, which jsonargparse would write as one string
        path: list[str | Path] | str | Path = "data/ptbxl_100hz.h5",
        labels: LabelSet = "all",
        train_folds: Sequence[int] = (1, 2, 3, 4, 5, 6, 7, 8),
        val_folds: Sequence[int] = (9,),
        test_folds: Sequence[int] = (10,),
        batch_size: int = 128,
        train_fraction: float = 1.0,
        transforms: list[Transform] | None = None,
        residency: Residency = "auto",
    ) -> None:
        super().__init__()
        self.paths = [Path(one) for one in path] if isinstance(path, list) else [Path(path)]
        self.label_set: LabelSet = labels
        folds: dict[Split, Sequence[int]] = {"train": train_folds, "val": val_folds, "test": test_folds}
        self.folds = {split: tuple(chosen) for split, chosen in folds.items()}
        self.batch_size, self.train_fraction = batch_size, train_fraction
        self.transforms, self.residency = transforms or [], residency
        self.class_names, self.lead_names = class_names(labels), LEADS
        self._train_loader: BatchLoader | None = None
        self._position: dict[str, int] | None = None

    @override
    def prepare_data(self) -> None:
        self._check_arguments()
        for path in self.paths:
            if not path.is_file():
                unknown = f"python -m projection convert --source FOLDER_OF_RECORDS --output {path}"
                how = recipe(str(path)) or [unknown, "Where it lies elsewhere: --data.path FILE.h5"]
                told = [f"There is no data file {path}.", file_did_you_mean(path), "To make it:"]
                raise ProjectionError("\n  ".join([" ".join(filter(None, told)), *how]))

    @override
    def setup(self, stage: str) -> None:
        self._check_arguments()
        self.data_set = open_data_set(self.paths)
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", "0"))
        self.sampling_rate = self.data_set.sampling_rate
        self._settle_residency()
        self.signals = open_signals(self.data_set.stores, disk=self.residency != "memory")
        labels = self.data_set.labels(self.label_set)
        labelled = np.asarray(labels.any(axis=1))
        self.train = self._select("train", labels, labelled)
        self.val = self._select("val", labels, labelled)
        self.test = self._select("test", labels, labelled)
        self.predict = self._select("test", labels, np.ones_like(labelled))
        check_leaks(self.data_set, {"training": self.train.rows, "validation": self.val.rows, "test": self.test.rows})

    @override
    def training_signals(self) -> Iterator[Tensor]:
        for x, _, _ in BatchLoader(self.train, RecordBatchSampler(len(self.train), 256)):
            yield x

    @override
    def facts(self) -> dict[str, str | list[str]]:
        files = [{"path": store.path.resolve(), **store.attributes} for store in self.data_set.stores]
        return {
            "label_set": self.label_set,
            **{name: [str(file[name]) for file in files] for name in files[0]},
        }

    @override
    def train_dataloader(self) -> BatchLoader:
        self._train_loader = self._loader(self.train, shuffle=True)
        if self._position is not None:
            self._train_loader.load_state_dict(self._position)
        return self._train_loader

    @override
    def val_dataloader(self) -> BatchLoader:
        return self._loader(self.val)

    @override
    def test_dataloader(self) -> BatchLoader:
        return self._loader(self.test)

    @override
    def predict_dataloader(self) -> BatchLoader:
        return self._loader(self.predict)

    @override
    def state_dict(self) -> dict[str, int]:
        # beside Lightning's own saving of loaders, which is dropped on resuming when a schedule asks for the number
        # of steps (https://github.com/Lightning-AI/pytorch-lightning/issues/20550)
        return self._train_loader.state_dict() if self._train_loader else {}

    @override
    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self._position = state_dict

    @override
    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        return batch

    @override
    def on_after_batch_transfer(self, batch: Sequence[Tensor], dataloader_idx: int) -> tuple[Tensor, ...]:
        assert self.trainer is not None
        x, y, *ids = batch
        if self.trainer.training and self.transforms:
            # seeded by the batch, so that a resumed run draws what an uninterrupted one draws; the loop counts a batch
            # only after it has come here
            number = self.trainer.fit_loop.total_batch_idx + 1
            generator = seeded_generator(x.device, self.seed, number, self.trainer.global_rank)
            for transform in self.transforms:
                x, y = transform(x, y, self.sampling_rate, generator)
        return (x, y, *ids)

    def _settle_residency(self) -> None:
        if self.residency == "auto":
            folds = [fold for split in self.folds.values() for fold in split]
            records = int(np.isin(self.data_set.folds, folds).sum())
            _, leads, length = self.data_set.stores[0].shape
            self.residency, why = choose_residency(2 * records * leads * length, self._device())
            rank_zero_info(f"Data residency: {self.residency} ({why}; data.residency chooses another).")
        if self.residency == "device" and self._world_size() > 1:
            rank_zero_info(
                f"Each of the {self._world_size()} devices holds all training records, since every epoch deals them "
                "out anew, and its share of the others."
            )

    def _device(self) -> torch.device:
        return self.trainer.strategy.root_device if self.trainer else torch.device("cpu")

    def _world_size(self) -> int:
        return self.trainer.world_size if self.trainer else 1

    def _loader(self, records: Records, shuffle: bool = False) -> BatchLoader:
        overfit = self.trainer is not None and self.trainer.overfit_batches  # type: ignore[attr-defined]
        shuffle = shuffle and not overfit  # that means the same batches again and again
        rank = self.trainer.global_rank if self.trainer else 0
        sampler = RecordBatchSampler(len(records), self.batch_size, shuffle, self.seed, rank, self._world_size())
        if self.residency == "device":
            rows = records.rows if shuffle else records.rows[np.concatenate(sampler.batches())]
            records = replace(records, signals=DeviceSignals(self.signals, rows, self._device()))
        return BatchLoader(records, sampler, self._device())

    def _select(self, split: Split, labels: NDArray[np.uint8], wanted: NDArray[np.bool_]) -> Records:
        rows = np.flatnonzero(wanted & np.isin(self.data_set.folds, self.folds[split]))
        if not len(rows):
            raise ProjectionError(
                f"{self.data_set.name} has no records with a label of the set {self.label_set} in data.{split}_folds "
                f"{list(self.folds[split])}; it has records in folds {np.unique(self.data_set.folds).tolist()}."
            )
        if split == "train" and self.train_fraction < 1:
            order = np.random.default_rng(self.seed).permutation(len(rows))
            rows = np.sort(rows[order[: max(1, round(self.train_fraction * len(rows)))]])
        y, ids = torch.from_numpy(labels[rows].astype(np.float32)), torch.from_numpy(self.data_set.ids[rows])
        return Records(self.signals, rows, y, ids, self.data_set.gain)

    def _check_arguments(self) -> None:
        if self.batch_size < 1:
            raise ProjectionError(f"data.batch_size must be at least 1, found {self.batch_size}.")
        if not 0 < self.train_fraction <= 1:
            raise ProjectionError(f"data.train_fraction must be above 0 and at most 1, found {self.train_fraction}.")
        if fixed := [type(each).__name__ for each in self.transforms if not each.random or each.output_rate(1) != 1]:
            raise ProjectionError(
                f"data.transforms augments training batches, but {', '.join(fixed)} belongs to every record that the "
                "model ever sees: give it as model.init_args.preprocess, which the checkpoint keeps."
            )
        train, val, test = (set(folds) for folds in self.folds.values())
        if shared := (train & val) | (train & test) | (val & test):
            raise ProjectionError(
                f"Fold(s) {sorted(shared)} are in more than one of data.train_folds, val_folds and test_folds: "
                "the model would be judged on what it learned from. Give each fold one purpose."
            )
