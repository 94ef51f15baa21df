"""What a run has when nobody says otherwise, as shipped in configs/base.yaml, and what switches it off."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger, WandbLogger
from lightning.pytorch.plugins.precision import Precision
from lightning.pytorch.strategies import SingleDeviceStrategy

from projection.cli import ProjectionCLI
from projection.data.datamodule import PTBXLDataModule
from projection.runs.folder import RUN_ID
from projection.tasks import ClassificationTask
from projection.training import (
    BestCheckpoint,
    BoundedProgressBar,
    LastCheckpoint,
    NoProfiler,
    PredictionWriter,
    RunRecord,
    WholeCheckpointIO,
)
from tests.building import build
from tests.conftest import ROOT

MODEL = ["--model", "ClassificationTask", "--model.init_args.net", "projection.nets.CNN1d"]
WANDB = ["--config", str(ROOT / "configs" / "presets" / "wandb.yaml")]
FORCED = {
    BestCheckpoint: "checkpoint",
    LastCheckpoint: "checkpoint",
    LearningRateMonitor: "logger",
    BoundedProgressBar: "progress",
    PredictionWriter: "",
    RunRecord: "",
}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(RUN_ID, "7")


def trainer_of(cli: ProjectionCLI) -> Trainer:
    trainer: Trainer = cli.trainer
    return trainer


def kinds(cli: ProjectionCLI) -> set[type[Callback]]:
    return {type(found) for found in trainer_of(cli).callbacks} & set(FORCED)  # type: ignore[attr-defined]


def test_a_run_has_these_settings_unless_told_otherwise() -> None:
    cli = build("fit", *MODEL)
    trainer, folder = trainer_of(cli), Path("runs/ClassificationTask/7").resolve()
    assert cli.config.fit.seed_everything == torch.initial_seed() == 42
    assert cli.config.fit.weights_only is True
    assert Path(trainer.default_root_dir).resolve() == folder
    assert (trainer.max_epochs, trainer.max_steps, trainer.world_size) == (50, -1, 1)
    assert (trainer.log_every_n_steps, trainer.check_val_every_n_epoch) == (50, 1)  # type: ignore[attr-defined]
    assert (trainer.accumulate_grad_batches, trainer.gradient_clip_val) == (1, None)
    assert isinstance(trainer.strategy, SingleDeviceStrategy)
    assert type(trainer.strategy.precision_plugin) is Precision
    assert trainer.precision == "32-true"
    assert isinstance(trainer.strategy.checkpoint_io, WholeCheckpointIO)
    assert isinstance(trainer.profiler, NoProfiler)  # type: ignore[attr-defined]
    assert not torch.are_deterministic_algorithms_enabled()
    assert kinds(cli) == set(FORCED)
    best, last = (found for found in trainer.checkpoint_callbacks)
    assert (best.monitor, best.mode, best.save_top_k) == ("val/auroc", "max", 1)  # type: ignore[attr-defined]
    assert last._every_n_epochs == 1  # type: ignore[attr-defined]
    assert trainer.progress_bar_callback.refresh_rate == 10  # type: ignore[union-attr]
    tensorboard, table = trainer.loggers
    assert isinstance(tensorboard, TensorBoardLogger)
    assert isinstance(table, CSVLogger)
    assert Path(tensorboard.log_dir).resolve() == folder / "tensorboard"
    assert Path(table.log_dir).resolve() == folder / "metrics"


def test_the_data_and_the_model_begin_with_the_protocol_of_the_benchmark() -> None:
    cli = build("fit", *MODEL)
    data, model = cli.datamodule, cli.model
    assert isinstance(data, PTBXLDataModule)
    assert isinstance(model, ClassificationTask)
    assert data.paths == [Path("data/ptbxl_100hz.h5")]
    assert data.folds == {"train": tuple(range(1, 9)), "val": (9,), "test": (10,)}
    assert (data.label_set, data.batch_size, data.train_fraction, data.residency) == ("all", 128, 1, "auto")
    assert data.transforms == []
    assert model.class_names == data.class_names
    assert len(model.class_names) == 71
    assert (model.window, model.stride, model.aggregation, model.compiles) == (2.5, None, "max", False)


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("option", "without"),
    [("enable_checkpointing", "checkpoint"), ("logger", "logger"), ("enable_progress_bar", "progress")],
)
def test_an_option_of_the_trainer_switches_its_callbacks_off(option: str, without: str) -> None:
    left = {kind for kind, switch in FORCED.items() if switch != without}
    assert kinds(build("fit", *MODEL, f"--trainer.{option}", "false")) == left


@pytest.mark.thorough
@pytest.mark.parametrize("command", ["validate", "test", "predict"])
def test_judging_logs_nothing_and_saves_no_state(command: str) -> None:
    cli = build(command, *MODEL)
    assert [type(logger).__name__ for logger in trainer_of(cli).loggers] == ["DummyLogger"]
    assert not Path("runs").exists()
    assert Path(trainer_of(cli).default_root_dir).resolve() == Path(f"runs/ClassificationTask/{command}-7").resolve()


@pytest.mark.thorough
def test_a_continued_run_keeps_the_metrics_it_has() -> None:
    folder = Path("runs/ClassificationTask/7")
    for expected in ("metrics", "metrics-2", "metrics-3"):
        table = trainer_of(build("fit", *MODEL)).loggers[1]
        assert Path(str(table.log_dir)).resolve() == (folder / expected).resolve()
        (folder / expected).mkdir(parents=True)


def test_loggers_of_the_user_s_own_places_keep_them() -> None:
    own = "{class_path: lightning.pytorch.loggers.CSVLogger, init_args: {save_dir: elsewhere, name: a, version: b}}"
    Path("elsewhere/a").mkdir(parents=True)
    assert trainer_of(build("fit", *MODEL, "--trainer.logger", own)).loggers[0].log_dir == "elsewhere/a/b"


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("options", "environment", "name", "version"),
    [
        ([], {}, "ClassificationTask/7", "ClassificationTask-7"),
        ([], {"WANDB_NAME": "mine", "WANDB_RUN_ID": "abc"}, "mine", "abc"),
        (["--trainer.logger.init_args.name", "a", "--trainer.logger.init_args.id", "b"], {"WANDB_NAME": "c"}, "a", "b"),
    ],
)
def test_weights_and_biases_goes_on_in_the_curves_of_a_resumed_run(
    options: list[str], environment: dict[str, str], name: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    logger = trainer_of(build("fit", *WANDB, *MODEL, *options)).loggers[-1]
    assert isinstance(logger, WandbLogger)
    assert (logger._name, logger.version, logger._project) == (name, version, "projection")
    assert Path(str(logger.save_dir)).resolve() == Path("runs/ClassificationTask/7").resolve()
