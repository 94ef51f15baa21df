import os
import subprocess
import sys
from operator import attrgetter
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
import yaml
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.strategies import DDPStrategy

from projection.cli import ProjectionCLI
from projection.corpus.statements import LabelSet
from projection.nets import CNN1d, XResNet1d
from projection.tasks import ClassificationTask
from tests.building import build
from tests.conftest import ROOT, Run
from tests.run_files import results, weights

CONFIGS = sorted(path for path in (ROOT / "configs").rglob("*.yaml") if path.name != "base.yaml")
PRESETS = [path for path in CONFIGS if path.parent.name == "presets"]
BENCHMARK = [path for path in CONFIGS if path.parent.name == "benchmark"]
# those of configs/nets are run by tests/nets/test_training.py
EXPERIMENTS = [path for path in CONFIGS if path.parent.name not in ("presets", "nets", "recipes")]
RECIPES = [path for path in CONFIGS if path.parent.name == "recipes"]
# compiling takes a minute, W&B and processes of their own take seconds to start
LONG = ("compile", "wandb", "ddp")
FEW = [word for part in ("train", "val", "test") for word in (f"--trainer.limit_{part}_batches", "2")]
QUICK = ["--trainer.max_epochs", "1", "--trainer.num_sanity_val_steps", "0", "--trainer.enable_progress_bar", "false"]
CPU = ["--trainer.accelerator", "cpu", "--trainer.enable_model_summary", "false"]
RANDOM = ("AmplitudeScaling", "TimeWarp", "BaselineWander", "PowerLineInterference", "GaussianNoise", "LeadDropout")


def named(path: Path) -> str:
    return str(path.relative_to(ROOT / "configs"))


SAYS: dict[str, dict[str, Any]] = {
    "bf16": {"trainer.precision": "bf16-mixed"},
    "compile": {"trainer.precision": "bf16-mixed", "datamodule.residency": "device", "model.compiles": True},
    "ddp": {"trainer.strategy.__class__": DDPStrategy, "trainer.world_size": 2},
    "debug": {
        **{f"trainer.limit_{part}_batches": 3 for part in ("train", "val", "test")},
        **{"trainer.max_epochs": 1, "trainer.loggers": [], "trainer._detect_anomaly": True, "datamodule.batch_size": 8},
    },
    "early_stopping": {
        "trainer.early_stopping_callback.monitor": "val/auroc",
        "trainer.early_stopping_callback.mode": "max",
        "trainer.early_stopping_callback.patience": 10,
    },
}


@pytest.mark.parametrize("config", CONFIGS, ids=named)
def test_a_config_explains_itself_and_states_only_differences(config: Path) -> None:
    text = config.read_text()
    assert text.startswith("# Goal: ")
    assert "# Run: " in text
    assert len([line for line in text.splitlines() if not line.startswith("#")]) <= 30
    assert isinstance(yaml.safe_load(text), dict)


@pytest.mark.thorough
@pytest.mark.parametrize("config", EXPERIMENTS, ids=named)
def test_an_experiment_is_its_net_on_its_task_by_its_recipe(config: Path, tmp_path: Path) -> None:
    cli = build("fit", "--config", str(config), *CPU, "--trainer.default_root_dir", str(tmp_path))
    data, model = cli.datamodule, cli.model
    assert isinstance(model, ClassificationTask)
    optimizer = model.optimizer(model.parameters())
    rates = optimizer.defaults["lr"], optimizer.defaults["weight_decay"]
    if config.stem == "demo":
        assert isinstance(model.net, CNN1d)
        assert (data.label_set, data.batch_size, model.window, rates) == ("all", 64, 5.0, (0.005, 0.01))
        return
    # Strodthoff et al. 2021
    assert isinstance(model.net, XResNet1d)
    assert (data.label_set, data.batch_size, rates) == (config.stem.replace("exp", "all"), 128, (0.01, 0.01))
    assert (model.window, model.stride, model.aggregation) == (2.5, 1.25, "max")
    assert model.schedule is not None
    assert cli.trainer.max_epochs == 50


@pytest.mark.slow
@pytest.mark.parametrize("config", EXPERIMENTS, ids=named)
def test_experiments_run(run: Run, corpus_file: Path, config: Path) -> None:
    options = ["--data.path", str(corpus_file), "--data.batch_size", "4", *FEW, *QUICK, *CPU]
    folder = run("fit", "--config", str(config), *options)
    assert {"val/auroc", "test/auroc"} <= set(results(folder))
    assert str(folder.parent.relative_to(Path.cwd() / "runs")) == named(config).removesuffix(".yaml")


@pytest.mark.thorough
@pytest.mark.parametrize("recipe", RECIPES, ids=named)
def test_a_recipe_is_a_model_of_its_own(run: Run, corpus_file: Path, recipe: Path) -> None:
    options = ["--data.path", str(corpus_file), "--data.batch_size", "4", *FEW, *QUICK, *CPU]
    folder = run("fit", "--model", str(recipe), *options)
    assert folder.parent.name == "ClassificationTask"
    # what it says stands in the run's configuration, which needs it no more
    written = yaml.safe_load((folder / "config.yaml").read_text())["model"]
    assert written["init_args"]["optimizer"]["init_args"]["lr"] == 0.01
    assert recipe.stem not in (folder / "config.yaml").read_text()


def test_the_benchmark_s_experiments_differ_in_nothing_but_the_label_set() -> None:
    contents = [yaml.safe_load(path.read_text()) for path in BENCHMARK]
    label_sets = [content["data"]["init_args"].pop("labels") for content in contents]
    assert label_sets == [path.stem for path in BENCHMARK]
    assert set(label_sets) == set(get_args(LabelSet))
    assert all(content == contents[0] for content in contents)


def stacked(tiny: list[str], name: str, folder: Path) -> ProjectionCLI:
    preset = ["--config", str(ROOT / "configs" / "presets" / f"{name}.yaml")]
    return build("fit", *tiny, *preset, "--trainer.default_root_dir", str(folder / "run"))


@pytest.mark.thorough
@pytest.mark.parametrize("name", SAYS)
def test_a_preset_does_what_its_name_says(tiny: list[str], tmp_path: Path, name: str) -> None:
    cli = stacked(tiny, name, tmp_path)
    assert {setting: attrgetter(setting)(cli) for setting in SAYS[name]} == SAYS[name]


@pytest.mark.thorough
def test_the_presets_of_parts_add_theirs_to_what_is_there(tiny: list[str], tmp_path: Path) -> None:
    augmented = stacked(tiny, "augment", tmp_path).datamodule.transforms
    assert [type(one).__name__ for one in augmented] == [*RANDOM, "RandomApply"]
    averaged = stacked(tiny, "ema", tmp_path).trainer
    (averaging,) = [one for one in averaged.callbacks if isinstance(one, EMAWeightAveraging)]  # type: ignore[attr-defined]
    moved = averaging._kwargs["avg_fn"](torch.zeros(1), torch.ones(1), 1)
    assert moved.item() == pytest.approx(1 - 0.999)
    logged = stacked(tiny, "wandb", tmp_path).trainer
    assert [type(one).__name__ for one in logged.loggers] == ["TensorBoardLogger", "CSVLogger", "WandbLogger"]
    assert {path.stem for path in PRESETS} == {*SAYS, "augment", "ema", "wandb"}


@pytest.mark.thorough
@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(path, marks=pytest.mark.slow if path.stem in LONG else (), id=named(path))
        for path in PRESETS
        if path.stem != "ddp"
    ],
)
def test_presets_stack_on_an_experiment(run: Run, tiny: list[str], preset: Path) -> None:
    folder = run("fit", *tiny, "--config", str(preset), *QUICK, *FEW)
    assert {"val/auroc", "test/auroc"} <= set(results(folder))
    assert folder.parent.name == "demo"
    if preset.stem == "wandb":
        import wandb  # takes half a second

        wandb.teardown()
        logged = list((folder / "wandb").glob("offline-run-*/*.wandb"))
        assert len(logged) == 1
        assert b"xresnet" not in logged[0].read_bytes()
        assert b"CNN1d" in logged[0].read_bytes()


@pytest.mark.slow
def test_the_ddp_preset_trains_on_two_processes(tiny: list[str], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    options = ["--config", str(ROOT / "configs" / "presets" / "ddp.yaml"), "--trainer.default_root_dir", str(folder)]
    subprocess.run(
        [sys.executable, "-m", "projection", "fit", *tiny, *options],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert {"val/auroc", "test/auroc"} <= set(results(folder))
    assert weights(folder / "checkpoints" / "last.ckpt")
