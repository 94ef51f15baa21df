"""What a model is given, against what the corpus's files say: which records, in which order, with which labels."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from projection.corpus.statements import LABEL_SETS, LabelSet, class_names
from projection.data.batches import BatchLoader
from projection.data.datamodule import PTBXLDataModule
from projection.data.file_signals import DiskSignals, MemorySignals
from projection.data.residency import Residency
from projection.data.signal_sets import DeviceSignals
from projection.data.signals import Signals
from projection.errors import ProjectionError
from projection.tasks.preprocessing import mean_and_std, preprocessed
from projection.transforms import GaussianNoise, Normalise, Resample, Transform
from tests.raw import Raw

SEED = 11


@pytest.fixture(autouse=True)
def _seed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PL_GLOBAL_SEED", str(SEED))


def prepared(path: Path | list[Path], rank: int = 0, world: int = 1, **arguments: Any) -> PTBXLDataModule:
    """Set a data module up as the given process of several would."""
    data = PTBXLDataModule(path, **arguments)
    strategy = SimpleNamespace(root_device=torch.device("cpu"))
    data.trainer = SimpleNamespace(  # type: ignore[assignment]
        global_rank=rank, world_size=world, strategy=strategy, overfit_batches=0.0
    )
    data.setup("fit")
    return data


def training_order(size: int, epoch: int, seed: int = SEED) -> NDArray[np.int64]:
    return np.random.default_rng([seed, epoch]).permutation(size)


def assert_batches(
    loader: BatchLoader, rows: list[NDArray[np.int64]], raw: Raw, task: str, steps: int | None = None
) -> None:
    """Compare an epoch, whole or from some step on, with the raw records that it should consist of."""
    labels = raw.labels(task)
    batches = list(loader)
    assert len(batches) == len(rows) == (len(loader) if steps is None else steps)
    for (x, y, ids), wanted in zip(batches, rows, strict=True):
        assert ids.tolist() == raw.ids[wanted].tolist()
        assert (x.dtype, y.dtype) == (torch.float32, torch.float32)
        np.testing.assert_array_equal(y.numpy(), labels[wanted])
        np.testing.assert_allclose(x.numpy(), raw.millivolts[wanted], rtol=0, atol=1e-6)


@pytest.mark.parametrize("residency", ["device", "memory", "disk"])
@pytest.mark.parametrize(("task", "world"), [("superdiagnostic", 1), ("form", 3)])
def test_every_rank_is_given_its_records_of_every_split(
    corpus_file: Path, raw: Raw, task: LabelSet, world: int, residency: Residency
) -> None:
    train, val, test = (raw.rows(task, *folds) for folds in (range(1, 9), [9], [10]))
    everything = np.flatnonzero(raw.folds == 10)
    for rank in range(world):
        data = prepared(corpus_file, rank, world, labels=task, batch_size=4, residency=residency)
        whole = len(train) // (4 * world)
        for epoch in (0, 2):
            loader = data.train_dataloader()
            loader.batch_sampler.set_epoch(epoch)
            order = training_order(len(train), epoch)[: whole * 4 * world].reshape(whole, world, 4)
            assert_batches(loader, list(train[order[:, rank]]), raw, task)
        loaders = (data.val_dataloader(), data.test_dataloader(), data.predict_dataloader())
        for loader, rows in zip(loaders, (val, test, everything), strict=True):
            steps = -(-len(rows) // (4 * world))
            mine = np.array_split(rows, steps * world)[rank::world]
            assert_batches(loader, mine, raw, task)
            if residency == "device":  # no more than its share is held
                assert isinstance(loader.records.signals, DeviceSignals)
                assert len(loader.records.signals.samples) == sum(map(len, mine))


@pytest.mark.parametrize("task", LABEL_SETS)
def test_labels_are_those_of_the_statements(corpus_file: Path, raw: Raw, task: LabelSet) -> None:
    data = prepared(corpus_file, labels=task)
    splits = {"train": range(1, 9), "val": [9], "test": [10]}
    for name, folds in splits.items():
        split, rows = getattr(data, name), raw.rows(task, *folds)
        assert split.ids.tolist() == raw.ids[rows].tolist(), name
        np.testing.assert_array_equal(split.labels.numpy(), raw.labels(task)[rows])
    assert data.predict.ids.tolist() == raw.ids[raw.folds == 10].tolist()
    assert data.num_classes == raw.labels(task).shape[1] == len(class_names(task))


def test_other_folds_can_be_chosen(corpus_file: Path, raw: Raw) -> None:
    data = prepared(corpus_file, train_folds=[2, 10], val_folds=[5, 6], test_folds=[1], labels="all")
    found = [split.ids.tolist() for split in (data.train, data.val, data.test, data.predict)]
    assert found == [raw.ids[np.isin(raw.folds, folds)].tolist() for folds in ([2, 10], [5, 6], [1], [1])]


def test_the_seed_of_the_run_decides_order_and_fraction(corpus_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    for seed in ("3", "4", "3"):
        monkeypatch.setenv("PL_GLOBAL_SEED", seed)
        whole, part = prepared(corpus_file, batch_size=8), prepared(corpus_file, train_fraction=0.25)
        order = [ids.tolist() for _, _, ids in whole.train_dataloader()]
        positions = training_order(len(whole.train), 0, int(seed))
        assert [one for batch in order for one in batch] == whole.train.ids[positions].tolist()[: 8 * len(order)]
        seen.append((order, part.train.ids.tolist()))
    assert seen[0] == seen[2]
    assert seen[0][0] != seen[1][0]
    assert seen[0][1] != seen[1][1]


def test_a_fraction_is_drawn_evenly_from_the_training_folds(corpus_file: Path, raw: Raw) -> None:
    train = raw.rows("all", *range(1, 9))
    part = prepared(corpus_file, train_fraction=0.3).train
    assert len(part) == round(0.3 * len(train))
    assert part.rows.tolist() == sorted(part.rows)
    assert set(raw.folds[part.rows]) == set(range(1, 9))
    assert prepared(corpus_file, train_fraction=1e-6).train.rows.size == 1


class Seen(Transform):
    """Notes at which rate it is applied."""

    def __init__(self) -> None:
        super().__init__()
        self.rates: list[int] = []

    def forward(self, x: Any, y: Any, sampling_rate: int, generator: Any = None) -> Any:
        self.rates.append(sampling_rate)
        return x, y


class Faster(Seen):
    def output_rate(self, sampling_rate: int) -> int:
        return 2 * sampling_rate


def test_augmentations_are_told_the_rate_of_the_data_and_evaluation_sees_none(corpus_file: Path) -> None:
    seen = [Seen(), Seen()]
    data = prepared(corpus_file, transforms=seen, batch_size=5)
    assert data.sampling_rate == 100
    x, y, ids = next(iter(data.val_dataloader()))
    data.trainer.training, data.trainer.predicting = False, True  # type: ignore[union-attr,misc]
    found = data.on_after_batch_transfer((x, y, ids), 0)
    assert torch.equal(found[0], x)
    assert torch.equal(found[2], ids)
    assert [each.rates for each in seen] == [[], []]
    data.trainer.training, data.trainer.predicting = True, False  # type: ignore[union-attr,misc]
    data.trainer.fit_loop = SimpleNamespace(total_batch_idx=0)  # type: ignore[union-attr,assignment]
    data.on_after_batch_transfer((x, y, ids), 0)
    assert [each.rates for each in seen] == [[100], [100]]


def test_what_every_record_goes_through_is_no_augmentation(corpus_file: Path) -> None:
    told = r"augments training batches, but Normalise, Resample belongs to every .*model\.init_args\.preprocess"
    with pytest.raises(ProjectionError, match=told):
        prepared(corpus_file, transforms=[Normalise(), GaussianNoise(), Resample(50)])
    with pytest.raises(ProjectionError, match="but Faster belongs to every record"):
        prepared(corpus_file, transforms=[Faster()])


def test_an_epoch_continues_in_a_new_data_module_where_a_checkpoint_was_saved(corpus_file: Path, raw: Raw) -> None:
    train = raw.rows("all", *range(1, 9))
    first = prepared(corpus_file, batch_size=8)
    assert first.state_dict() == {}
    loader = first.train_dataloader()
    loader.batch_sampler.set_epoch(1)
    for _ in zip(range(3), loader, strict=False):
        pass
    state = first.state_dict()
    assert state == {"epoch": 1, "records": 24}
    second = prepared(corpus_file, rank=1, world=2, batch_size=4)
    second.load_state_dict(state)
    rest = second.train_dataloader()
    rest.batch_sampler.set_epoch(1)
    order = training_order(len(train), 1)[: len(train) // 8 * 8].reshape(-1, 2, 4)
    assert_batches(rest, list(train[order[3:, 1]]), raw, "all", len(rest) - 3)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_signals_that_are_no_numbers_are_refused(wrong: float) -> None:
    batches = torch.ones(2, 3, 12, 10)
    batches[1, 2, 3, 4] = wrong
    with pytest.raises(ProjectionError, match="The training signals hold NaN or infinite values"):
        mean_and_std(batches)


def test_samples_are_divided_by_the_file_s_own_gain(corpus_file: Path, raw: Raw, tmp_path: Path) -> None:
    path = Path(shutil.copy(corpus_file, tmp_path / "file.h5"))
    with h5py.File(path, "r+") as file:
        file["signals"].attrs["gain"] = 500.0
    x, _, _ = next(iter(prepared(path).predict_dataloader()))
    np.testing.assert_allclose(x.numpy(), 2 * raw.millivolts[raw.folds == 10], rtol=0, atol=1e-6)


@pytest.mark.parametrize("residency", ["device", "memory", "disk"])
def test_a_process_without_records_is_given_an_empty_batch(corpus_file: Path, residency: Residency) -> None:
    data = prepared(corpus_file, rank=39, world=40, residency=residency)
    ((x, y, ids),) = data.test_dataloader()
    assert (x.shape, y.shape, ids.shape) == ((0, 12, 1000), (0, 71), (0,))


@pytest.mark.parametrize(
    ("residency", "kind"), [("device", DiskSignals), ("memory", MemorySignals), ("disk", DiskSignals)]
)
def test_signals_wait_where_they_are_told_to(corpus_file: Path, residency: Residency, kind: type[Signals]) -> None:
    data = prepared(corpus_file, residency=residency)
    assert type(data.signals) is kind
    assert type(data.train_dataloader().records.signals) is (DeviceSignals if residency == "device" else kind)


@pytest.mark.parametrize(("spare", "residency"), [(0, "memory"), (-1, "disk")])
def test_residency_is_chosen_by_the_size_of_the_folds_in_use(
    corpus_file: Path, raw: Raw, monkeypatch: pytest.MonkeyPatch, spare: int, residency: Residency
) -> None:
    size = 2 * 12 * 1000 * int(np.isin(raw.folds, [3, 4, 9, 10]).sum())
    monkeypatch.setattr("projection.data.residency.available_memory", lambda: 2 * size + spare)
    assert prepared(corpus_file, train_folds=[3, 4]).residency == residency


def test_mean_and_deviation_are_those_of_all_training_records_and_no_other(
    corpus_file: Path, raw: Raw, tmp_path: Path
) -> None:
    paths = [corpus_file]
    for number in (1, 2):  # more records than are read at a time
        paths.append(Path(shutil.copy(corpus_file, tmp_path / f"{number}.h5")))
        with h5py.File(paths[-1], "r+") as file:
            for name in ("ecg_id", "patient_id"):
                file[f"records/{name}"][...] += 1_000_000 * number
            file["signals"][...] += 100 * number
    train = raw.rows("all", *range(1, 9))
    assert 3 * len(train) > 256
    counts = np.concatenate([raw.counts[train] + 100.0 * number for number in range(3)]) / 1000
    signals = prepared(paths, transforms=[GaussianNoise(5.0)]).training_signals
    mean, std = mean_and_std(signals())
    assert mean == pytest.approx(counts.mean(), abs=1e-7)
    assert std == pytest.approx(counts.std(), rel=1e-7)
    mean, std = mean_and_std(preprocessed([Normalise("dataset", mean, std)], x, 100) for x in signals())
    assert (mean, std) == (pytest.approx(0, abs=1e-6), pytest.approx(1, abs=1e-6))
