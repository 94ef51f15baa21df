"""What reaches the network: which transforms, in which order, at which rate, and by which random numbers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.strategies import SingleDeviceStrategy
from torch import Tensor

from projection.corpus.statements import LEADS, class_names
from projection.data.datamodule import PTBXLDataModule
from projection.tasks import ClassificationTask
from projection.transforms import Mixup, Resample, Transform
from tests.tasks.by_hand import Array, ReadOut, Records

CLASSES = class_names("superdiagnostic")


class Add(Transform):
    """A fixed transform."""

    random = False

    def __init__(self, amount: float) -> None:
        super().__init__()
        self.amount = amount

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Any = None) -> tuple[Tensor, Tensor]:
        return x + self.amount, y


class TimesRate(Transform):
    """A random transform, whose result tells the sampling rate."""

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Any = None) -> tuple[Tensor, Tensor]:
        return x * sampling_rate, y


class Marked(Transform):
    """Writes over lead I where in the record a sample is, and over lead II what it draws."""

    def forward(self, x: Tensor, y: Tensor, sampling_rate: int, generator: Any = None) -> tuple[Tensor, Tensor]:
        drawn = torch.randint(751, (len(x), 1), generator=generator).expand(-1, x.shape[2])
        return torch.stack([torch.arange(x.shape[2]).expand_as(drawn), drawn, *x.unbind(1)[2:]], dim=1), y


def trained(corpus_file: Path, transforms: list[Transform], rank: int = 0, **options: Any) -> ClassificationTask:
    """Train in a process that takes itself for one of two where its rank is 1."""
    strategy = SingleDeviceStrategy("cpu")
    strategy.global_rank, strategy.world_size = rank, rank + 1
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    trainer = Trainer(max_epochs=2, accelerator="cpu", strategy=strategy, enable_model_summary=False, **quiet)
    data = PTBXLDataModule(corpus_file, labels="superdiagnostic", transforms=transforms, **options.pop("data", {}))
    task = ClassificationTask(CLASSES, LEADS, net=ReadOut, **options)
    trainer.fit(task, datamodule=data)
    return task


def by_size(x: Array) -> Array:
    """Order records by a number of their own, since training shuffles them."""
    return x[np.argsort(x[:, 0].mean(axis=-1))]


@pytest.mark.thorough
def test_augmentations_come_before_preprocessing_each_at_the_rate_that_it_meets(
    corpus: Path, corpus_file: Path
) -> None:
    records = Records(corpus, CLASSES)
    x, y = torch.from_numpy(records.x), torch.from_numpy(records.y)
    training = records.of(*range(1, 9))
    # one batch holds all
    preprocess = [Add(1.0), Resample(50), Add(2.0)]
    task = trained(corpus_file, [TimesRate()], preprocess=preprocess, window=None, data={"batch_size": 1000})
    assert task.sampling_rate == 100
    fixed, both = (Resample(50)(each + 1, y, 100)[0].numpy() + 2 for each in (x, x * 100))
    mean, std = fixed[training].mean(), fixed[training].std()
    assert task.mean.item() == pytest.approx(mean, rel=1e-6)
    assert task.std.item() == pytest.approx(std, rel=1e-6)
    trainer = task.trainer
    trainer.test(task, datamodule=trainer.datamodule, verbose=False)
    trainer.predict(task, datamodule=trainer.datamodule)
    judged = (records.of(9), records.of(10), records.of(10, labelled=False))
    for seen, chosen in zip(task.net.judged[-3:], judged, strict=True):
        np.testing.assert_allclose(seen, ((fixed - mean) / std)[chosen], atol=1e-4)
    np.testing.assert_allclose(
        by_size(task.net.seen[0]), by_size(((both - mean) / std)[training]), rtol=1e-4, atol=1e-2
    )


def test_mixed_labels_reach_the_loss(corpus_file: Path) -> None:
    class Loss(torch.nn.Module):
        def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
            labels_seen.append(labels)
            return logits.sum()

    labels_seen: list[Tensor] = []
    trained(corpus_file, [Mixup(1.0)], loss=Loss())
    training = [labels for labels in labels_seen if labels.frac().any()]
    assert len(training) == 2, "the batch of either epoch, and none of those that judge"
    assert (training[0].frac() > 0).any(dim=1).float().mean() > 0.3


def draws(corpus_file: Path, rank: int = 0) -> tuple[list[Array], list[Array]]:
    """Where windows begin, and what a transform drew, for each batch."""
    task = trained(corpus_file, [Marked()], rank, data={"batch_size": 12})
    mean, std = task.mean.item(), task.std.item()
    seen = [np.round(x[:, :2, 0] * std + mean).astype(int) for x in task.net.seen]
    return [batch[:, 0] for batch in seen], [batch[:, 1] for batch in seen]


def test_every_seed_rank_and_batch_has_random_numbers_of_its_own_that_can_be_drawn_again(
    corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(seed: int, rank: int) -> list[list[Array]]:
        monkeypatch.setenv("PL_GLOBAL_SEED", str(seed))
        return [*draws(corpus_file, rank)]

    first, again = drawn(0, 0), drawn(0, 0)
    np.testing.assert_array_equal(first, again)
    batches = [batch for part in (*first, *drawn(1, 0), *drawn(0, 1)) for batch in part]
    assert len(batches) > 80
    # windows and transforms do not share numbers either
    assert len({tuple(batch) for batch in batches}) == len(batches)
