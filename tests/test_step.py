"""What the training step promises: exact resumption within an epoch, compilation in place, transforms by YAML."""

import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch

from projection.data.residency import Residency
from projection.models import CNN1d
from projection.tasks import ClassificationTask
from tests.conftest import ROOT, Run

QUIET = ["--trainer.logger", "false", "--trainer.enable_progress_bar", "false"]
# OneCycle asks for the number of steps, which makes Lightning forget where its loaders were
AUGMENTED = ["--config", str(ROOT / "configs" / "presets" / "augment.yaml"), "--data.batch_size", "16"]


def every_third_step(folder: Path) -> list[str]:
    """Arguments that keep a checkpoint of every third step."""
    saving = f"{{every_n_train_steps: 3, save_top_k: -1, dirpath: {folder}, filename: '{{step}}'}}"
    return ["--trainer.callbacks+", f"{{class_path: lightning.pytorch.callbacks.ModelCheckpoint, init_args: {saving}}}"]


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    return torch.load(checkpoint, weights_only=True)["state_dict"]


@pytest.mark.parametrize("residency", ["memory", "device", "disk"])
def test_a_run_that_stopped_within_an_epoch_ends_like_one_that_did_not(
    run: Run, tiny: list[str], tmp_path: Path, residency: Residency
) -> None:
    steps = tmp_path / "steps"
    # without dropout, which draws from PyTorch's global generator
    options = [*AUGMENTED, *QUIET, "--data.residency", residency, "--model.init_args.net.init_args.dropout", "0"]
    place = ["--trainer.default_root_dir", str(tmp_path / "whole")]
    whole = run("fit", *tiny, *options, *every_third_step(steps), *place)
    last = torch.load(whole / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    in_first_epoch, in_second = 3, last // 2 // 3 * 3 + 3
    assert 3 < last // 2 < in_second < last
    stopped = [steps / f"step={step}.ckpt" for step in (in_first_epoch, in_second)]
    for number, checkpoint in enumerate(stopped):
        place = ["--trainer.default_root_dir", str(tmp_path / f"resumed{number}")]
        resumed = run("fit", *tiny, *options, "--ckpt_path", str(checkpoint), *place)
        expected, found = weights(whole / "checkpoints" / "last.ckpt"), weights(resumed / "checkpoints" / "last.ckpt")
        for name, weight in expected.items():
            assert torch.equal(weight, found[name]), name


@pytest.mark.parametrize("accumulated", [1, 2])
def test_the_loss_is_written_at_every_logging_step_and_so_it_goes_on_after_resuming(
    run: Run, tiny: list[str], tmp_path: Path, accumulated: int
) -> None:
    steps = tmp_path / "steps"
    options = ["--data.batch_size", "8", "--trainer.log_every_n_steps", "4", "--trainer.enable_progress_bar", "false"]
    options += ["--trainer.accumulate_grad_batches", str(accumulated)]
    whole = run("fit", *tiny, *options, *every_third_step(steps))
    place = ["--trainer.default_root_dir", str(tmp_path / "resumed")]
    resumed = run("fit", *tiny, *options, "--ckpt_path", str(steps / "step=3.ckpt"), *place)
    written = logged_steps(whole)
    assert len(written) >= 3
    assert written == list(range(3, written[-1] + 1, 4))
    assert logged_steps(resumed) == written


def logged_steps(folder: Path) -> list[int]:
    table = pd.read_csv(folder / "metrics" / "metrics.csv")
    return table["step"][table["train/loss"].notna()].tolist()


def test_compiling_keeps_the_names_of_the_weights_and_the_results(
    run: Run, tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no g++: PyTorch compiles for the CPU with it")
    options = [*QUIET, "--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--model.compile", "true"]
    compiled = run("fit", *tiny, *options)
    names = ClassificationTask.load_from_checkpoint(compiled / "checkpoints" / "last.ckpt", weights_only=True)
    plain = CNN1d(12, 71, [4, 8]).eval()
    plain.load_state_dict(names.net.state_dict())
    same = CNN1d(12, 71, [4, 8]).eval()
    same.load_state_dict(plain.state_dict())
    same.compile()
    x = torch.randn(4, 12, 250)
    with torch.inference_mode():
        torch.testing.assert_close(same(x), plain(x), rtol=1e-4, atol=1e-5)


def test_fixed_transforms_apply_to_evaluation_and_change_the_sampling_rate(run: Run, tiny: list[str]) -> None:
    slower = "{class_path: projection.transforms.Resample, init_args: {hertz: 50}}"
    normalised = "{class_path: projection.transforms.Normalise, init_args: {over: lead}}"
    folder = run("fit", *tiny, *QUIET, "--data.transforms", f"[{slower}, {normalised}]")
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["sampling_rate"] == 50
    assert checkpoint["state_dict"]["mean"].item() == pytest.approx(0, abs=1e-4)
    assert checkpoint["state_dict"]["std"].item() == pytest.approx(1, abs=1e-2)
