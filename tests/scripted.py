"""A training whose course is known beforehand, and callbacks that note and interrupt any training."""

import json
import os
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn

Place = Literal["start", "batch", "validation", "test"]


class Scripted(LightningModule):
    """Logs a given validation score for each epoch, and counts epochs and batches in what a checkpoint holds."""

    epochs: Tensor
    batches: Tensor

    def __init__(self, scores: Sequence[float] = (0.5,) * 9, metric: str = "val/auroc") -> None:
        super().__init__()
        self.scores = scores
        self.metric = metric
        self.weight = nn.Parameter(torch.zeros(()))
        self.register_buffer("epochs", torch.tensor(0))
        self.register_buffer("batches", torch.tensor(0))

    def on_train_epoch_start(self) -> None:
        self.epochs += 1

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        self.batches += 1
        self.log("train/batches", self.batches.float())
        return (self.weight - 1).square()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log(self.metric, self.scores[int(self.epochs) - 1])

    def test_step(self, batch: Any, batch_idx: int) -> None:
        state = {"epochs": self.epochs.float(), "batches": self.batches.float(), "weight": self.weight.detach()}
        self.log_dict({f"test/{name}": value for name, value in state.items()})

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class Diary(Callback):
    """Write a line of JSON for each training batch."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        line = [trainer.current_epoch, batch_idx, trainer.global_step, rate, batch[0].double().sum().item()]
        with self.path.open("a") as file:
            file.write(f"{json.dumps(line)}\n")


class Signal(Callback):
    """Send this process a signal at a known moment.

    Args:
        number: Which signal.
        at: start (before the first batch), batch, validation or test.
        batches: After how many batches of the whole training, where it comes at a batch.
        rank: The process that gets it.
    """

    def __init__(self, number: int, at: Place = "batch", batches: int = 1, rank: int = 0) -> None:
        self.number = number
        self.at = at
        self.batches = batches
        self.rank = rank

    def on_sanity_check_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._send_at("start", trainer)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.fit_loop.total_batch_idx + 1 == self.batches:
            self._send_at("batch", trainer)

    def on_validation_batch_end(self, trainer: Trainer, pl_module: LightningModule, *_: Any) -> None:
        if not trainer.sanity_checking:
            self._send_at("validation", trainer)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self._send_at("test", trainer)

    def _send_at(self, place: Place, trainer: Trainer) -> None:
        if self.at == place and trainer.global_rank == self.rank:
            os.kill(os.getpid(), signal.Signals(self.number))


class Die(Callback):
    """Break off at a known moment, without a word to anybody.

    Args:
        batches: After how many batches of the whole training.
    """

    def __init__(self, batches: int) -> None:
        self.batches = batches

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.fit_loop.total_batch_idx + 1 == self.batches:
            raise RuntimeError("killed")


def scripted(data: Path, *options: str) -> list[str]:
    """Give arguments of three scripted epochs of four batches; later options win."""
    few = [word for part in ("train", "val", "test") for word in (f"--trainer.limit_{part}_batches", "4")]
    short = ["--trainer.max_epochs", "3", "--data.batch_size", "4", "--trainer.log_every_n_steps", "1", *few]
    quiet = ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
    model = ["--model", "tests.scripted.Scripted", "--data.path", str(data), "--data.labels", "superdiagnostic"]
    return [*model, *short, *quiet, "--trainer.accelerator", "cpu", *options]


def callback(name: str, **arguments: Any) -> list[str]:
    """Give the arguments that add a callback of this file."""
    return ["--trainer.callbacks+", json.dumps({"class_path": f"tests.scripted.{name}", "init_args": arguments})]
