"""The request that creates a training job."""

import json
import re
from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

from launchers.sagemaker.channels import Data, channel
from launchers.sagemaker.container import CODE_CHANNEL, CONFIG_CHANNEL, ENTRYPOINT, data_channel
from launchers.sagemaker.hyperparameters import experiment_of
from launchers.sagemaker.settings import Settings, job_name
from projection.errors import ProjectionError

Request = dict[str, Any]
# where the container keeps its run folder
CHECKPOINTS = "/opt/ml/checkpoints"
# families with NVMe disks: by a d in their names, or as AWS's table of instances says
_LOCAL_STORAGE = re.compile(r"[a-z]+\d+[a-z]*d[a-z]*|g5|g6e?|gr6|g7e|p5(e|en)?|p6.*|trn\w+|inf1")


def training_request(
    settings: Settings, hyperparameters: Mapping[str, str], code: str, data: Data, commit: str
) -> Request:
    """Write the request: the arguments of CreateTrainingJob.

    Args:
        code: The S3 folder of the code.
        data: Where the data are.
        commit: What git calls the code.
    """
    job = settings.job or job_name(experiment_of(hyperparameters))
    home = f"s3://{settings.bucket}/{settings.prefix}/jobs"
    channels = [channel(CONFIG_CHANNEL, f"{home}/{job}/config/"), channel(CODE_CHANNEL, code)]
    channels += [channel(data_channel(number), place, settings.mode) for number, place in enumerate(data.places, 1)]
    environment = {"PROJECTION_GIT_COMMIT": commit, "PROJECTION_RUN_ID": job, **data.environment}
    if settings.entrypoint:
        environment[ENTRYPOINT] = settings.entrypoint
    request: Request = {
        "TrainingJobName": job,
        "RoleArn": settings.role,
        "AlgorithmSpecification": {
            "TrainingImage": settings.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": metric_definitions(settings.metrics),
        },
        "HyperParameters": dict(hyperparameters),
        "Environment": environment,
        "InputDataConfig": channels,
        "OutputDataConfig": {"S3OutputPath": home},
        "CheckpointConfig": {"S3Uri": f"{home}/{job}/checkpoints/", "LocalPath": CHECKPOINTS},
        "ResourceConfig": {
            "InstanceType": settings.instance,
            "InstanceCount": settings.count,
            "VolumeSizeInGB": settings.volume,
        },
        "StoppingCondition": _stopping(settings.run_seconds, settings.wait_seconds if settings.spot else None),
        "EnableManagedSpotTraining": settings.spot,
        "Tags": [{"Key": name, "Value": value} for name, value in settings.tags.items()],
    }
    if settings.kms_key:
        request["OutputDataConfig"]["KmsKeyId"] = settings.kms_key
        # local disks are encrypted by their own hardware, and AWS refuses another key
        if not has_local_storage(settings.instance):
            request["ResourceConfig"]["VolumeKmsKeyId"] = settings.kms_key
    if settings.subnets or settings.security_groups:
        groups = list(settings.security_groups)
        request["VpcConfig"] = {"Subnets": list(settings.subnets), "SecurityGroupIds": groups}
    return _merged(request, _more(settings.request))


def resumed(request: Request, settings: Settings, typed: Container[str]) -> Request:
    """Change what was typed anew: INSTANCE, COUNT, VOLUME, TIME, WAIT and SPOT."""
    resources, stopping = dict(request["ResourceConfig"]), request["StoppingCondition"]
    given = {"INSTANCE": settings.instance, "COUNT": settings.count, "VOLUME": settings.volume}
    fields = {"INSTANCE": "InstanceType", "COUNT": "InstanceCount", "VOLUME": "VolumeSizeInGB"}
    resources |= {fields[name]: value for name, value in given.items() if name in typed}
    spot = settings.spot if "SPOT" in typed else request.get("EnableManagedSpotTraining", False)
    run = settings.run_seconds if "TIME" in typed else stopping["MaxRuntimeInSeconds"]
    wait = 0 if "TIME" in typed else stopping.get("MaxWaitTimeInSeconds", 0)
    wait = settings.wait_seconds if "WAIT" in typed else wait
    changed = {"ResourceConfig": resources, "EnableManagedSpotTraining": spot}
    return request | changed | {"StoppingCondition": _stopping(run, wait if spot else None)}


def instance_hours(requests: Iterable[Request]) -> float:
    """Compute what jobs can be billed at most, waiting for spot instances left out."""
    seconds = (
        int(each["ResourceConfig"]["InstanceCount"]) * int(each["StoppingCondition"]["MaxRuntimeInSeconds"])
        for each in requests
    )
    return sum(seconds) / 3600


def _stopping(run: int, wait: int | None) -> dict[str, int]:
    """Limit a job's seconds; `wait` is running and waiting for spot instances together, 0 twice the run."""
    limits = {"MaxRuntimeInSeconds": run}
    return limits if wait is None else limits | {"MaxWaitTimeInSeconds": wait or 2 * run}


def has_local_storage(instance: str) -> bool:
    """Tell whether instances, such as ml.g5.xlarge, have disks of their own, of a size that nobody chooses."""
    return bool(_LOCAL_STORAGE.fullmatch(instance.removeprefix("ml.").partition(".")[0]))


def metric_definitions(names: Sequence[str]) -> list[dict[str, str]]:
    """Say how CloudWatch finds metrics in the lines that `projection.training.MetricLines` prints."""
    return [{"Name": name, "Regex": rf"\b{re.escape(name)}=([-+.0-9e]+)"} for name in names]


def _more(text: str) -> Request:
    try:
        more = json.loads(text or "{}")
    except ValueError as error:
        raise ProjectionError(f"REQUEST is no JSON: {error}") from error
    if not isinstance(more, dict):
        raise ProjectionError('REQUEST is a JSON object, such as {"RetryStrategy": {"MaximumRetryAttempts": 2}}')
    return more


def _merged(base: Request, more: Request) -> Request:
    """Put one request over another, group by group; lists are replaced."""
    both = [key for key in base if isinstance(base[key], dict) and isinstance(more.get(key), dict)]
    return base | more | {key: _merged(base[key], more[key]) for key in both}
