"""Submitting: everything is checked before anything is uploaded, and uploaded before the job is created."""

import json
import os
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from launchers.sagemaker import aws
from launchers.sagemaker.checks import violations
from launchers.sagemaker.container import CODE_ARCHIVE, CONFIG_CHANNEL
from launchers.sagemaker.experiment import Experiment, pack_code, read_experiment
from launchers.sagemaker.request import Request, has_local_storage, training_request
from launchers.sagemaker.settings import Settings
from projection.errors import ProjectionError

# what has no default, and how to come by it
_NEEDED = {
    "role": "the ARN of a role",
    "bucket": "the name of an S3 bucket",
    "image": "what `make sagemaker-image` said",
}
_GIGABYTE = 10**9


def submit(words: Sequence[str]) -> None:
    """Check and submit a job, with more arguments for `fit`, or with DRY_RUN=1 print its request."""
    settings = Settings()
    missing = [f"{name.upper()} ({what})" for name, what in _NEEDED.items() if not getattr(settings, name)]
    if missing:
        raise ProjectionError(f"not set: {', '.join(missing)}; put it into launchers/sagemaker/site.env")
    experiment = read_experiment(settings.experiment, words)
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / CODE_ARCHIVE
        commit = pack_code(code)
        places = {path: _place(settings, "data", path) for path in experiment.data}
        places[code] = _place(settings, "code", code)
        data = [places[path] for path in experiment.data]
        request = training_request(settings, experiment.hyperparameters, places[code], data, commit)
        _check(request, settings, experiment)
        if os.environ.get("DRY_RUN") == "1":
            print(json.dumps(request, indent=2))
            return
        for unknown in aws.check_account(settings):
            print(f"Not checked, for want of permission: {unknown}")
        for path, place in places.items():
            done = aws.upload(path, place + path.name, settings)
            print(f"{path.name}: {'uploaded to' if done else 'is already in'} {place}{path.name}")
        _upload_config(request, settings, experiment)
    aws.client("sagemaker", settings.region).create_training_job(**request)
    announce(request)


def _place(settings: Settings, kind: str, path: Path) -> str:
    """Name a folder in S3 by the content and the name of the one file that goes there."""
    return f"s3://{settings.bucket}/{settings.prefix}/{kind}/{aws.sha256(path)}/{path.name}/"


def _check(request: Request, settings: Settings, experiment: Experiment) -> None:
    found = violations(request, settings.region)
    size = sum(path.stat().st_size for path in experiment.data)
    resources = request["ResourceConfig"]
    local = has_local_storage(resources.get("InstanceType", ""))
    if not found and not local and size > 0.9 * _GIGABYTE * resources["VolumeSizeInGB"]:
        found = [f"ResourceConfig.VolumeSizeInGB: the data have {size / _GIGABYTE:.1f} GB; set VOLUME to more"]
    if found:
        raise ProjectionError("\n  ".join(["the request would be refused:", *found]))


def _upload_config(request: Request, settings: Settings, experiment: Experiment) -> None:
    (channel,) = [each for each in request["InputDataConfig"] if each["ChannelName"] == CONFIG_CHANNEL]
    place = f"{channel['DataSource']['S3DataSource']['S3Uri']}{experiment.name}.yaml"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(experiment.config)
        aws.upload(file, place, settings, replace=True)


def announce(request: Request) -> None:
    """Say what was submitted, what it can cost at most, and how to go on."""
    resources, job = request["ResourceConfig"], request["TrainingJobName"]
    run = timedelta(seconds=request["StoppingCondition"]["MaxRuntimeInSeconds"])
    hours = resources["InstanceCount"] * run.total_seconds() / 3600
    kind = f"{resources['InstanceType']}{' (spot)' if request['EnableManagedSpotTraining'] else ''}"
    print(f"Submitted {job}: at most {hours:g} instance hours ({resources['InstanceCount']} x {run}) of {kind}.")
    if "MaxWaitTimeInSeconds" in request["StoppingCondition"]:
        wait = timedelta(seconds=request["StoppingCondition"]["MaxWaitTimeInSeconds"])
        print(f"  waiting for spot instances included, it is over after {wait} at the latest")
    for target in ("status", "logs", "stop", "fetch"):
        print(f"  make sagemaker-{target} JOB={job}")
