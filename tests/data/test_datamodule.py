from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import wfdb
from lightning.pytorch import LightningModule, Trainer

from projection.data.datamodule import PTBXLDataModule
from projection.data.statements import LEADS
from projection.data.store import open_store
from projection.errors import ProjectionError
from projection.transforms import GaussianNoise


def prepared(path: Path, **arguments: Any) -> PTBXLDataModule:
    data = PTBXLDataModule(path, **arguments)
    data.setup("fit")
    return data


class Recorder(LightningModule):
    """Sees what any user's module would see."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: dict[str, list[Any]] = {"train": [], "val": [], "predict": []}

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        self.seen["train"].append(batch)
        return self.weight.sum()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.seen["val"].append(batch)

    def predict_step(self, batch: Any, batch_idx: int) -> None:
        self.seen["predict"].append(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def trained(data: PTBXLDataModule, tmp_path: Path, **options: Any) -> Recorder:
    module = Recorder()
    trainer = Trainer(
        max_epochs=2,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        accelerator="cpu",
        default_root_dir=tmp_path,
        **options,
    )
    trainer.fit(module, datamodule=data)
    if not options:
        trainer.predict(module, datamodule=data)
    return module


def test_batches_are_millivolts_in_standard_lead_order(corpus: Path, corpus_file: Path, tmp_path: Path) -> None:
    data = PTBXLDataModule(corpus_file, task="superdiagnostic", batch_size=7)
    module = trained(data, tmp_path)
    store = open_store(corpus_file)
    names = dict(zip(store.tables.records["ecg_id"], store.tables.records["filename_lr"], strict=True))
    checked = 0
    for x, y, ids in module.seen["predict"]:
        assert x.dtype == torch.float32
        assert y.shape == (len(x), 5)
        for signal, ecg_id in zip(x, ids, strict=True):
            record = wfdb.rdrecord(str(corpus / names[int(ecg_id)]))
            order = [[name.lower() for name in record.sig_name].index(lead.lower()) for lead in LEADS]
            np.testing.assert_allclose(signal.numpy(), record.p_signal[:, order].T, atol=1e-6)
            checked += 1
    assert checked == (store.tables.records["strat_fold"] == 10).sum()


def test_real_batches_are_millivolts_in_standard_lead_order(ptbxl: Path, ptbxl_file: Path, tmp_path: Path) -> None:
    test_batches_are_millivolts_in_standard_lead_order(ptbxl, ptbxl_file, tmp_path)


def test_training_sees_other_records_in_another_order_each_epoch(corpus_file: Path, tmp_path: Path) -> None:
    batches = trained(PTBXLDataModule(corpus_file, batch_size=40), tmp_path).seen["train"]
    half = len(batches) // 2
    assert not torch.equal(batches[0][0], batches[half][0])
    assert all(len(batch) == 2 and batch[0].shape[1:] == (12, 1000) for batch in batches)


def test_overfitting_repeats_the_same_whole_batches(corpus_file: Path, tmp_path: Path) -> None:
    seen = trained(PTBXLDataModule(corpus_file, batch_size=16), tmp_path, overfit_batches=2).seen
    batches = seen["train"]
    assert len(batches) == 4
    assert all(batch[0].ndim == 3 and len(batch[0]) > 1 for batch in [*batches, *seen["val"]])
    assert torch.equal(batches[0][0], batches[2][0])


def test_transforms_change_training_batches_only_and_can_be_repeated(corpus_file: Path, tmp_path: Path) -> None:
    plain = trained(PTBXLDataModule(corpus_file), tmp_path).seen
    noisy = trained(PTBXLDataModule(corpus_file, transforms=[GaussianNoise(1.0)]), tmp_path).seen
    again = trained(PTBXLDataModule(corpus_file, transforms=[GaussianNoise(1.0)]), tmp_path).seen
    assert not torch.equal(plain["train"][0][0], noisy["train"][0][0])
    assert torch.equal(noisy["train"][0][0], again["train"][0][0])
    assert torch.equal(plain["val"][0][0], noisy["val"][0][0])


def test_splits_follow_the_folds_and_drop_records_without_a_label(corpus_file: Path) -> None:
    data = prepared(corpus_file, task="form")
    folds, labelled = data.data_set.folds, data.data_set.labels("form").any(axis=1)
    assert set(data.train.rows) == set(np.flatnonzero((folds <= 8) & labelled))
    assert set(data.val.rows) == set(np.flatnonzero((folds == 9) & labelled))
    assert set(data.test.rows) == set(np.flatnonzero((folds == 10) & labelled))
    assert set(data.predict.rows) == set(np.flatnonzero(folds == 10))


def test_mean_and_standard_deviation_are_those_of_the_training_signals(corpus_file: Path) -> None:
    data = prepared(corpus_file)
    signals = data.signals.read(data.train.rows).numpy() / 1000
    mean, std = data.mean_and_std()
    assert mean == pytest.approx(signals.mean(), abs=1e-9)
    assert std == pytest.approx(signals.std(), rel=1e-9)


def test_fractions_are_nested_and_leave_the_evaluation_whole(corpus_file: Path) -> None:
    whole, half, tenth = (prepared(corpus_file, train_fraction=fraction) for fraction in (1.0, 0.5, 0.1))
    assert set(tenth.train.rows) < set(half.train.rows) < set(whole.train.rows)
    assert len(half.train) == round(len(whole.train) / 2)
    assert len(half.test) == len(whole.test)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"test_folds": [8]}, r"Fold\(s\) \[8\] are in more than one"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"train_fraction": 0.0}, "train_fraction must be above 0"),
        ({"test_folds": [11]}, r"no records with a label of task all in data.test_folds \[11\]"),
    ],
)
def test_bad_arguments_are_named(corpus_file: Path, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ProjectionError, match=told):
        prepared(corpus_file, **arguments)


def test_a_missing_file_says_which_commands_make_it(tmp_path: Path) -> None:
    with pytest.raises(ProjectionError, match=r"projection download(.|\n)*projection convert"):
        PTBXLDataModule(tmp_path / "none.h5").prepare_data()
