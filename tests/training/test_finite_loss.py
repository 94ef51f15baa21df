"""A training whose loss is no longer a number ends, and keeps the state before."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.plugins.precision import MixedPrecision
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from projection.data.data_set import open_data_set
from projection.errors import ProjectionError
from projection.training import FiniteLoss
from tests.conftest import Run
from tests.run_files import weights

QUIET: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "accelerator": "cpu", "max_epochs": 1}


class Losses(LightningModule):
    """Has the losses that it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        return batch[0].mean() * self.weight.detach() + 0 * self.weight.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.0)


def train(losses: list[float], *more: Tensor, **options: Any) -> None:
    data = DataLoader(TensorDataset(torch.tensor(losses), *more))
    Trainer(callbacks=[FiniteLoss()], enable_progress_bar=False, enable_model_summary=False, **QUIET, **options).fit(
        Losses(), data
    )


def test_a_training_that_diverges_is_no_result_and_keeps_its_last_good_state(
    run: Run, tiny: list[str], corpus_file: Path
) -> None:
    folder = run("fit", *tiny, "--trainer.max_epochs", "1")
    again = ["--config", str(folder / "config.yaml"), "--ckpt_path", "last", "--trainer.max_epochs", "4"]
    huge = ["--model.init_args.optimizer.init_args.lr", "1e30", "--model.init_args.schedule", "null"]
    before = weights(folder / "checkpoints" / "last.ckpt")
    place = ["--trainer.default_root_dir", str(folder.parent / "diverges")]
    with pytest.raises(SystemExit) as ended:
        run("fit", *again[:2], *huge, *place, "--trainer.max_epochs", "4")
    told = str(ended.value.code)
    assert re.search(r"The loss is (nan|inf) at step \d+ \(records \d+, .* and 24 more\), in epoch \d", told)
    assert "To go on: `--ckpt_path last` with trainer.gradient_clip_val, or a new run that learns slower" in told
    assert len(told.splitlines()) <= 3
    named = {int(each) for each in re.findall(r"\d+", told.split("records")[1].split("and")[0])}
    assert named <= set(open_data_set([corpus_file]).ids.tolist())
    diverged = folder.parent / "diverges"
    assert not (diverged / "results.json").exists()
    for state in diverged.glob("checkpoints/*.ckpt"):
        assert all(value.isfinite().all() for value in weights(state).values() if value.is_floating_point())
    assert all(value.isfinite().all() for value in before.values() if value.is_floating_point())


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
def test_the_first_wrong_step_is_named_with_its_records(wrong: float) -> None:
    losses, y, ids = [1.0, 2.0, wrong, 1.0, wrong], torch.zeros(5), torch.arange(100, 105)
    with pytest.raises(ProjectionError, match=rf"The loss is {wrong:g} at step 3 \(records 102\), in epoch 0"):
        train(losses, y, ids)
    with pytest.raises(ProjectionError, match=rf"The loss is {wrong:g} at step 3, in epoch 0"):
        train(losses)
    train([1.0, 2.0])


def test_it_does_not_wait_for_the_end_of_an_epoch() -> None:
    with pytest.raises(ProjectionError, match="at step 2,"):
        train([1.0, float("nan")] + 400 * [1.0], limit_train_batches=60)


def test_what_a_gradient_scaler_passes_over_is_no_reason_to_end() -> None:
    def scaled() -> dict[str, Any]:
        return {"plugins": [MixedPrecision("16-mixed", "cpu", torch.amp.GradScaler("cpu", init_scale=1.0))]}

    train([1.0, float("inf"), 1.0], **scaled())
    with pytest.raises(ProjectionError, match="is inf at step "):
        train(4 * [float("inf")], **scaled())
