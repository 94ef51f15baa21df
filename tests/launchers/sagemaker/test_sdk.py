"""What the README tells of SageMaker's Python SDK, by the SDK itself, which runs in an environment of its own."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import boto3
import pytest

from launchers.sagemaker.container import Place
from launchers.sagemaker.hyperparameters import arguments
from launchers.sagemaker.train import Cluster, trainer_command
from projection.resolve import resolved
from tests.conftest import ROOT
from tests.engines.aws import ACCOUNT, REGION, Cloud
from tests.engines.images import ENGINES
from tests.launchers.sagemaker.conftest import BUCKET, ROLE

pytestmark = pytest.mark.slow  # AWS's interface

SDK = ENGINES / "readers" / "bin" / "python"


@pytest.fixture
def told(cloud: Cloud, tmp_path: Path) -> Cloud:
    """The account, after the README's lines."""
    if not SDK.exists():
        pytest.skip("SageMaker's SDK is not installed: tests/engines/install.sh does it")
    (block,) = re.findall(r"```python\n(from sagemaker\.estimator.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    names = {"<account>": ACCOUNT, "<region>": REGION, "<name>": ROLE.rpartition("/")[2], "<bucket>": BUCKET}
    for name, value in names.items():
        block = block.replace(name, value)
    file = tmp_path / "mine.py"
    file.write_text(block)
    # a bucket of its own, or the SDK would ask an address for it that no variable changes
    modules = {"Session": {"DefaultS3Bucket": BUCKET}, "TelemetryOptOut": True}
    config = tmp_path / "sdk.yaml"
    config.write_text(json.dumps({"SchemaVersion": "1.0", "SageMaker": {"PythonSDK": {"Modules": modules}}}))
    environment = {"AWS_DEFAULT_REGION": REGION, "HOME": str(tmp_path), "SAGEMAKER_USER_CONFIG_OVERRIDE": str(config)}
    done = subprocess.run([SDK, file], env=os.environ | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return cloud


def command(prefix: Path, hyperparameters: dict[str, Any]) -> list[str]:
    """Give what the container of a job with these hyperparameters runs."""
    given = prefix / "input" / "config"
    given.mkdir(parents=True)
    (given / "hyperparameters.json").write_text(json.dumps(hyperparameters))
    return trainer_command(Place(prefix, ROOT), Cluster(("algo-1",), "algo-1", None, 1))


def test_an_estimator_and_a_tuner_train_what_their_settings_say(told: Cloud, tmp_path: Path) -> None:
    (job,) = told.asked("CreateTrainingJob")
    assert job["RoleArn"] == ROLE
    assert job["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] == f"s3://{BUCKET}/ptbxl_100hz.h5"
    words = command(tmp_path / "one", job["HyperParameters"])
    assert words[words.index("--config") + 1].endswith("/configs/exp.yaml")
    experiment = ["--config", str(ROOT / "configs" / "exp.yaml")]
    settings = resolved([*experiment, *arguments(job["HyperParameters"])])
    assert settings["trainer"]["max_epochs"] == 5
    assert settings["model"]["init_args"]["window"] is None

    (tuning,) = told.asked("CreateHyperParameterTuningJob")
    definition, how = tuning["TrainingJobDefinition"], tuning["HyperParameterTuningJobConfig"]
    assert how["HyperParameterTuningJobObjective"] == {"Type": "Maximize", "MetricName": "val/auroc"}
    (rate,) = how["ParameterRanges"]["ContinuousParameterRanges"]
    # what SageMaker hands to a job of the tuner
    hyperparameters = definition["StaticHyperParameters"] | {
        rate["Name"]: "0.00316",
        "_tuning_objective_metric": "val/auroc",
    }
    settings = resolved([*experiment, *arguments(hyperparameters)])
    assert settings["model"]["init_args"]["optimizer"]["init_args"]["lr"] == 0.00316
    assert settings["model"]["init_args"]["window"] is None
    assert boto3.client("sagemaker", region_name=REGION).list_training_jobs()["TrainingJobSummaries"]
