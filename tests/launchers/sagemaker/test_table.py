"""`make table LAUNCHER=sagemaker`: a job for each missing cell, and its run brought home."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from launchers.sagemaker.aws import split
from launchers.sagemaker.container import Place
from projection.__main__ import main as projection
from tests.engines.aws import Cloud
from tests.launchers.conftest import User
from tests.launchers.sagemaker.conftest import put
from tests.launchers.sagemaker.test_submit import stored

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # AWS's interface

ARGUMENTS = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2", "--data.batch_size", "8"]


def trained(request: dict[str, Any], folder: Path, data: Path) -> None:
    """Train what a job's configuration says, and deliver it as its container would."""
    prefix, config = folder / "ml", folder / "job.yaml"
    folder.mkdir()
    places = {each["ChannelName"]: each["DataSource"]["S3DataSource"]["S3Uri"] for each in request["InputDataConfig"]}
    config.write_bytes(stored(f"{places['config']}{request['HyperParameters']['config']}.yaml"))
    run = prefix / "checkpoints"
    quiet = ["--trainer.enable_progress_bar", "false", "--trainer.accelerator", "cpu"]
    words = ["--config", str(config), "--data.path", str(data), *quiet, "--trainer.default_root_dir", str(run)]
    projection(["fit", *words])
    # where a container has them
    kept = run / "config.yaml"
    kept.write_text(kept.read_text().replace(str(data), f"/opt/ml/input/data/data/{data.name}"))
    Place(prefix, folder).deliver()
    for part, name in ((prefix / "model", "model"), (prefix / "output" / "data", "output")):
        put(part, name, request["TrainingJobName"])


def test_cells_are_jobs_whose_runs_come_home(user: User, cloud: Cloud, tmp_path: Path, few_records: Path) -> None:
    (user.home / "data" / "few_100hz.h5").write_bytes(few_records.read_bytes())
    runs = Path(user.environment["RUNS_PATH"])
    table = runs / "table"

    def make() -> str:
        asked = ["LABELS=superdiagnostic", "NETS=fcn_wang", "SEEDS=0 1", "LAUNCHER=sagemaker", "TIME=1:00:00"]
        words = f"ARGS=--data.path data/few_100hz.h5 {' '.join(ARGUMENTS)}"
        done = user.make("table", *asked, words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = make()
    assert "2 cells: 0 finished, 2 to train." in said
    assert "2 jobs of at most 2 instance hours." in said
    first, second = cloud.asked("CreateTrainingJob")
    names = {f"superdiagnostic fcn_wang {seed}": job["TrainingJobName"] for seed, job in enumerate((first, second))}
    assert json.loads((table / "sagemaker.json").read_text()) == names
    assert [job["HyperParameters"]["seed_everything"] for job in (first, second)] == ["0", "1"]

    trained(first, tmp_path / "first", few_records)
    cloud.states[second["TrainingJobName"]] = {"TrainingJobStatus": "InProgress"}
    said = make()
    assert f"superdiagnostic fcn_wang 0: {first['TrainingJobName']} is brought home." in said
    assert "2 cells: 1 finished, 1 under way, 0 to train." in said
    run = table / "superdiagnostic" / "fcn_wang" / "0"
    assert yaml.safe_load((run / "config.yaml").read_text())["seed_everything"] == 0
    assert "| fcn_wang " in said

    # one that failed is trained by another job
    cloud.states[second["TrainingJobName"]] = {"TrainingJobStatus": "Failed"}
    said = make()
    assert f"{second['TrainingJobName']} is Failed, and a new job takes its place." in said
    third = cloud.asked("CreateTrainingJob")[-1]
    assert third["HyperParameters"]["seed_everything"] == "1"
    assert len(cloud.asked("CreateTrainingJob")) == 3
    trained(third, tmp_path / "third", few_records)
    assert "2 cells: 2 finished, 0 to train." in make()
    bucket, key = split(third["CheckpointConfig"]["S3Uri"])
    assert key.startswith("projection/jobs/"), bucket
