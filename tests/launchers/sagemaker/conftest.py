import json
import sys
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from launchers.sagemaker.experiment import Experiment
from tests.engines.aws import ACCOUNT, REGION, Cloud, running_cloud
from tests.launchers.conftest import CONFIGS, SECRET, TINY, User

ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecg-training"
BUCKET = "ecg-bucket"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/projection:latest"


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """An account with a role, a bucket and an image."""
    with running_cloud() as cloud:
        environment = {"AWS_ENDPOINT_URL": cloud.address, "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}
        environment |= {
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/none",
        }
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        boto3.client("iam", region_name=REGION).create_role(RoleName="ecg-training", AssumeRolePolicyDocument="{}")
        place = {"LocationConstraint": REGION}
        boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        registry = boto3.client("ecr", region_name=REGION)
        registry.create_repository(repositoryName="projection")
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        manifest = {"schemaVersion": 2, "mediaType": kind, "config": {"digest": "sha256:0"}, "layers": []}
        registry.put_image(repositoryName="projection", imageManifest=json.dumps(manifest), imageTag="latest")
        cloud.requests.clear()
        yield cloud


@pytest.fixture
def user(home: Path, cloud: Cloud, tmp_path: Path) -> Iterator[User]:
    """Someone with an account, and with keys that nobody else should see."""
    site = home / "launchers" / "sagemaker" / "site.env"
    site.write_text(f"ROLE={ROLE}\nBUCKET={BUCKET}\nIMAGE={IMAGE}\nREGION={REGION}\n")
    keys = {"WANDB_API_KEY": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET}
    yield User(home, {"VENV": sys.prefix, "RUNS_PATH": str(tmp_path / "runs"), **keys})
    site.unlink()


@pytest.fixture
def tiny_experiment(corpus_file: Path) -> Experiment:
    """Two epochs in a second."""
    return experiment("tiny", corpus_file)


@pytest.fixture
def long_experiment(corpus_file: Path) -> Experiment:
    """Many short epochs."""
    return experiment("long", corpus_file)


def experiment(name: str, data: Path) -> Experiment:
    epochs, batch_size = CONFIGS[name]
    config = TINY.format(epochs=epochs, batch_size=batch_size)
    return Experiment(name, config, {"config": name}, (data,))
