from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import LightningModule, Trainer

from projection.data.datamodule import PTBXLDataModule
from projection.errors import ProjectionError
from projection.transforms import GaussianNoise, seeded_generator
from tests.raw import Raw, read_counts


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
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        num_sanity_val_steps=0,
        accelerator="cpu",
        default_root_dir=tmp_path,
        **{"max_epochs": 2, **options},
    )
    trainer.fit(module, datamodule=data)
    if not options:
        trainer.predict(module, datamodule=data)
    return module


def test_lightning_gives_each_epoch_in_its_order_and_predicts_every_record(
    corpus_file: Path, raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "21")
    seen = trained(PTBXLDataModule(corpus_file, labels="superdiagnostic", batch_size=40), tmp_path).seen
    train, val, test = (raw.rows("superdiagnostic", *folds) for folds in (range(1, 9), [9], [10]))
    steps = len(train) // 40
    assert len(seen["train"]) == 2 * steps
    for epoch in range(2):
        rows = train[np.random.default_rng([21, epoch]).permutation(len(train))][: 40 * steps]
        x, y = map(torch.cat, zip(*seen["train"][epoch * steps : (epoch + 1) * steps], strict=True))
        np.testing.assert_allclose(x.numpy(), raw.millivolts[rows], rtol=0, atol=1e-6)
        np.testing.assert_array_equal(y.numpy(), raw.labels("superdiagnostic")[rows])
        np.testing.assert_allclose(seen["val"][epoch][0].numpy(), raw.millivolts[val], rtol=0, atol=1e-6)
    everything = np.flatnonzero(raw.folds == 10)
    assert set(test) <= set(everything)
    ((x, y, ids),) = seen["predict"]
    np.testing.assert_allclose(x.numpy(), raw.millivolts[everything], rtol=0, atol=1e-6)
    assert ids.tolist() == raw.ids[everything].tolist()


def test_real_batches_are_millivolts_in_standard_lead_order(ptbxl: Path, ptbxl_file: Path) -> None:
    data = prepared(ptbxl_file, batch_size=24)
    x, _, ids = next(iter(data.predict_dataloader()))
    names = dict(
        zip(*(data.data_set.stores[0].tables.records[name] for name in ("ecg_id", "filename_lr")), strict=True)
    )
    for signal, ecg_id in zip(x, ids, strict=True):
        expected = read_counts(ptbxl / names[int(ecg_id)])
        np.testing.assert_allclose(signal.numpy(), expected / 1000, rtol=0, atol=1e-6)


def test_overfitting_repeats_the_same_whole_batches(corpus_file: Path, raw: Raw, tmp_path: Path) -> None:
    seen = trained(PTBXLDataModule(corpus_file, batch_size=16), tmp_path, overfit_batches=2).seen
    first = raw.millivolts[raw.rows("all", *range(1, 9))]
    size = len(seen["train"][0][0])
    assert 12 <= size <= 16
    for number, (x, _) in enumerate(seen["train"]):
        start = number % 2 * size
        np.testing.assert_allclose(x.numpy(), first[start : start + len(x)], rtol=0, atol=1e-6)
    assert len(seen["train"]) == 4
    assert all(len(batch[0]) > 1 for batch in seen["val"])


def noise(corpus_file: Path, tmp_path: Path, seed: str) -> dict[str, list[torch.Tensor]]:
    """What a transform with noise adds to the first batches of a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PL_GLOBAL_SEED", seed)
        plain, noisy = (
            trained(
                PTBXLDataModule(corpus_file, batch_size=32, transforms=chosen), tmp_path, limit_train_batches=2
            ).seen
            for chosen in ([], [GaussianNoise(1.0)])
        )
    return {
        name: [after[0] - before[0] for before, after in zip(plain[name], noisy[name], strict=True)]
        for name in ("train", "val")
    }


def test_random_transforms_draw_anew_for_each_batch_and_seed_and_leave_evaluation_alone(
    corpus_file: Path, tmp_path: Path
) -> None:
    first, again, other = (noise(corpus_file, tmp_path, seed) for seed in ("1", "1", "2"))
    assert all(torch.equal(one, same) for one, same in zip(first["train"], again["train"], strict=True))
    assert not any(added.any() for run in (first, other) for added in run["val"])
    # two epochs of two batches, with two seeds
    draws = [batch[:16].double().numpy().ravel() for batch in [*first["train"], *other["train"]]]
    assert len(draws) == 8
    np.testing.assert_allclose(np.corrcoef(draws), np.eye(8), atol=0.02)


def test_random_transforms_draw_by_seed_batch_and_rank(corpus_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", "9")
    transform = GaussianNoise(0.5)
    data = prepared(corpus_file, transforms=[transform])
    x, y, ids = torch.zeros(2, 12, 1000), torch.zeros(2, 71), torch.arange(2)
    for done, rank in ((-1, 0), (0, 0), (4, 3)):  # batches that the loop has counted before this one, less one
        data.trainer = SimpleNamespace(  # type: ignore[assignment]
            training=True, predicting=False, global_rank=rank, fit_loop=SimpleNamespace(total_batch_idx=done)
        )
        expected = transform(x, y, 100, seeded_generator(x.device, 9, done + 1, rank))[0]
        assert torch.equal(data.on_after_batch_transfer((x, y, ids), 0)[0], expected)


def test_fractions_are_nested_and_leave_the_evaluation_whole(corpus_file: Path) -> None:
    whole, half, tenth = (prepared(corpus_file, train_fraction=fraction) for fraction in (1.0, 0.5, 0.1))
    assert set(tenth.train.rows) < set(half.train.rows) < set(whole.train.rows)
    assert len(half.train) == round(len(whole.train) / 2)
    assert len(half.val) == len(whole.val)
    assert len(half.test) == len(whole.test)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"test_folds": [8]}, r"Fold\(s\) \[8\] are in more than one"),
        ({"val_folds": [1, 9]}, r"Fold\(s\) \[1\] are in more than one"),
        ({"val_folds": [10]}, r"Fold\(s\) \[10\] are in more than one"),
        ({"batch_size": 0}, "batch_size must be at least 1"),
        ({"train_fraction": 0.0}, "train_fraction must be above 0"),
        ({"train_fraction": 1.1}, "train_fraction must be above 0"),
        ({"test_folds": [11]}, r"no records with a label of the set all in data.test_folds \[11\]"),
    ],
)
def test_bad_arguments_are_named(corpus_file: Path, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ProjectionError, match=told):
        prepared(corpus_file, **arguments)


def test_a_missing_file_says_which_commands_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for path, told in (
        ("data/ptbxl_500hz.h5", "download --output .* 500\n.* convert .* 500 "),
        ("mine.h5", "convert .* --output mine.h5"),
    ):
        with pytest.raises(ProjectionError, match=f"There is no data file {path}. To make it:\n.*{told}"):
            PTBXLDataModule(Path(path)).prepare_data()
