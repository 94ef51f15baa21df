"""What a training that is told to end leaves behind, and how it goes on."""

import json
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from projection.__main__ import main
from tests.conftest import ROOT
from tests.processes import command, on_ranks
from tests.run_files import results, weights
from tests.scripted import Place, callback, scripted

pytestmark = pytest.mark.thorough  # whole trainings, interrupted and continued

HEARD = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
DDP = ["--config", str(ROOT / "configs" / "presets" / "ddp.yaml")]


@pytest.fixture(autouse=True)
def _as_in_a_fresh_process() -> Iterator[None]:
    # a training leaves its handlers behind, which end the process
    before = {number: signal.getsignal(number) for number in HEARD}
    for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # what nobody listens to shall end no tests
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def fit(tiny: list[str]) -> list[str]:
    """Three epochs of four batches that go on where their folder ends."""
    short = ["--trainer.max_epochs", "3", "--trainer.limit_train_batches", "4", "--data.batch_size", "8"]
    return ["fit", *tiny, *short, "--data.labels", "superdiagnostic", "--ckpt_path", "last"]


def into(folder: Path) -> list[str]:
    return ["--trainer.default_root_dir", str(folder)]


def last(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return found


def told_to_end(words: list[str], number: signal.Signals, at: Place = "batch", batches: int = 1) -> None:
    """Run a command that gets a signal, and expect the status of a process that ended by it."""
    with pytest.raises(SystemExit) as stopped:
        main([*words, *callback("Signal", number=number, at=at, batches=batches)])
    assert stopped.value.code == 128 + number


def test_a_run_that_was_told_to_end_goes_on_as_if_nothing_had_happened(
    fit: list[str], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run, undisturbed = tmp_path / "run", tmp_path / "undisturbed"
    for number, step in zip(HEARD, (5, 6, 9, 10), strict=True):
        told_to_end([*fit, *into(run)], number, batches=step)
        assert f"Told to end: epoch {step // 4}, step {step} is saved" in caplog.text
        assert last(run)["global_step"] == step
    main([*fit, *into(run)])
    main([*fit, *into(undisturbed)])
    for name, value in weights(undisturbed / "checkpoints" / "last.ckpt").items():
        assert torch.equal(value, last(run)["state_dict"][name]), name
    assert results(run) == results(undisturbed)


def test_steps_epochs_learning_rate_and_order_of_records_go_on_with_the_shipped_configuration(
    fit: list[str], tmp_path: Path
) -> None:
    run, undisturbed = tmp_path / "run", tmp_path / "undisturbed"
    noted = {folder: [*fit, *into(folder), *callback("Diary", path=f"{folder}.txt")] for folder in (run, undisturbed)}
    told_to_end(noted[run], signal.SIGTERM, batches=6)
    main(noted[run])
    main(noted[undisturbed])
    pages = [Path(f"{folder}.txt").read_text() for folder in (run, undisturbed)]
    assert pages[0] == pages[1]
    entries = [json.loads(line) for line in pages[0].splitlines()]
    assert [entry[:3] for entry in entries] == [[step // 4, step % 4, step + 1] for step in range(12)]
    rates, sums = {entry[3] for entry in entries}, {entry[4] for entry in entries}
    assert len(rates) == len(sums) == 12


def test_a_second_ctrl_c_ends_at_once(tmp_path: Path, corpus_file: Path) -> None:
    fit = ["fit", *scripted(corpus_file, "--trainer.accumulate_grad_batches", "4", *into(tmp_path / "run"))]
    first = callback("Signal", number=signal.SIGINT, batches=1)
    told_to_end([*fit, *first], signal.SIGINT, batches=2)
    assert not (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()


def test_what_is_ignored_from_the_beginning_is_no_reason_to_end(tmp_path: Path, corpus_file: Path) -> None:
    """As under nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    main(["fit", *scripted(corpus_file, *into(tmp_path / "run")), *callback("Signal", number=signal.SIGHUP, batches=2)])
    assert last(tmp_path / "run")["global_step"] == 12


def test_a_state_is_saved_every_few_minutes_within_an_epoch(tmp_path: Path, corpus_file: Path) -> None:
    fit = ["fit", *scripted(corpus_file, *into(tmp_path / "run"), *callback("Die", batches=7))]
    with pytest.raises(RuntimeError, match="killed"):
        main([*fit, "--last_checkpoint.every_n_minutes", "0"])
    assert last(tmp_path / "run")["global_step"] == 6, "the newest whole step"
    shutil.rmtree(tmp_path / "run")
    with pytest.raises(RuntimeError, match="killed"):
        main([*fit, "--last_checkpoint.every_n_minutes", "null"])
    assert last(tmp_path / "run")["global_step"] == 4, "the end of the first epoch"


def test_a_state_is_saved_between_optimizer_steps_alone(tmp_path: Path, corpus_file: Path) -> None:
    fit = ["fit", *scripted(corpus_file, "--trainer.accumulate_grad_batches", "2", *into(tmp_path / "run"))]
    told_to_end(fit, signal.SIGTERM, batches=5)
    assert last(tmp_path / "run")["global_step"] == 3
    assert last(tmp_path / "run")["state_dict"]["batches"] == 6
    main([*fit, "--ckpt_path", "last"])
    assert last(tmp_path / "run")["global_step"] == 6
    assert last(tmp_path / "run")["state_dict"]["batches"] == 12


@pytest.mark.parametrize(("at", "batches"), [("batch", 4), ("validation", 0)])
def test_an_epoch_at_its_end_is_validated_before_it_is_saved(
    tmp_path: Path, corpus_file: Path, at: Place, batches: int
) -> None:
    # saved every second epoch, so that the signal alone saves the first
    fit = ["fit", *scripted(corpus_file, "--last_checkpoint.every_n_epochs", "2", *into(tmp_path / "run"))]
    told_to_end(fit, signal.SIGUSR1, at=at, batches=batches)
    assert last(tmp_path / "run")["state_dict"]["epochs"] == 1
    assert pd.read_csv(tmp_path / "run" / "metrics" / "metrics.csv")["val/auroc"].count() == 1
    main([*fit, "--ckpt_path", "last"])
    assert pd.read_csv(tmp_path / "run" / "metrics-2" / "metrics.csv")["val/auroc"].count() == 2
    assert results(tmp_path / "run")["test/epochs"] == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_before_training_a_signal_ends_the_process_at_once(
    tmp_path: Path, corpus_file: Path, number: signal.Signals
) -> None:
    told_to_end(["fit", *scripted(corpus_file, *into(tmp_path / "run"))], number, at="start")
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_in_the_test_a_signal_ends_the_process_at_once_and_the_next_call_tests_again(
    tmp_path: Path, corpus_file: Path, number: signal.Signals
) -> None:
    fit = ["fit", *scripted(corpus_file, *into(tmp_path / "run"))]
    told_to_end(fit, number, at="test")
    assert not (tmp_path / "run" / "results.json").exists()
    before = (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes()
    main([*fit, "--ckpt_path", "last"])
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").read_bytes() == before
    assert results(tmp_path / "run")["test/batches"] == 4


def test_without_checkpoints_the_signal_ends_it_all_the_same(
    tmp_path: Path, corpus_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fit = ["fit", *scripted(corpus_file, "--trainer.enable_checkpointing", "false", *into(tmp_path / "run"))]
    told_to_end(fit, signal.SIGTERM)
    assert "Ended by SIGTERM" in capsys.readouterr().err


@pytest.mark.parametrize("at", ["start", "batch", "test"])
def test_control_c_ends_with_the_status_of_an_interruption(tmp_path: Path, corpus_file: Path, at: Place) -> None:
    told_to_end(["fit", *scripted(corpus_file, *into(tmp_path / "run"))], signal.SIGINT, at=at)


@pytest.mark.slow
@pytest.mark.parametrize("told", [(1,), (0, 1)])
def test_all_ranks_end_at_the_same_step_whichever_are_told(
    tmp_path: Path, corpus_file: Path, told: tuple[int, ...]
) -> None:
    fit = ["fit", *scripted(corpus_file, *DDP, "--trainer.limit_train_batches", "12", *into(tmp_path / "run"))]
    for rank in told:
        fit += callback("Signal", number=signal.SIGUSR1, batches=2, rank=rank)
    for ended in on_ranks(tmp_path, 2, command, *fit):
        assert ended.status == 128 + signal.SIGUSR1, ended.said
        assert "Traceback" not in ended.said
    assert 2 < last(tmp_path / "run")["global_step"] < 12
    assert last(tmp_path / "run")["global_step"] == last(tmp_path / "run")["state_dict"]["batches"]
