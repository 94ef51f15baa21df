"""What a task is made of, what it keeps in a checkpoint and what it refuses."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn

from projection.corpus.statements import LEADS, class_names
from projection.data.datamodule import PTBXLDataModule
from projection.errors import ProjectionError
from projection.nets import CNN1d
from projection.tasks import BinaryCrossEntropy, ClassificationTask, OneCycle, WarmupCosine
from tests.run_files import weights
from tests.tasks.by_hand import ReadOut

NAMES = class_names("superdiagnostic")
QUIET: dict[str, Any] = {
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "accelerator": "cpu",
}


def tiny_net(leads: int, classes: int) -> nn.Module:
    return CNN1d(leads, classes, widths=(4, 8))


def data_of(path: Path, **options: Any) -> PTBXLDataModule:
    return PTBXLDataModule(path, task="superdiagnostic", batch_size=16, **options)


def task_with(net: Any = tiny_net, **options: Any) -> ClassificationTask:
    task = ClassificationTask(NAMES, LEADS, net=net, **options)
    task.sampling_rate = 100
    return task


def test_without_a_choice_it_is_plain_cross_entropy_and_a_constant_adamw() -> None:
    task = task_with()
    assert type(task.loss) is BinaryCrossEntropy
    optimizer = task.configure_optimizers()
    assert type(optimizer) is torch.optim.AdamW
    assert optimizer.defaults["lr"] == 1e-3
    assert sum(p.numel() for p in optimizer.param_groups[0]["params"]) == sum(p.numel() for p in task.net.parameters())


def test_a_schedule_needs_to_know_when_training_ends(corpus_file: Path) -> None:
    with pytest.raises(ProjectionError, match=r"needs an end: set trainer\.max_epochs or trainer\.max_steps"):
        Trainer(max_epochs=-1, **QUIET).fit(task_with(schedule=WarmupCosine), datamodule=data_of(corpus_file))


def test_windows_need_a_sampling_rate_and_whole_records_do_not() -> None:
    task = task_with()
    task.sampling_rate = None
    with pytest.raises(ProjectionError, match=r"sampling rate is unknown.*set model\.init_args\.window to null"):
        task(torch.zeros(1, 12, 1000))
    task.window = None
    assert task(torch.zeros(1, 12, 1000)).shape == (1, 5)


@pytest.mark.parametrize(
    ("saved", "told"),
    [
        ({"class_names": list(reversed(NAMES))}, "learned 5 classes.* but the data has 5"),
        ({"class_names": list(NAMES[:4])}, "learned 4 classes.* but the data has 5"),
        ({"sampling_rate": 500}, "learned from records at 500 Hz, but the data has 100 Hz"),
    ],
)
def test_a_checkpoint_of_other_classes_or_another_rate_is_refused(saved: dict[str, Any], told: str) -> None:
    checkpoint: dict[str, Any] = {}
    task_with().on_save_checkpoint(checkpoint)
    task_with().on_load_checkpoint(checkpoint)
    with pytest.raises(ProjectionError, match=told):
        task_with().on_load_checkpoint(checkpoint | saved)
    alone = ClassificationTask(NAMES, LEADS, net=tiny_net)
    alone.on_load_checkpoint(checkpoint)
    assert alone.sampling_rate == 100, "a model without data learns it from the checkpoint"


def test_half_precision_is_for_the_network_alone() -> None:
    class Typed(ReadOut):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            assert x.dtype == torch.bfloat16
            return super().forward(x)

    assert task_with(Typed).to(torch.bfloat16).eval()(torch.randn(2, 12, 1000)).dtype == torch.float32


def test_a_checkpoint_is_judged_with_the_mean_and_deviation_that_it_learned(fitted: Path, corpus_file: Path) -> None:
    learned = weights(fitted / "checkpoints" / "best.ckpt")
    task = ClassificationTask.load_from_checkpoint(fitted / "checkpoints" / "best.ckpt", weights_only=True)
    data = data_of(corpus_file, train_folds=[1])
    Trainer(**QUIET).test(task, datamodule=data, verbose=False)
    assert abs(data.mean_and_std()[1] - learned["std"]) > 1e-4, "other folds have another deviation"
    assert (task.mean, task.std) == (learned["mean"], learned["std"])


class Noting(ClassificationTask):
    """Notes the network's weights before the first step."""

    first: dict[str, torch.Tensor] | None = None

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        self.first = self.first or {name: value.clone() for name, value in self.net.state_dict().items()}


@pytest.mark.parametrize("resumed", [False, True])
def test_init_from_is_where_a_new_run_begins_and_no_resumed_one(
    fitted: Path, corpus_file: Path, tmp_path: Path, resumed: bool
) -> None:
    other, last = tmp_path / "other.pt", fitted / "checkpoints" / "last.ckpt"
    torch.save(tiny_net(12, 5).state_dict(), other)
    task = Noting(NAMES, LEADS, net=tiny_net, schedule=OneCycle, init_from=other)
    trainer = Trainer(max_epochs=3, limit_val_batches=0, **QUIET)
    trainer.fit(task, datamodule=data_of(corpus_file), ckpt_path=last if resumed else None, weights_only=True)
    expected = {f"net.{name}": value for name, value in torch.load(other, weights_only=True).items()}
    expected = weights(last) if resumed else expected
    assert task.first
    for name, value in task.first.items():
        assert torch.equal(value, expected[f"net.{name}"]), name
