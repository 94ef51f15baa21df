"""The best and the newest state of a run, as `checkpoints/best.ckpt` and `checkpoints/last.ckpt`."""

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.utilities import rank_zero_warn

from projection.errors import ProjectionError

_DEFAULT_MONITOR = "val/auroc"


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

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after validation, if it was the best.

        Args:
            trainer: The trainer.
            pl_module: The model.
        """
        if not trainer.sanity_checking and not self._should_save_on_train_epoch_end(trainer):
            self._check_monitor(trainer)
        super().on_validation_end(trainer, pl_module)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save after an epoch where there is no validation.

        Args:
            trainer: The trainer.
            pl_module: The model.
        """
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
    """Keep the newest state for resuming.

    A separate callback, because the one that keeps the best skips epochs that are not.

    Args:
        dirpath: Where to keep it; None is the run folder's `checkpoints`.
        every_n_epochs: How often to save (1 or more).
    """

    def __init__(self, dirpath: str | None = None, every_n_epochs: int = 1) -> None:
        super().__init__(
            dirpath=dirpath,
            filename=self.CHECKPOINT_NAME_LAST,
            monitor=None,
            every_n_epochs=every_n_epochs,
            save_on_train_epoch_end=True,  # after every epoch, also those without validation
            enable_version_counter=False,
        )
