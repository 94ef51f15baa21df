"""What a training step draws depends on the step, and on nothing before it."""

import os
import random
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from typing_extensions import override

from projection.transforms import seed_of


class StepSeed(Callback):
    """Seed the generators of PyTorch, NumPy and Python before every training step, by run seed, step and process.

    Dropout draws from PyTorch's generators, which no checkpoint holds; seeded so, a run that was interrupted draws what
    one that was not draws. Without `seed_everything` nothing is seeded.
    """

    @override
    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        run_seed = os.environ.get("PL_GLOBAL_SEED")
        if run_seed is None:
            return
        # the last number makes it another sequence than those of crops and augmentation
        seed = seed_of(int(run_seed), trainer.fit_loop.total_batch_idx, trainer.global_rank, 2)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed takes 0.2 ms where there is no GPU
        if (device := trainer.strategy.root_device).type != "cpu":
            torch.get_device_module(device).manual_seed(seed)
        np.random.seed(seed % 2**32)
        random.seed(seed)
