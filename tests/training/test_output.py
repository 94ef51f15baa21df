"""What a training shows while it goes on."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from lightning.pytorch import LightningModule
from lightning.pytorch.callbacks import ModelSummary
from lightning.pytorch.profilers import SimpleProfiler
from torch import nn

from projection.training import BoundedProgressBar, NoProfiler
from projection.training import progress as progress_module
from tests.building import build
from tests.conftest import Run
from tests.scripted import scripted


def test_metric_lines_tell_each_epoch_and_the_test(
    run: Run, corpus_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--trainer.callbacks+", "projection.training.MetricLines", "--trainer.max_epochs", "2"]
    scores = ["--model.init_args.scores", "[0.12345678, 0.9]", "--trainer.logger", "false"]
    run("fit", *scripted(corpus_file, *options, *scores))
    lines = [line for line in capsys.readouterr().out.splitlines() if "step=" in line]
    assert lines == [
        "epoch=0 step=4 train/batches=4 val/auroc=0.123457",
        "epoch=1 step=8 train/batches=8 val/auroc=0.9",
        "step=8 test/batches=8 test/epochs=2 test/weight=0.832228",
    ]


def test_without_a_terminal_each_epoch_is_a_line_and_little_else(
    run: Run, corpus_file: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    run("fit", *scripted(corpus_file, "--trainer.enable_progress_bar", "true", "--trainer.max_epochs", "2"))
    lines = [line for line in capsys.readouterr().out.splitlines() if re.match(r"(epoch=\d )?step=\d", line)]
    assert [line.split()[0] for line in lines] == ["epoch=0", "epoch=1", "step=8"]
    logged = [record.getMessage() for record in caplog.records if record.name.startswith("lightning")]
    assert any(line.startswith("Loaded model weights from the checkpoint at") for line in logged)
    assert not [line for line in logged if re.match(r"TPU|Restoring|Loading `train_dataloader`|.*litlogger", line)]


def test_a_table_shows_what_has_parameters(tiny: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--trainer.enable_model_summary", "true", "--model_summary.max_depth", "2"]
    trainer = build("fit", *tiny, *options).trainer
    (table,) = (call for call in trainer.callbacks if isinstance(call, ModelSummary))
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1).requires_grad_(False))
    module = LightningModule()
    module.net = model
    table.on_fit_start(trainer, module)
    shown = capsys.readouterr().out
    assert re.findall(r"(net\S*) +│ (\w+) +│ (\d+)", shown) == [
        ("net", "Sequential", "13"),
        ("net.0", "Linear", "9"),
        ("net.2", "Linear", "4"),
    ]
    assert "9 parameters are trained, 4 are not." in shown
    off = build("fit", *tiny).trainer
    assert not any(isinstance(call, ModelSummary) for call in off.callbacks), "tiny switches it off"


class Clock:
    """Time that passes when it is told."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


def test_the_progress_bar_is_updated_a_few_times_a_second_and_at_the_end_of_an_epoch(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, shown = Clock(), []
    monkeypatch.setattr(progress_module, "time", clock)
    monkeypatch.setattr(
        "lightning.pytorch.callbacks.RichProgressBar.on_train_batch_end",
        lambda self, trainer, module, outputs, batch, batch_idx: shown.append(batch_idx),
    )
    bar, trainer, module = BoundedProgressBar(refresh_rate=4), SimpleNamespace(is_last_batch=False), LightningModule()

    def end(batch_idx: int, after: float, last: bool = False) -> None:
        clock.now += after
        trainer.is_last_batch = last
        anything: Any = trainer
        bar.on_train_batch_end(anything, module, None, None, batch_idx)

    end(0, 0)
    for batch_idx in range(1, 9):  # one second
        end(batch_idx, 0.125)
    end(9, 0.125)
    end(10, 0.0625, last=True)
    assert shown == [0, 2, 4, 6, 8, 10]


@pytest.mark.thorough
def test_the_bar_shows_an_epoch_whole(run: Run, corpus_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("fit", *scripted(corpus_file, "--trainer.enable_progress_bar", "true", "--trainer.max_epochs", "1"))
    assert re.search(r"Epoch 0/0 .*4/4", capsys.readouterr().out)


@pytest.mark.thorough
def test_nothing_is_measured_unless_the_user_asks(corpus_file: Path) -> None:
    quiet = build("fit", *scripted(corpus_file)).trainer.profiler  # type: ignore[attr-defined]
    assert type(quiet) is NoProfiler
    with quiet.profile("anything") as measured:
        assert measured is None
    assert quiet.summary() == ""
    asked = build("fit", *scripted(corpus_file, "--trainer.profiler", "simple")).trainer
    assert isinstance(asked.profiler, SimpleProfiler)  # type: ignore[attr-defined]
