"""What the training step promises: exact resumption within an epoch, its logging, transforms by YAML."""

import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer

from projection.__main__ import main
from tests.conftest import ROOT, Run
from tests.run_files import weights

QUIET = ["--trainer.logger", "false", "--trainer.enable_progress_bar", "false"]
# OneCycle asks for the number of steps, which makes Lightning forget where its loaders were
AUGMENTED = ["--config", str(ROOT / "configs" / "presets" / "augment.yaml"), "--data.batch_size", "16"]
FIRST_EPOCH, SECOND_EPOCH = 3, 9  # steps after which runs stop, within either epoch


class Diary(Callback):
    """Writes down what each step began with, and what it showed to the network."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.steps: list[dict[str, Any]] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        pl_module.net.register_forward_pre_hook(self._note_input)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        optimizer = trainer.optimizers[0]
        state = {f"{k} {name}": x for k, kept in optimizer.state_dict()["state"].items() for name, x in kept.items()}
        now = {**pl_module.state_dict(), **state, "labels": batch[1]}
        groups = [
            {name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups
        ]
        counts = [trainer.global_step, trainer.current_epoch, batch_idx]
        tensors = {name: value.detach().clone() for name, value in now.items()}
        self.steps.append({"counts": counts, "groups": groups, "begins with": tensors})

    def _note_input(self, net: torch.nn.Module, inputs: tuple[torch.Tensor]) -> None:
        if net.training:
            self.steps[-1]["input"] = inputs[0].clone()

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        torch.save(self.steps, self.path)


def callback(class_path: str, arguments: str) -> list[str]:
    return ["--trainer.callbacks+", f"{{class_path: {class_path}, init_args: {arguments}}}"]


def every_third_step(folder: Path) -> list[str]:
    """Arguments that keep a checkpoint of every third step."""
    saving = f"{{every_n_train_steps: 3, save_top_k: -1, dirpath: {folder}, filename: '{{step}}'}}"
    return callback("lightning.pytorch.callbacks.ModelCheckpoint", saving)


def diary(path: Path) -> list[str]:
    return callback("tests.test_step.Diary", f"{{path: {path}}}")


def same(one: dict[str, torch.Tensor], other: dict[str, torch.Tensor]) -> None:
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


@pytest.mark.thorough
def test_a_run_that_stopped_within_an_epoch_goes_on_with_the_step_that_came_next(
    run: Run, tiny: list[str], tmp_path: Path
) -> None:
    # with dropout, as shipped: it draws from PyTorch's global generator, whose state no checkpoint holds, so that other
    # units are dropped after resuming and weights part from the first step on. All else is the same.
    options = [*tiny, *AUGMENTED, *QUIET, "--trainer.default_root_dir"]
    run("fit", *options, str(tmp_path / "whole"), *every_third_step(tmp_path), *diary(tmp_path / "whole.pt"))
    whole = torch.load(tmp_path / "whole.pt", weights_only=True)
    assert FIRST_EPOCH < len(whole) // 2 < SECOND_EPOCH < len(whole)
    for stop in (FIRST_EPOCH, SECOND_EPOCH):
        goes_on = ["--ckpt_path", str(tmp_path / f"step={stop}.ckpt"), *diary(tmp_path / f"{stop}.pt")]
        run("fit", *options, str(tmp_path / f"from-{stop}"), *goes_on)
        resumed, expected = torch.load(tmp_path / f"{stop}.pt", weights_only=True), whole[stop:]
        same(resumed[0]["begins with"], expected[0]["begins with"])
        assert len(resumed) == len(expected)
        for found, step in zip(resumed, expected, strict=True):
            assert found["counts"] == step["counts"]
            assert found["groups"] == step["groups"], "learning rates and momentum"
            assert torch.equal(found["input"], step["input"]), "records, windows and augmentation"
            assert torch.equal(found["begins with"]["labels"], step["begins with"]["labels"])


@pytest.fixture(scope="module")
def without_dropout(tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[list[str], Path]:
    """Arguments of a run that ends in the same weights however often it is stopped, and its folder with every third
    step's checkpoint.
    """
    # dropout draws from PyTorch's global generator, whose state no checkpoint holds: with it the weights are others
    options = [*tiny, *AUGMENTED, *QUIET, "--model.init_args.net.init_args.dropout", "0"]
    folder = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["projection"])
        main(["fit", *options, *every_third_step(folder), "--trainer.default_root_dir", str(folder)])
    return options, folder


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("residency", "step"),
    [("memory", FIRST_EPOCH), ("device", FIRST_EPOCH), ("device", SECOND_EPOCH), ("disk", SECOND_EPOCH)],
)
def test_a_run_that_stopped_within_an_epoch_ends_like_one_that_did_not(
    run: Run, without_dropout: tuple[list[str], Path], residency: str, step: int
) -> None:
    options, whole = without_dropout
    goes_on = ["--data.residency", residency, "--ckpt_path", str(whole / f"step={step}.ckpt")]
    resumed = run("fit", *options, *goes_on, "--trainer.default_root_dir", "resumed")
    same(*(weights(folder / "checkpoints" / "last.ckpt") for folder in (whole, resumed)))


@pytest.mark.thorough
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


def test_mean_and_deviation_are_of_preprocessed_signals(run: Run, tiny: list[str]) -> None:
    slower = "{class_path: projection.transforms.Resample, init_args: {hertz: 50}}"
    normalised = "{class_path: projection.transforms.Normalise, init_args: {over: lead}}"
    folder = run("fit", *tiny, *QUIET, "--model.init_args.preprocess", f"[{slower}, {normalised}]")
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    assert checkpoint["contract"]["sampling_rate"] == 100
    assert checkpoint["contract"]["preprocess"] == ["Resample(hertz=50)", "Normalise(over='lead', mean=None, std=None)"]
    assert checkpoint["state_dict"]["mean"].item() == pytest.approx(0, abs=1e-4)
    assert checkpoint["state_dict"]["std"].item() == pytest.approx(1, abs=1e-2)
