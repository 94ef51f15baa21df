"""A training whose loss is no longer a number ends, and says where."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor
from typing_extensions import override

from projection.errors import ProjectionError
from projection.training.batch_ids import are_ids, ids_of

_STEPS = 50  # between two looks: each waits for the device
_NAMED = 8


class FiniteLoss(Callback):
    """End a training whose loss is infinite or no number, and keep the last state that was saved before.

    It looks every 50 steps, after each epoch, and before any state is saved. Where a gradient scaler (precision
    16-mixed) passes over steps that overflow, all of them have to be so.
    """

    def __init__(self) -> None:
        self._recent: list[tuple[int, Tensor, Any]] = []

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Any, batch_idx: int
    ) -> None:
        loss = outputs.get("loss") if isinstance(outputs, Mapping) else outputs
        if isinstance(loss, Tensor):
            # a copy, since a CUDA graph writes the next loss to the same place
            ids = ids_of(trainer, batch) if isinstance(batch, Sequence) else None
            self._recent.append((trainer.global_step, loss.detach().clone(), ids))
        if len(self._recent) >= _STEPS or trainer.is_last_batch:
            self._look(trainer)

    @override
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        self._look(trainer)

    def _look(self, trainer: Trainer) -> None:
        recent, self._recent = self._recent, []
        device = trainer.strategy.root_device
        losses = torch.stack([loss.to(device).float().mean() for _, loss, _ in recent]) if recent else torch.zeros(0)
        wrong = ~losses.isfinite()
        precision = trainer.precision_plugin
        scaled = isinstance(precision, MixedPrecision) and precision.scaler is not None
        mine = bool(wrong.all() and len(wrong)) if scaled else bool(wrong.any())
        if not int(trainer.strategy.reduce(torch.tensor(int(mine), device=device), reduce_op="max")):
            return
        where = ""
        if mine:
            first = int(wrong.nonzero()[0])
            step, _, ids = recent[first]
            where = f" is {losses[first]:g} at step {step}{_named(ids)}"
        raise ProjectionError(
            f"The loss{where or ' of another process is no number'}, in epoch {trainer.current_epoch}. The training "
            f"ends; {trainer.default_root_dir} keeps the states before.\nTo go on: `--ckpt_path last` with "
            "trainer.gradient_clip_val, or a new run that learns slower from its weights: model.init_args.init_from."
        )


def _named(ids: Any) -> str:
    if not isinstance(ids, Tensor) or not are_ids(ids, ids.numel()):
        return ""
    names = [str(int(each)) for each in ids.flatten()]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f" (records {', '.join(names[:_NAMED])}{more})"
