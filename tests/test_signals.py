"""What a job that is told to end leaves behind, and how it goes on."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from projection.__main__ import main
from tests.conftest import ROOT

DDP = ["--config", str(ROOT / "configs" / "presets" / "ddp.yaml"), "--trainer.accelerator", "cpu"]


@pytest.fixture
def fit(tiny: list[str], tmp_path: Path) -> list[str]:
    """A training of 24 short epochs that continues where its folder ends."""
    without_dropout = ["--model.init_args.net.init_args.dropout", "0", "--trainer.logger", "false"]
    endless = ["--trainer.max_epochs", "24", "--data.batch_size", "8", "--ckpt_path", "last"]
    return ["fit", *tiny, *endless, *without_dropout, "--trainer.default_root_dir", str(tmp_path / "run")]


def start(command: list[str]) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [sys.executable, "-m", "projection", *command], env=environment, stderr=subprocess.PIPE, text=True
    )


def interrupt(command: list[str], number: signal.Signals, after: float = 0.0) -> tuple[int, str]:
    """Start a training, send a signal to its first process after its first epoch; give status and what it said."""
    last = Path(command[-1]) / "checkpoints" / "last.ckpt"
    before = last.stat().st_mtime if last.exists() else 0.0
    process = start(command)
    while process.poll() is None and (not last.exists() or last.stat().st_mtime == before):
        time.sleep(0.02)
    time.sleep(after)
    process.send_signal(number)
    _, said = process.communicate(timeout=60)
    return process.returncode, said


def state(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return {"step": torch.tensor(checkpoint["global_step"]), **checkpoint["state_dict"]}


def test_a_run_that_was_told_to_end_goes_on_as_if_nothing_had_happened(fit: list[str], tmp_path: Path) -> None:
    for number, after in ((signal.SIGTERM, 0.05), (signal.SIGUSR1, 0.13)):
        status, said = interrupt(fit, number, after)
        assert status == 128 + number, said
        assert "is saved in" in said
        assert "Traceback" not in said
    assert 0 < state(tmp_path / "run")["step"] < 16 * 24
    main(fit)
    undisturbed = [*fit[:-1], str(tmp_path / "undisturbed")]
    main(undisturbed)
    expected, found = state(tmp_path / "undisturbed"), state(tmp_path / "run")
    for name, value in expected.items():
        assert torch.equal(value, found[name]), name
    results = [(tmp_path / name / "results.json").read_text() for name in ("run", "undisturbed")]
    assert results[0] == results[1]


def test_all_ranks_end_when_one_is_told(fit: list[str], tmp_path: Path) -> None:
    command = [*fit[:1], *DDP, *fit[1:]]
    status, said = interrupt(command, signal.SIGUSR1)
    assert status == 128 + signal.SIGUSR1, said
    assert "Traceback" not in said
    saved = state(tmp_path / "run")["step"]
    assert 0 < saved < 8 * 24


def test_outside_training_a_signal_ends_the_process_at_once(fit: list[str], tmp_path: Path) -> None:
    main([*fit, "--trainer.max_epochs", "1"])
    stamp = (tmp_path / "run" / "checkpoints" / "last.ckpt").stat().st_mtime_ns
    waiting = "{class_path: tests.own_module.Wait}"
    process = start([*fit, "--trainer.max_epochs", "1", "--trainer.callbacks+", waiting])
    while not (tmp_path / "waiting").exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGUSR1)
    assert process.wait(timeout=30) == 128 + signal.SIGUSR1
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").stat().st_mtime_ns == stamp
    main([*fit, "--trainer.max_epochs", "1"])
    assert (tmp_path / "run" / "results.json").exists()
