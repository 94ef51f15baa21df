"""A training that waits for its interruption, so that no test has to be quick."""

import os
import select
import signal
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

PAUSED = "paused"  # the file in the run folder that tells that a training waits
_LONGEST = 150  # seconds


class Pause(Callback):
    """Wait before one step until a signal comes, or the process is killed; a run that has paused does not again.

    Args:
        step: The step, counted from 0.
    """

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Wait, if it is the step."""
        marker = Path(trainer.default_root_dir) / PAUSED
        if trainer.global_step != self.step or marker.exists():
            return
        # ready to be woken on all ranks before anybody is told
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        before = signal.set_wakeup_fd(wake)
        trainer.strategy.barrier()
        if trainer.local_rank == 0:
            marker.touch()
        ready, _, _ = select.select([woken], [], [], _LONGEST)
        signal.set_wakeup_fd(before)
        if not ready:
            raise TimeoutError("nobody interrupted this training")
