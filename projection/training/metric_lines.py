"""Metrics as lines of text."""

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.utilities import rank_zero_only
from typing_extensions import override


class MetricLines(Callback):
    """Print what was logged, a line an epoch and one for the test; a run without a terminal has it by itself.

    A line is `epoch=3 step=64 train/loss=0.2345 val/auroc=0.9123`, with six significant digits, in the order of names.
    """

    @override
    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _print(trainer, f"epoch={trainer.current_epoch}")

    @override
    def on_test_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        _print(trainer)


@rank_zero_only
def _print(trainer: Trainer, *words: str) -> None:
    values = {name: float(value) for name, value in sorted(trainer.callback_metrics.items())}
    print(*words, f"step={trainer.global_step}", *(f"{name}={value:.6g}" for name, value in values.items()), flush=True)
