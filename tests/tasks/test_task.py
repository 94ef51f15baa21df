"""What a task is made of, what it keeps in a checkpoint and what it refuses."""

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Trainer
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from projection.corpus.statements import LEADS, class_names
from projection.data.datamodule import PTBXLDataModule
from projection.data.ecg import ECGDataModule
from projection.errors import ProjectionError
from projection.nets import CNN1d
from projection.tasks import BinaryCrossEntropy, ClassificationTask, OneCycle, WarmupCosine
from projection.tasks.preprocessing import mean_and_std
from projection.transforms import BandPass, GaussianNoise, Normalise, Resample, Transform
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
    return PTBXLDataModule(path, labels="superdiagnostic", batch_size=16, **options)


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


def test_a_training_begins_by_looking_at_labels_and_logits() -> None:
    def fit(labels: float, **options: Any) -> None:
        loader = DataLoader(TensorDataset(torch.randn(8, 12, 100), torch.full((8, len(NAMES)), labels)), 4)
        Trainer(max_epochs=1, **QUIET).fit(task_with(window=None, **options), loader)

    with pytest.raises(ProjectionError, match=r"Labels are 0 or 1, .* found 2 to 2"):
        fit(2.0)
    with pytest.warns(UserWarning, match="All that Sequential gives lies between 0 and 1"):
        fit(1.0, net=lambda leads, classes: nn.Sequential(tiny_net(leads, classes), nn.Sigmoid()))


def test_a_schedule_needs_to_know_when_training_ends(corpus_file: Path) -> None:
    with pytest.raises(ProjectionError, match=r"needs an end: set trainer\.max_epochs or trainer\.max_steps"):
        Trainer(max_epochs=-1, **QUIET).fit(task_with(schedule=WarmupCosine), datamodule=data_of(corpus_file))


def test_windows_need_a_sampling_rate_and_whole_records_do_not() -> None:
    task = task_with()
    task.sampling_rate = None
    with pytest.raises(ProjectionError, match=r"sampling rate is unknown.*set .*window and preprocess to null"):
        task(torch.zeros(1, 12, 1000))
    task.window = None
    assert task(torch.zeros(1, 12, 1000)).shape == (1, 5)


@pytest.mark.parametrize(
    ("learned", "told"),
    [
        ({"class_names": list(reversed(NAMES))}, "learned 5 classes.* but the data has 5"),
        ({"class_names": list(NAMES[:4])}, "learned 4 classes.* but the data has 5"),
        ({"lead_names": [*LEADS[1:], LEADS[0]]}, "learned leads II, III, .* but here they are I, II,"),
        ({"sampling_rate": 500}, "learned from records at 500 Hz, but the data has 100 Hz"),
        ({"preprocess": ["Resample(hertz=50)"]}, r"with preprocess: Resample\(hertz=50\), but here they are none"),
    ],
)
def test_a_checkpoint_that_learned_something_else_is_refused(learned: dict[str, Any], told: str) -> None:
    checkpoint: dict[str, Any] = {}
    task_with().on_save_checkpoint(checkpoint)
    task_with().on_load_checkpoint(checkpoint)
    with pytest.raises(ProjectionError, match=told):
        task_with().on_load_checkpoint({"contract": checkpoint["contract"] | learned})
    with pytest.raises(ProjectionError, match="does not state its classes, leads and preprocessing"):
        task_with().on_load_checkpoint({})
    alone = ClassificationTask(NAMES, LEADS, net=tiny_net)
    alone.on_load_checkpoint(checkpoint)
    assert alone.sampling_rate == 100, "a model without data learns it from the checkpoint"


def test_to_judge_otherwise_than_in_training_is_told() -> None:
    checkpoint: dict[str, Any] = {}
    task_with(stride=1.0).on_save_checkpoint(checkpoint)
    with pytest.warns(UserWarning, match="trained with model.init_args.stride 1.0; it is judged with null"):
        task_with().on_load_checkpoint(checkpoint)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        task_with(stride=1.0).on_load_checkpoint(checkpoint)


@pytest.mark.parametrize(
    "fixed",
    [[BandPass(0.5, 40.0)], [Resample(50), BandPass(low=1.0, high=20.0, order=2)], [Normalise("lead"), Resample(40)]],
)
def test_fixed_transforms_come_first_and_windows_are_of_what_they_leave(fixed: list[Transform]) -> None:
    task = task_with(ReadOut, preprocess=fixed, window=2.0, stride=2.0).eval()
    x = torch.randn(3, 12, 1000)
    seen, rate = x, 100
    for transform in fixed:
        seen, rate = transform(seen, torch.zeros(3, 5), rate)[0], transform.output_rate(rate)
    task.mean.fill_(0.25)
    task.std.fill_(2.0)
    windows = [task.net((seen[..., start : start + 2 * rate] - 0.25) / 2) for start in range(0, 10 * rate, 2 * rate)]
    expected = torch.stack(windows).sigmoid().amax(dim=0)
    torch.testing.assert_close(task(x).sigmoid(), expected)


class Unsaid(ECGDataModule):
    """Says what its classes and leads are, and not how often they were sampled."""

    class_names, lead_names = NAMES, LEADS

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        return DataLoader(TensorDataset(torch.zeros(4, 12, 1000), torch.zeros(4, 5)))


def test_what_a_data_module_must_state_is_named() -> None:
    for classes, leads, missing in (
        ((), LEADS, "class_names"),
        (None, LEADS, "class_names"),
        (NAMES, (), "lead_names"),
    ):
        with pytest.raises(ProjectionError, match=rf"states no {missing}\. Derive it from .*ECGDataModule"):
            ClassificationTask(classes, leads, net=tiny_net)  # type: ignore[arg-type]
    task = ClassificationTask(NAMES, LEADS, net=tiny_net)
    with pytest.raises(ProjectionError, match="data module Unsaid states no sampling_rate"):
        Trainer(max_epochs=1, **QUIET).fit(task, datamodule=Unsaid())


def test_what_draws_at_random_is_no_preprocessing() -> None:
    with pytest.raises(ProjectionError, match=r"GaussianNoise changes records at random.*data\.transforms"):
        task_with(preprocess=[Resample(50), GaussianNoise()])


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
    assert abs(mean_and_std(data.training_signals())[1] - learned["std"]) > 1e-4, "other folds have another deviation"
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


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        ((4, 12, 250), (4, 3), r"labels \(4, 3\), but the data module states 5 classes: labels are \(batch, 5\)"),
        ((4, 12, 250), (4,), r"labels \(4,\)"),
        ((4, 2, 250), (4, 5), r"signals \(batch, leads, time\) of I, II, III, .*; found \(4, 2, 250\)"),
        ((12, 250), (4, 5), r"found \(12, 250\)"),
    ],
)
def test_a_batch_of_other_shapes_is_named(x: tuple[int, ...], y: tuple[int, ...], told: str) -> None:
    batch = (torch.zeros(x), torch.zeros(y))
    for step in (task_with().training_step, task_with().validation_step):
        with pytest.raises(ProjectionError, match=told):
            step(batch, 0)


@pytest.mark.parametrize(
    ("net", "told"),
    [
        (nn.Identity(), r"Identity is to give logits \(4, 5\), a row .*; it gave \(4, 12, 250\)\. A net takes \(leads"),
        (nn.LSTM(250, 5), "it gave a tuple"),
        (nn.Sequential(nn.Flatten(), nn.Linear(3000, 6)), r"it gave \(4, 6\)"),
    ],
)
def test_a_net_that_gives_no_logits_is_named(net: nn.Module, told: str) -> None:
    batch, task = (torch.zeros(4, 12, 250), torch.zeros(4, 5)), task_with(window=None)
    task.net = net
    for step in (task.training_step, task.validation_step):
        with pytest.raises(ProjectionError, match=told):
            step(batch, 0)


def test_a_batch_may_hold_ids_and_whole_numbers_for_labels() -> None:
    # PyTorch's own loss, unlike ours, takes no whole numbers
    x, y, task = torch.randn(4, 12, 250), torch.eye(5)[:4], task_with(loss=nn.BCEWithLogitsLoss()).eval()
    judged = task.validation_step((x, y.long(), torch.arange(4)), 0)  # type: ignore[arg-type]
    assert torch.equal(judged, task.validation_step((x, y), 0))
    assert task.val_metrics["auroc"].labels[0].dtype == torch.uint8
