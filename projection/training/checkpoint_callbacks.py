"""The best and the newest state of a run, as `checkpoints/best.ckpt` and `checkpoints/last.ckpt`."""

import hashlib
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_info, rank_zero_warn
from lightning.pytorch.utilities.types import STEP_OUTPUT
from typing_extensions import override

from projection.errors import ProjectionError
from projection.files import completed_or_removed

_DEFAULT_MONITOR = "val/auroc"
_STEPS_TO_AGREE = 8  # asking all ranks costs a round trip, so not after every step


class BestCheckpoint(ModelCheckpoint):
    """Keep the state with the best validation score; without one, keep the newest.

    Any LightningModule may be trained, also one that logs no validation metric at all. Where the monitored metric is
    never logged this says so once and goes on, unless the user chose that metric.

    Args:
        monitor: Name of the logged metric that decides.
        mode: max if larger is better, min if smaller is.
        dirpath: Where to keep it; None is the run folder's `checkpoints`.
    """

    def __init__(
        self,
        monitor: str | None = _DEFAULT_MONITOR,
        mode: str = "max",
        dirpath: str | None = None,
    ) -> None:
        super().__init__(
            dirpath=dirpath,
            filename="best",
            monitor=monitor,
            mode=mode,
            enable_version_counter=False,
        )

    @override
    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if not trainer.sanity_checking and not self._should_save_on_train_epoch_end(trainer):
            self._check_monitor(trainer)
        super().on_validation_end(trainer, pl_module)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if self._should_save_on_train_epoch_end(trainer):
            self._check_monitor(trainer)
        super().on_train_epoch_end(trainer, pl_module)

    def _check_monitor(self, trainer: Trainer) -> None:
        if self.monitor is None or self.monitor in trainer.callback_metrics:
            return
        found = ", ".join(sorted(map(str, trainer.callback_metrics))) or "none"
        hint = "Choose a metric with `--checkpoint.monitor NAME --checkpoint.mode min|max`."
        if self.monitor != _DEFAULT_MONITOR:
            raise ProjectionError(f"The model does not log {self.monitor!r}, only {found}. {hint}")
        rank_zero_warn(
            f"The model does not log {self.monitor!r} (logged: {found}), so best.ckpt is the newest state. {hint}"
        )
        self.monitor = None


class LastCheckpoint(ModelCheckpoint):
    """Keep the newest state for resuming: after every epoch, every few minutes, and when the process is told to end.

    A separate callback, because the one that keeps the best skips epochs that are not. SIGTERM and SIGUSR1, which
    clusters and clouds send before they take a machine away, SIGINT (Ctrl-C) and SIGHUP, which a terminal sends when it
    is closed, save the state after the current step (a validation is finished first) and end the process with status
    128 + signal; outside training, and a second Ctrl-C, end it at once. All ranks end at the same step, whichever of
    them got the signal.

    Args:
        dirpath: Where to keep it; None is the run folder's `checkpoints`.
        every_n_epochs: How often to save (1 or more).
        every_n_minutes: How long a training goes on without saving, within an epoch as well; None waits for its end.
    """

    def __init__(
        self, dirpath: str | None = None, every_n_epochs: int = 1, every_n_minutes: float | None = 10.0
    ) -> None:
        super().__init__(
            dirpath=dirpath,
            filename=self.CHECKPOINT_NAME_LAST,
            monitor=None,
            every_n_epochs=every_n_epochs,
            save_on_train_epoch_end=True,  # after every epoch, also those without validation
            enable_version_counter=False,
        )
        self.every_n_minutes = every_n_minutes
        self._saved = time.monotonic()
        self._training = False
        self._signal = 0

    @override
    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self._listen()

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_start(trainer, pl_module)
        self._listen()
        self._training = True
        self._saved = time.monotonic()

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Any, batch_idx: int
    ) -> None:
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        alone = trainer.world_size == 1
        whole_step = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        # after an epoch's last batch the validation comes first: a state saved here would skip it when resumed
        if not whole_step or trainer.is_last_batch:
            return
        if (self._signal or self._is_due()) if alone else batch_idx % _STEPS_TO_AGREE == 0:
            self._save_if_told(trainer)

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_epoch_end(trainer, pl_module)
        if self._last_global_step_saved == trainer.global_step:
            self._saved = time.monotonic()
        self._save_if_told(trainer)

    @override
    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        super().on_train_end(trainer, pl_module)
        self._training = False

    def _listen(self) -> None:
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP):
            # what is ignored from the beginning, as nohup and a shell's & do, stays so
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._receive)

    def _receive(self, number: int, _: FrameType | None) -> None:
        if not self._training or (number == signal.SIGINT and self._signal):
            sys.exit(128 + number)
        self._signal = number

    def _is_due(self) -> bool:
        return self.every_n_minutes is not None and time.monotonic() - self._saved >= 60 * self.every_n_minutes

    def _save_if_told(self, trainer: Trainer) -> None:
        mine = torch.tensor([self._signal, self._is_due()], device=trainer.strategy.root_device)
        number, due = (int(each) for each in trainer.strategy.reduce(mine, reduce_op="max"))
        if (number or due) and self._last_global_step_saved != trainer.global_step:
            trainer.save_checkpoint(Path(str(self.dirpath)) / f"{self.CHECKPOINT_NAME_LAST}{self.FILE_EXTENSION}")
            self._saved = time.monotonic()
        if not number:
            return
        rank_zero_info(
            f"Told to end: epoch {trainer.current_epoch}, step {trainer.global_step} is saved in {self.dirpath}. "
            "`--ckpt_path last` in the same run folder continues."
        )
        sys.exit(128 + number)


def bring_to_every_node(trainer: Trainer, checkpoint: str) -> None:
    """Copy a checkpoint from the first node to those that do not share its disk; to be called on all ranks."""
    if trainer.world_size == 1 or "://" in checkpoint:
        return
    strategy, place = trainer.strategy, Path(checkpoint)
    own = hashlib.sha256(place.read_bytes()).hexdigest() if place.exists() else ""
    # a node may have an older one, restored before the run was resumed
    differs = own != strategy.broadcast(own)
    if not int(strategy.reduce(torch.tensor(int(differs), device=strategy.root_device), reduce_op="sum")):
        return
    content = strategy.broadcast(place.read_bytes() if trainer.is_global_zero else b"")
    if trainer.local_rank == 0 and differs:
        with completed_or_removed(place) as partial:
            partial.write_bytes(content)
    strategy.barrier()
