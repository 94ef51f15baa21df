"""Installed from a wheel, in an empty folder, without the clone."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from projection.errors import ProjectionError
from projection.experiment import CONFIGS, with_configs
from tests.conftest import ROOT

DEMO = str(CONFIGS / "demo.yaml")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a wheel was installed into."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, ROOT], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run(
        [*pip, "install", "--no-deps", "--no-compile", "--target", folder / "site-packages", wheel], check=True
    )
    return folder / "site-packages"


@pytest.mark.slow
def test_a_wheel_makes_data_trains_and_reports_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("from projection.nets import CNN1d\n\n\nclass Mine(CNN1d):\n    pass\n")
    environment = {**os.environ, "PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}

    def projection(*words: str) -> None:
        # the script that pip makes; it does not put the current folder on the search path as `python -m` does
        command = [sys.executable, installed / "bin" / "projection", *words]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    projection("synthesize", "--output", "demo", "--records", "60")
    projection("convert", "--source", "demo", "--output", "data/demo_100hz.h5")
    few = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--trainer.accelerator", "cpu"]
    projection("fit", "--config", "demo.yaml", "--config", "presets/debug.yaml", *few, "--model.net", "mine.Mine")
    projection("report", "runs/demo/latest", "--resamples", "20", "--cases", "1")
    assert "<html" in (tmp_path / "report.html").read_text()
    (provenance,) = tmp_path.glob("runs/demo/2*/provenance.json")
    told = yaml.safe_load(provenance.read_text())
    assert told["git"] is None
    assert told["data"]["source"] == ["synthetic"]
    # what ran is the wheel, not the clone
    assert (installed / "projection" / "configs" / "demo.yaml").is_file()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--config", "demo.yaml", "--x", "demo.yaml"], ["--config", DEMO, "--x", "demo.yaml"]),
        (["--config=demo.yaml", "-c", "configs/demo.yaml"], ["--config", DEMO, "--config", DEMO]),
        (["--config", "mine.yaml"], ["--config", "mine.yaml"]),
    ],
)
def test_a_configuration_that_ships_is_found_unless_there_is_one_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], expected: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("seed_everything: 1\n")
    assert with_configs(words) == expected
    Path("demo.yaml").write_text("seed_everything: 1\n")
    assert with_configs(["--config", "demo.yaml"]) == ["--config", "demo.yaml"]
    with pytest.raises(ProjectionError, match=r"File does not exist: nowhere\.yaml; experiments: benchmark/all "):
        with_configs(["--config", "nowhere.yaml"])
