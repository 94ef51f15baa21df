"""Not profiling, at no cost."""

from contextlib import AbstractContextManager, nullcontext

from lightning.pytorch.profilers import PassThroughProfiler
from typing_extensions import override


class NoProfiler(PassThroughProfiler):
    """Measure nothing, faster than Lightning's own way of doing so, which takes 0.1 ms of every step.

    `--trainer.profiler simple` and the other profilers replace it.
    """

    _nothing = nullcontext()

    @override
    def profile(self, action_name: str) -> AbstractContextManager[None]:  # type: ignore[override]
        return self._nothing
