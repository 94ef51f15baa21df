"""Compiling changes neither names nor results."""

import shutil

import pytest
import torch

from projection.corpus.statements import LEADS
from projection.nets import CNN1d
from projection.tasks import ClassificationTask

pytestmark = pytest.mark.slow  # the compiler alone takes ten seconds to import


class Telling(CNN1d):
    """Tells whether it runs compiled."""

    compiled = False

    def __init__(self, leads: int, classes: int) -> None:
        super().__init__(leads, classes, widths=(4, 8))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.compiled = torch.compiler.is_compiling()
        return super().forward(x)


class Reusing(torch.nn.Module):
    """Writes all results to the same place, as a CUDA graph does."""

    def __init__(self, leads: int, classes: int) -> None:
        super().__init__()
        self.register_buffer("place", torch.zeros(4, classes))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.place.copy_(x.mean(dim=(1, 2)).view(-1, 1))


def task_with(net: type[torch.nn.Module], **options: bool | None) -> ClassificationTask:
    task = ClassificationTask(("A", "B", "C"), LEADS, net=net, **options)
    task.sampling_rate = 100
    return task.eval()


def test_compiling_keeps_the_names_of_the_weights() -> None:
    assert task_with(Telling, compile=True).state_dict().keys() == task_with(Telling).state_dict().keys()


def test_results_stay_when_a_compiled_network_computes_the_next_ones() -> None:
    task = task_with(Reusing, compile=True, window=None)
    with torch.compiler.set_stance("force_eager"):  # only what the task does with results is of interest here
        first = task(torch.ones(4, 12, 1000))
        task(torch.zeros(4, 12, 1000))
    assert torch.equal(first, torch.ones(4, 3))


def test_a_compiled_task_has_the_logits_and_gradients_of_one_that_is_not() -> None:
    if shutil.which("g++") is None:
        pytest.skip("no g++: PyTorch compiles for the CPU with it")
    plain, compiled = task_with(Telling), task_with(Telling, compile=True)
    compiled.load_state_dict(plain.state_dict())
    x = torch.randn(4, 12, 1000)
    expected, found = plain(x), compiled(x)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    assert compiled.net.compiled
    assert not plain.net.compiled
    for logits in (expected, found):
        logits.square().mean().backward()
    for (name, own), other in zip(plain.named_parameters(), compiled.parameters(), strict=True):
        torch.testing.assert_close(other.grad, own.grad, rtol=1e-3, atol=1e-5, msg=name)
