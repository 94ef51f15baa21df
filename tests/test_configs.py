import os
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
import wandb
import yaml

from projection.data.statements import LabelSet
from tests.conftest import ROOT, Run

CONFIGS = sorted(path for path in (ROOT / "configs").rglob("*.yaml") if path.name != "base.yaml")
PRESETS = [path for path in CONFIGS if path.parent.name == "presets"]
TASKS = [path for path in CONFIGS if path.parent.name == "benchmark"]
# those of configs/nets are run by tests/models/test_training.py
EXPERIMENTS = [path for path in CONFIGS if path.parent.name not in ("presets", "nets")]
QUICK = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--trainer.enable_progress_bar", "false"]
CPU = ["--trainer.accelerator", "cpu", "--trainer.enable_model_summary", "false"]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT / "configs"))


@pytest.mark.parametrize("config", CONFIGS, ids=named)
def test_a_config_explains_itself_and_states_only_differences(config: Path) -> None:
    text = config.read_text()
    assert text.startswith("# Goal: ")
    assert "# Run: " in text
    assert len([line for line in text.splitlines() if not line.startswith("#")]) <= 30
    assert isinstance(yaml.safe_load(text), dict)


@pytest.mark.parametrize("config", EXPERIMENTS, ids=named)
def test_experiments_run(run: Run, corpus_file: Path, config: Path) -> None:
    options = ["--data.path", str(corpus_file), "--data.batch_size", "8", *QUICK, *CPU]
    folder = run("fit", "--config", str(config), *options)
    assert (folder / "results.json").is_file()
    assert folder.parent.name == config.stem


def test_the_benchmark_s_tasks_differ_in_nothing_but_the_task() -> None:
    contents = [yaml.safe_load(path.read_text()) for path in TASKS]
    tasks = [content["data"]["init_args"].pop("task") for content in contents]
    assert tasks == [path.stem for path in TASKS]
    assert set(tasks) == set(get_args(LabelSet))
    assert all(content == contents[0] for content in contents)


@pytest.mark.parametrize("preset", [path for path in PRESETS if path.stem != "ddp"], ids=named)
def test_presets_stack_on_an_experiment(run: Run, tiny: list[str], preset: Path) -> None:
    folder = run("fit", *tiny, "--config", str(preset), *QUICK)
    assert (folder / "results.json").is_file()
    assert folder.parent.name == "demo"
    if preset.stem == "wandb":
        wandb.teardown()
        logged = list((folder / "wandb").glob("offline-run-*/*.wandb"))
        assert len(logged) == 1
        assert b"xresnet" not in logged[0].read_bytes()
        assert b"CNN1d" in logged[0].read_bytes()


def test_the_ddp_preset_trains_on_two_processes(run: Run, tiny: list[str]) -> None:
    folder = Path.cwd() / "run"
    options = ["--config", str(ROOT / "configs" / "presets" / "ddp.yaml"), "--trainer.default_root_dir", str(folder)]
    subprocess.run(
        [sys.executable, "-m", "projection", "fit", *tiny, *options],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    assert (folder / "results.json").is_file()
    assert (folder / "checkpoints" / "last.ckpt").is_file()
