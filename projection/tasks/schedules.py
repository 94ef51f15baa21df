"""Learning-rate schedules per step. Their peak is the learning rate of the optimizer."""

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR, OneCycleLR


class OneCycle(OneCycleLR):
    """Rise to the optimizer's learning rate, then fall to almost nothing (Smith, arXiv 1803.09820).

    Args:
        optimizer: The optimizer; its learning rate is the peak.
        total_steps: Steps of the whole training.
        warmup: Part of the steps that rise (0 to 1).
        start_divisor: The first learning rate is the peak divided by this.
        final_divisor: The last learning rate is the first divided by this.
        cycle_momentum: Let momentum (Adam's first beta) fall from 0.95 to 0.85 and rise again, against the learning
            rate, whatever the optimizer was given.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        total_steps: int,
        warmup: float = 0.3,
        start_divisor: float = 25.0,
        final_divisor: float = 1e4,
        cycle_momentum: bool = True,
    ) -> None:
        peaks = [group["lr"] for group in optimizer.param_groups]
        super().__init__(
            optimizer,
            peaks,
            total_steps,
            pct_start=warmup,
            div_factor=start_divisor,
            final_div_factor=final_divisor,
            cycle_momentum=cycle_momentum,
        )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the position; the shape stays this run's, so that a resumed run may be longer."""
        super().load_state_dict({name: state_dict[name] for name in ("last_epoch", "_step_count", "_last_lr")})


class WarmupCosine(LambdaLR):
    """Rise linearly to the optimizer's learning rate, then fall along half a cosine.

    Args:
        optimizer: The optimizer; its learning rate is the peak.
        total_steps: Steps of the whole training.
        warmup: Part of the steps that rise (0 to 1).
        floor: The last learning rate as a part of the peak (0 to 1).
    """

    def __init__(self, optimizer: Optimizer, total_steps: int, warmup: float = 0.05, floor: float = 0.0) -> None:
        rising = max(1, round(warmup * total_steps))

        def factor(step: int) -> float:
            if step < rising:
                return (step + 1) / rising
            progress = min(1.0, (step - rising) / max(1, total_steps - rising))
            return floor + (1 - floor) * (1 + math.cos(math.pi * progress)) / 2

        super().__init__(optimizer, factor)
