"""What is wrong with a request, found before it costs money."""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cache
from typing import Any

import botocore.session
import regex
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

from launchers.sagemaker.container import CONFIG_CHANNEL
from launchers.sagemaker.hyperparameters import arguments
from launchers.sagemaker.request import CHECKPOINTS, Request, has_local_storage
from projection.errors import ProjectionError

_KINDS: dict[str, tuple[type, ...]] = {
    **{"string": (str,), "structure": (dict,), "map": (dict,), "list": (list,)},
    **{"boolean": (bool,), "integer": (int,), "long": (int,), "float": (int, float), "double": (int, float)},
}
_IMAGE = re.compile(r"\d{12}\.dkr\.ecr\.([a-z0-9-]+)\.amazonaws\.com(\.cn)?/[a-z0-9._/-]+([:@].+)?")
_BUCKET = re.compile(r"s3://(?!.*\.\.)[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?")
_SECRET = re.compile(r"(?i)(.*[._])?(secret|(?<!cls_)token|password|passwd|credentials?|api_?key|access_?key)(_id)?")
# the platform's own limits, which the service model does not state
_LONGEST_RUN = 28 * 24 * 3600
_LARGEST_VOLUME = 16384


def violations(request: Request, region: str) -> list[str]:
    """List what SageMaker or the container would not accept, a line each: the field, what is wrong, what was found."""
    found = list(_shape_violations(_request_shape(), request, ""))
    # rules take fields of the right kind for granted
    return found or list(_rule_violations(request, region))


def request_fields() -> frozenset[str]:
    """List the fields that a request may have."""
    return frozenset(_request_shape().members)


@cache
def _request_shape() -> StructureShape:
    model = botocore.session.get_session().get_service_model("sagemaker")
    return model.operation_model("CreateTrainingJob").input_shape


def _shape_violations(shape: Shape, value: Any, field: str) -> Iterator[str]:
    kinds = _KINDS.get(shape.type_name)
    if kinds and type(value) not in kinds:
        yield f"{field}: must be a {shape.type_name}; found {value!r}"
        return
    yield from _range_violations(shape, value, field)
    if isinstance(shape, StructureShape):
        yield from _member_violations(shape, value, field)
    elif isinstance(shape, ListShape):
        for position, item in enumerate(value):
            yield from _shape_violations(shape.member, item, f"{field}[{position}]")
    elif isinstance(shape, MapShape):
        for key, item in value.items():
            yield from _shape_violations(shape.key, key, f"{field} key")
            yield from _shape_violations(shape.value, item, f"{field}[{key}]")


def _member_violations(shape: StructureShape, value: dict[str, Any], field: str) -> Iterator[str]:
    dot = f"{field}." if field else ""
    for name in shape.required_members:
        if name not in value:
            yield f"{dot}{name}: missing"
    for name, item in value.items():
        if name in shape.members:
            yield from _shape_violations(shape.members[name], item, dot + name)
        else:
            yield f"{dot}{name}: unknown; known are {', '.join(shape.members)}"


def _range_violations(shape: Shape, value: Any, field: str) -> Iterator[str]:
    size, long = (len(value), " long") if isinstance(value, (str, list, dict)) else (value, "")
    least, most = shape.metadata.get("min", size), shape.metadata.get("max", size)
    pattern = shape.metadata.get("pattern")
    if size < least:
        yield f"{field}: must be at least {least}{long}; found {_short(value)}"
    elif size > most:
        yield f"{field}: must be at most {most}{long}, is {size}{long}: {_short(value)}"
    elif isinstance(shape, StringShape) and shape.enum and value not in shape.enum:
        yield f"{field}: {value!r} is none of {_some(shape.enum, value)}"
    elif pattern and not regex.fullmatch(pattern, value):
        yield f"{field}: must match {pattern}; found {_short(value)}"


def _rule_violations(request: Request, region: str) -> Iterator[str]:
    yield from _image_rules(request["AlgorithmSpecification"], region)
    yield from _metric_rules(request["AlgorithmSpecification"].get("MetricDefinitions", []))
    yield from _channel_rules(request.get("InputDataConfig", []))
    yield from _time_rules(request)
    yield from _resource_rules(request["ResourceConfig"], request.get("EnableManagedSpotTraining", False))
    yield from _name_rules(request)
    systems = [each for each in request.get("InputDataConfig", []) if "FileSystemDataSource" in each["DataSource"]]
    if systems and "VpcConfig" not in request:
        name = systems[0]["ChannelName"]
        yield f"VpcConfig: missing; the file system of the channel {name} needs SUBNETS and SECURITY_GROUPS"
    for field, uri in _places(request):
        if not _BUCKET.fullmatch(uri):
            yield f"{field}: needs s3:// and a legal bucket name; found {uri!r}"


def _image_rules(algorithm: dict[str, Any], region: str) -> Iterator[str]:
    field, image = "AlgorithmSpecification.TrainingImage", algorithm.get("TrainingImage", "")
    match = _IMAGE.fullmatch(image)
    if not match:
        yield f"{field}: must be an image in ECR, ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG; found {image!r}"
    elif match[1] != region:
        yield f"{field}: is in {match[1]}, and the job would run in {region}; SageMaker needs both in one region"
    if algorithm["TrainingInputMode"] == "Pipe":
        yield "AlgorithmSpecification.TrainingInputMode: HDF5 files cannot be read from a pipe; use File"


def _metric_rules(definitions: list[dict[str, str]]) -> Iterator[str]:
    for position, definition in enumerate(definitions):
        field = f"AlgorithmSpecification.MetricDefinitions[{position}].Regex"
        try:
            groups = re.compile(definition["Regex"]).groups
        except re.error as error:
            yield f"{field}: is no regular expression ({error}): {definition['Regex']!r}"
        else:
            if groups != 1:
                yield f"{field}: needs one group, which holds the number; found {definition['Regex']!r}"
    for name in _twice(definition["Name"] for definition in definitions):
        yield f"AlgorithmSpecification.MetricDefinitions: {name!r} is defined twice"


def _channel_rules(channels: list[dict[str, Any]]) -> Iterator[str]:
    if CONFIG_CHANNEL not in (channel["ChannelName"] for channel in channels):
        yield f"InputDataConfig: the channel {CONFIG_CHANNEL!r} is missing; REQUEST replaces lists as a whole"
    for name in _twice(channel["ChannelName"] for channel in channels):
        yield f"InputDataConfig: the channel {name!r} is there twice"
    for position, channel in enumerate(channels):
        if len(channel["DataSource"]) != 1:
            yield f"InputDataConfig[{position}].DataSource: needs one source; found {len(channel['DataSource'])}"
        if channel.get("InputMode") == "Pipe" and channel["ChannelName"] != CONFIG_CHANNEL:
            yield f"InputDataConfig[{position}].InputMode: HDF5 files cannot be read from a pipe; use File"


def _time_rules(request: Request) -> Iterator[str]:
    stopping, spot = request.get("StoppingCondition", {}), request.get("EnableManagedSpotTraining", False)
    run, wait = stopping.get("MaxRuntimeInSeconds"), stopping.get("MaxWaitTimeInSeconds")
    if run is None:
        yield "StoppingCondition.MaxRuntimeInSeconds: missing; a job without a limit can cost without one"
        return
    if run > _LONGEST_RUN:
        yield f"StoppingCondition.MaxRuntimeInSeconds: SageMaker runs jobs for {_LONGEST_RUN} s at most; found {run}"
        return
    if spot and wait is None:
        yield "StoppingCondition.MaxWaitTimeInSeconds: missing; spot training needs it, run time included (set WAIT)"
    elif spot and wait < run:
        yield f"StoppingCondition.MaxWaitTimeInSeconds: {wait} is less than the run time {run}, which it includes"
    elif not spot and wait is not None:
        yield "StoppingCondition.MaxWaitTimeInSeconds: is for spot training only (set SPOT=1)"
    if request.get("CheckpointConfig", {}).get("LocalPath", CHECKPOINTS) != CHECKPOINTS:
        yield f"CheckpointConfig.LocalPath: the run folder is {CHECKPOINTS}; what is elsewhere would be lost"
    if spot and "CheckpointConfig" not in request:
        yield "CheckpointConfig: missing; an interrupted spot job would begin anew"


def _resource_rules(resources: dict[str, Any], spot: bool) -> Iterator[str]:
    if resources.get("InstanceGroups"):
        yield "ResourceConfig.InstanceGroups: instances must be all alike; use InstanceType and InstanceCount"
    for name, most in (("InstanceCount", None), ("VolumeSizeInGB", _LARGEST_VOLUME)):
        value = resources.get(name, 0)
        if value < 1 or (most and value > most):
            yield f"ResourceConfig.{name}: must be 1 or more{f', and at most {most}' if most else ''}; found {value}"
    if "VolumeKmsKeyId" in resources and has_local_storage(resources.get("InstanceType", "")):
        yield f"ResourceConfig.VolumeKmsKeyId: {resources['InstanceType']} encrypts its local disks by itself"
    if not resources.get("InstanceType"):
        yield "ResourceConfig.InstanceType: missing (set INSTANCE)"
    if spot and resources.get("KeepAlivePeriodInSeconds"):
        yield "ResourceConfig.KeepAlivePeriodInSeconds: warm pools take no spot instances"


def _name_rules(request: Request) -> Iterator[str]:
    try:
        arguments(request.get("HyperParameters", {}))
    except ProjectionError as error:
        yield f"HyperParameters: {error}"
    for group in ("HyperParameters", "Environment"):
        for name in request.get(group, {}):
            if _SECRET.fullmatch(name):
                yield f"{group}[{name}]: looks like a secret, which everyone who may describe the job would see"
    for name in _twice(tag["Key"] for tag in request.get("Tags", [])):
        yield f"Tags: {name!r} is there twice"
    for tag in request.get("Tags", []):
        if tag["Key"].lower().startswith("aws:"):
            yield f"Tags: keys beginning with aws: belong to AWS; found {tag['Key']!r}"


def _places(request: Request) -> Iterator[tuple[str, str]]:
    yield "OutputDataConfig.S3OutputPath", request["OutputDataConfig"]["S3OutputPath"]
    if "CheckpointConfig" in request:
        yield "CheckpointConfig.S3Uri", request["CheckpointConfig"]["S3Uri"]
    for position, channel in enumerate(request.get("InputDataConfig", [])):
        if "S3DataSource" in channel["DataSource"]:
            field = f"InputDataConfig[{position}].DataSource.S3DataSource.S3Uri"
            yield field, channel["DataSource"]["S3DataSource"]["S3Uri"]


def _twice(names: Iterator[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:97]}..."


def _some(names: list[str], value: Any) -> str:
    """Show a few of many names, those of the same family first."""
    family = str(value).rpartition(".")[0]
    near = [name for name in names if family and name.startswith(family)] or names
    return ", ".join(near[:12]) + (", ..." if len(near) > 12 else "")
