"""Lightning's progress bar, kept from slowing short steps down."""

import time
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import RichProgressBar
from typing_extensions import override


class BoundedProgressBar(RichProgressBar):
    """Show progress a few times a second, where Lightning's bar collects what it shows in every step.

    Args:
        refresh_rate: Updates per second (1 or more).
        leave: Keep the bar of every epoch.
    """

    def __init__(self, refresh_rate: int = 10, leave: bool = False) -> None:
        super().__init__(refresh_rate=refresh_rate, leave=leave)
        self._updated = 0.0

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        now = time.monotonic()
        if now - self._updated >= 1 / self.refresh_rate or trainer.is_last_batch:
            self._updated = now
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
