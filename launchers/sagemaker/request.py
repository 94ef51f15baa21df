"""The request that creates a training job."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from launchers.sagemaker.container import CODE_CHANNEL, CONFIG_CHANNEL, data_channel
from launchers.sagemaker.hyperparameters import experiment_of
from launchers.sagemaker.settings import Settings, job_name
from projection.errors import ProjectionError

Request = dict[str, Any]
# where the container keeps its run folder
CHECKPOINTS = "/opt/ml/checkpoints"
# families with NVMe disks: by a d in their names, or as AWS's table of instances says
_LOCAL_STORAGE = re.compile(r"[a-z]+\d+[a-z]*d[a-z]*|g5|g6e?|gr6|g7e|p5(e|en)?|p6.*|trn\w+|inf1")


def training_request(
    settings: Settings, hyperparameters: Mapping[str, str], code: str, data: Sequence[str], commit: str
) -> Request:
    """Write the request: the arguments of CreateTrainingJob.

    Args:
        code: The S3 folder of the code.
        data: The S3 folder of each data file.
        commit: What git calls the code.
    """
    job = settings.job or job_name(experiment_of(hyperparameters))
    stopping = {"MaxRuntimeInSeconds": settings.run_seconds}
    if settings.wait_seconds:
        stopping["MaxWaitTimeInSeconds"] = settings.wait_seconds
    home = f"s3://{settings.bucket}/{settings.prefix}/jobs"
    channels = {CONFIG_CHANNEL: f"{home}/{job}/config/", CODE_CHANNEL: code}
    channels |= {data_channel(position): uri for position, uri in enumerate(data, start=1)}
    request: Request = {
        "TrainingJobName": job,
        "RoleArn": settings.role,
        "AlgorithmSpecification": {
            "TrainingImage": settings.image,
            "TrainingInputMode": "File",
            "MetricDefinitions": metric_definitions(settings.metrics),
        },
        "HyperParameters": dict(hyperparameters),
        "Environment": {"PROJECTION_GIT_COMMIT": commit, "PROJECTION_RUN_ID": job},
        "InputDataConfig": [_channel(name, uri) for name, uri in channels.items()],
        "OutputDataConfig": {"S3OutputPath": home},
        "CheckpointConfig": {"S3Uri": f"{home}/{job}/checkpoints/", "LocalPath": CHECKPOINTS},
        "ResourceConfig": {
            "InstanceType": settings.instance,
            "InstanceCount": settings.count,
            "VolumeSizeInGB": settings.volume,
        },
        "StoppingCondition": stopping,
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


def has_local_storage(instance: str) -> bool:
    """Tell whether instances, such as ml.g5.xlarge, have disks of their own, of a size that nobody chooses."""
    return bool(_LOCAL_STORAGE.fullmatch(instance.removeprefix("ml.").partition(".")[0]))


def metric_definitions(names: Sequence[str]) -> list[dict[str, str]]:
    """Say how CloudWatch finds metrics in the lines that `projection.training.MetricLines` prints."""
    return [{"Name": name, "Regex": rf"\b{re.escape(name)}=([-+.0-9e]+)"} for name in names]


def _channel(name: str, uri: str) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": uri, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


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
