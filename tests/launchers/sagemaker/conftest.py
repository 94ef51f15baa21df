import json
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

import launchers.sagemaker.experiment
from launchers.sagemaker.__main__ import main
from launchers.sagemaker.experiment import Experiment
from tests.engines.aws import ACCOUNT, REGION, Cloud, running_cloud
from tests.launchers.conftest import SECRET, User, config_text

ROLE = f"arn:aws:iam::{ACCOUNT}:role/ecg-training"
BUCKET = "ecg-bucket"
IMAGE = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/projection:latest"
# what sagemaker.sh exports
VARIABLES = ["EXP", "JOB", "JOB_NAME", "REGION", "ROLE", "BUCKET", "PREFIX", "IMAGE", "INSTANCE", "COUNT", "VOLUME"]
VARIABLES += ["TIME", "WAIT", "SPOT", "SUBNETS", "SECURITY_GROUPS", "KMS_KEY", "TAGS", "METRICS", "REQUEST"]
VARIABLES += ["ENTRYPOINT", "RUNS_PATH", "DRY_RUN", "SEEDS", "DATA", "MODE", "HOURS", "ALL", "TYPED", "FOLDER"]


@pytest.fixture(scope="session")
def server() -> Iterator[Cloud]:
    with running_cloud() as cloud:
        yield cloud


@pytest.fixture
def cloud(server: Cloud, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    """An account with a role, a bucket and an image."""
    environment = {"AWS_ENDPOINT_URL": server.address, "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE"}
    environment |= {
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": "/none",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    server.reset()
    boto3.client("iam", region_name=REGION).create_role(RoleName="ecg-training", AssumeRolePolicyDocument="{}")
    place = {"LocationConstraint": REGION}
    boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
    registry = boto3.client("ecr", region_name=REGION)
    registry.create_repository(repositoryName="projection")
    kind = "application/vnd.docker.distribution.manifest.v2+json"
    manifest = {"schemaVersion": 2, "mediaType": kind, "config": {"digest": "sha256:0"}, "layers": []}
    registry.put_image(repositoryName="projection", imageManifest=json.dumps(manifest), imageTag="latest")
    server.requests.clear()
    return server


@pytest.fixture
def user(home: Path, cloud: Cloud, tmp_path: Path) -> Iterator[User]:
    """Someone with an account, and with keys that nobody else should see."""
    site = home / "launchers" / "sagemaker" / "site.env"
    site.write_text(f"ROLE={ROLE}\nBUCKET={BUCKET}\nIMAGE={IMAGE}\nREGION={REGION}\n")
    keys = {"WANDB_API_KEY": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET}
    yield User(home, {"VENV": sys.prefix, "RUNS_PATH": str(tmp_path / "runs"), **keys})
    site.unlink()


Command = Callable[..., str]


@pytest.fixture
def command(
    home: Path, cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Command:
    """What `make sagemaker...` runs, in this process: PyTorch takes long to import. Gives what it says."""
    monkeypatch.setattr(launchers.sagemaker.experiment, "PROJECT", home)

    def run(name: str, *words: str, **variables: str) -> str:
        usual = {"ROLE": ROLE, "BUCKET": BUCKET, "IMAGE": IMAGE, "REGION": REGION, "RUNS_PATH": str(tmp_path / "runs")}
        for variable in VARIABLES:
            monkeypatch.setenv(variable, (usual | variables).get(variable, ""))
        capfd.readouterr()
        try:
            main([name, *words])
        except SystemExit as end:
            if end.code == 2:
                raise RefusedError(capfd.readouterr().err) from end
            raise
        return capfd.readouterr().out

    return run


def put(folder: Path, name: str, job: str) -> None:
    """Store a folder as the platform does when a job has ended."""
    archive = folder.parent / f"{name}.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, arcname=".")
    key = f"projection/jobs/{job}/output/{name}.tar.gz"
    boto3.client("s3", region_name=REGION).upload_file(str(archive), BUCKET, key)


class RefusedError(Exception):
    """What a command said when it ended with status 2."""


@pytest.fixture
def tiny_experiment(few_records: Path) -> Experiment:
    """Two epochs in a second."""
    return experiment("tiny", few_records)


@pytest.fixture
def long_experiment(few_records: Path) -> Experiment:
    """One that waits for its interruption in its second epoch."""
    return experiment("long", few_records)


def experiment(name: str, data: Path) -> Experiment:
    return Experiment(name, config_text(name), {"config": name}, (data,))
