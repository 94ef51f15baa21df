"""Looking after jobs: their state, what they say, ending them, and bringing their runs home."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from launchers.sagemaker import aws
from launchers.sagemaker.checks import request_fields, violations
from launchers.sagemaker.container import PASSING, unpack
from launchers.sagemaker.experiment import changes
from launchers.sagemaker.hyperparameters import experiment_of
from launchers.sagemaker.request import resumed
from launchers.sagemaker.settings import Settings, job_name, region
from launchers.sagemaker.submit import announce, confirm
from projection.errors import ProjectionError

_GROUP = "/aws/sagemaker/TrainingJobs"
_SHOWN = 20  # jobs of a listing


def status() -> None:
    """Tell how job JOB is, or which jobs there were."""
    service = aws.client("sagemaker", region())
    if os.environ.get("JOB"):
        print("\n".join(_description(_job(service))))
        return
    jobs = _own_jobs(service, Settings())
    for job in jobs if os.environ.get("ALL") == "1" else islice(jobs, _SHOWN):
        print(f"{job['CreationTime']:%Y-%m-%d %H:%M}  {job['TrainingJobStatus']:10}  {job['TrainingJobName']}")
    if next(jobs, None):
        print(f"These are the newest {_SHOWN}; ALL=1 lists all.")


def logs() -> None:
    """Show what job JOB says, to its end."""
    service, store = aws.client("sagemaker", region()), aws.client("logs", region())
    positions: dict[str, str] = {}
    name = _job(service)["TrainingJobName"]
    while True:
        # asked before reading, so that nothing said at the very end is missed
        ended = _has_ended(_job(service))
        for line in _new_lines(store, name, positions):
            print(line, flush=True)
        if ended:
            break
        time.sleep(5)
    if not positions:
        print(f"{name} has said nothing: there are no streams {name}/... in the log group {_GROUP}.")


def stop() -> None:
    """End job JOB; it saves its state first."""
    service = aws.client("sagemaker", region())
    job = _job(service)
    if _has_ended(job):
        raise ProjectionError(f"{job['TrainingJobName']} has ended already: {job['TrainingJobStatus']}")
    service.stop_training_job(TrainingJobName=job["TrainingJobName"])
    print(f"Told {job['TrainingJobName']} to end; it saves its state within two minutes.")


def resume(words: Sequence[str]) -> None:
    """Submit job JOB again under another name, going on from its last state.

    Code and data are the same, and so are settings, but for those of TYPED, which were given on the command line, and
    for `words`, more arguments for `fit`.
    """
    service, storage = aws.client("sagemaker", region()), aws.client("s3", region())
    job = _job(service)
    name, state = job["TrainingJobName"], _state(job)
    if job["TrainingJobStatus"] not in ("Failed", "Stopped"):
        raise ProjectionError(f"{name} is {job['TrainingJobStatus']}; only jobs that failed or were stopped can go on")
    if not state or not any(aws.keys(storage, state)):
        raise ProjectionError(f"{name} has saved no state in {state or 'S3'} to go on from")
    request = {field: value for field, value in job.items() if field in request_fields()}
    request["TrainingJobName"] = job_name(experiment_of(job.get("HyperParameters", {})))
    request["Tags"] = service.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    if going_on := _going_on(service, request["TrainingJobName"], state):
        raise ProjectionError(f"{going_on} goes on from the state of {name} already; `make sagemaker-stop` ends it")
    settings = Settings()
    request["HyperParameters"] = request.get("HyperParameters", {}) | changes(words)
    request = resumed(request, settings, os.environ.get("TYPED", "").split())
    if found := violations(request, settings.region):
        raise ProjectionError("\n  ".join(["the request would be refused:", *found]))
    confirm([request], settings.hours)
    service.create_training_job(**request)
    announce(request)


def fetch() -> None:
    """Bring job JOB home as a run folder, FOLDER; of one that did not complete, also the state that it had saved."""
    job = _job(aws.client("sagemaker", region()))
    root, name = Path(os.environ.get("RUNS_PATH") or "runs"), job["TrainingJobName"]
    folder = Path(os.environ.get("FOLDER") or root / experiment_of(job.get("HyperParameters", {})) / name)
    if folder.exists():
        raise ProjectionError(f"{folder} is there already")
    root.mkdir(parents=True, exist_ok=True)
    # on the same disk, and moved to its place as a whole
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=root) as partial:
        run = Path(partial) / "run"
        run.mkdir()
        _bring(job, run)
        folder.parent.mkdir(parents=True, exist_ok=True)
        run.rename(folder)
    print(f"Run folder:  {folder}")
    print("To judge it here, say where data and devices are: python -m projection test --ckpt_path best \\")
    print(f"  --config {folder}/config.yaml --data.path data/FILE.h5 --trainer.devices 1 --trainer.num_nodes 1")


def _bring(job: dict[str, Any], run: Path) -> None:
    storage, name, state = aws.client("s3", region()), job["TrainingJobName"], _state(job)
    artifacts = f"{job['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{name}/output"
    found = [_unpack(storage, f"{artifacts}/{part}.tar.gz", run) for part in ("output", "model")]
    if job["TrainingJobStatus"] != "Completed" or not any(found):
        found.append(_copy(storage, state, run))
    if not any(found):
        when = "ended without saving anything" if _has_ended(job) else "has not saved anything yet"
        told = f"{name} ({job['TrainingJobStatus']}) {when} in {artifacts} or {state}; see `make sagemaker-logs`"
        raise ProjectionError(told)


def _own_jobs(service: Any, settings: Settings) -> Iterator[dict[str, Any]]:
    """List jobs, the newest first: those with a folder in BUCKET, or all of the account where none is set."""
    home, own = f"{settings.prefix}/jobs/", None
    if settings.bucket:
        pages = aws.client("s3", settings.region).get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=settings.bucket, Prefix=home, Delimiter="/")
        own = {
            each["Prefix"].removeprefix(home).strip("/") for page in found for each in page.get("CommonPrefixes", [])
        }
    newest = {"SortBy": "CreationTime", "SortOrder": "Descending"}
    for page in service.get_paginator("list_training_jobs").paginate(**newest):
        yield from (job for job in page["TrainingJobSummaries"] if own is None or job["TrainingJobName"] in own)


def _going_on(service: Any, name: str, state: str) -> str:
    """Name a job of the same experiment that keeps its run folder in the same place and has not ended."""
    jobs = service.get_paginator("list_training_jobs")
    for status in ("InProgress", "Stopping"):
        for page in jobs.paginate(StatusEquals=status, NameContains=name.rsplit("-", 3)[0]):
            for job in page["TrainingJobSummaries"]:
                if _state(service.describe_training_job(TrainingJobName=job["TrainingJobName"])) == state:
                    return str(job["TrainingJobName"])
    return ""


def _has_ended(job: dict[str, Any]) -> bool:
    return job["TrainingJobStatus"] in ("Completed", "Failed", "Stopped")


def _state(job: dict[str, Any]) -> str:
    """Give the S3 folder where a job keeps its run folder; empty, if it keeps none."""
    return str(job.get("CheckpointConfig", {}).get("S3Uri", ""))


def _job(service: Any) -> dict[str, Any]:
    name = os.environ.get("JOB", "")
    if not name:
        raise ProjectionError("JOB is the name of a job, as `make sagemaker-status` lists them")
    try:
        description: dict[str, Any] = service.describe_training_job(TrainingJobName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ValidationException", "ResourceNotFound"):
            raise
        hint = "`make sagemaker-status` lists them"
        raise ProjectionError(f"there is no job {name} in {service.meta.region_name}; {hint}") from error
    return description


def _description(job: dict[str, Any]) -> Iterator[str]:
    yield f"{job['TrainingJobName']}: {job['TrainingJobStatus']} ({job.get('SecondaryStatus', '')})"
    if job.get("FailureReason"):
        yield f"  reason: {job['FailureReason']}"
    resources = job["ResourceConfig"]
    yield f"  {resources['InstanceCount']} x {resources['InstanceType']}"
    trained, billed = job.get("TrainingTimeInSeconds"), job.get("BillableTimeInSeconds")
    if trained is not None:
        yield f"  trained {trained} s, billed {trained if billed is None else billed} s"
    for metric in job.get("FinalMetricDataList", []):
        yield f"  {metric['MetricName']} = {metric['Value']:.4f}"


def _new_lines(store: Any, name: str, positions: dict[str, str]) -> Iterator[str]:
    """Read on in each machine's stream; positions tells how far each was read."""
    try:
        streams = store.describe_log_streams(logGroupName=_GROUP, logStreamNamePrefix=f"{name}/")["logStreams"]
    except store.exceptions.ResourceNotFoundException:  # no job has said anything yet
        return
    for stream in (stream["logStreamName"] for stream in streams):
        host = stream.removeprefix(f"{name}/").rpartition("-")[0]
        prefix = f"[{host}] " if len(streams) > 1 else ""
        while True:
            token = {"nextToken": positions[stream]} if stream in positions else {}
            page = store.get_log_events(logGroupName=_GROUP, logStreamName=stream, startFromHead=True, **token)
            yield from (prefix + event["message"] for event in page["events"])
            if page["nextForwardToken"] == positions.get(stream):
                break
            positions[stream] = page["nextForwardToken"]


def _unpack(storage: Any, uri: str, folder: Path) -> bool:
    """Unpack an archive, if it is there."""
    bucket, key = aws.split(uri)
    if aws.size_in_s3(storage, bucket, key) is None:
        return False
    with tempfile.NamedTemporaryFile(suffix=".tar.gz") as file:
        storage.download_fileobj(bucket, key, file)
        file.flush()
        unpack(Path(file.name), folder)
    return True


def _copy(storage: Any, uri: str, folder: Path) -> bool:
    """Copy all files below an address."""
    bucket, prefix = aws.split(uri)
    keys = list(aws.keys(storage, uri)) if prefix else []
    for key in keys:
        target = folder / key.removeprefix(prefix).lstrip("/")
        passing = any(target.match(pattern) for pattern in PASSING)
        if passing or key.endswith("/") or not target.resolve().is_relative_to(folder.resolve()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            shutil.copyfileobj(storage.get_object(Bucket=bucket, Key=key)["Body"], file)
    return bool(keys)
