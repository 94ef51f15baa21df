"""Looking after jobs: their state, what they say, ending them, and bringing their runs home."""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from launchers.sagemaker import aws
from launchers.sagemaker.checks import request_fields
from launchers.sagemaker.contract import PASSING, unpack
from launchers.sagemaker.hyperparameters import config_names
from launchers.sagemaker.settings import SubmissionError, job_name, region
from launchers.sagemaker.submit import announce

_GROUP = "/aws/sagemaker/TrainingJobs"
_ENDED = ("Completed", "Failed", "Stopped")
_RECENT = 20


def status() -> None:
    """Tell how job JOB is, or which jobs there were."""
    service = aws.client("sagemaker", region())
    if os.environ.get("JOB"):
        print("\n".join(_description(_job(service))))
        return
    listing = service.list_training_jobs(SortBy="CreationTime", SortOrder="Descending", MaxResults=_RECENT)
    for job in listing["TrainingJobSummaries"]:
        print(f"{job['CreationTime']:%Y-%m-%d %H:%M}  {job['TrainingJobStatus']:10}  {job['TrainingJobName']}")


def logs() -> None:
    """Show what job JOB says, to its end."""
    service, store = aws.client("sagemaker", region()), aws.client("logs", region())
    positions: dict[str, str] = {}
    name = _job(service)["TrainingJobName"]
    while True:
        # asked before reading, so that nothing said at the very end is missed
        ended = _job(service)["TrainingJobStatus"] in _ENDED
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
    if job["TrainingJobStatus"] in _ENDED:
        raise SubmissionError(f"{job['TrainingJobName']} has ended already: {job['TrainingJobStatus']}")
    service.stop_training_job(TrainingJobName=job["TrainingJobName"])
    print(f"Told {job['TrainingJobName']} to end; it saves its state within two minutes.")


def resume() -> None:
    """Submit job JOB again under another name: same code, data and settings, going on from its last state.

    Raises:
        SubmissionError: If the job has not ended, has completed, or has saved no state.
    """
    service = aws.client("sagemaker", region())
    job = _job(service)
    name, state = job["TrainingJobName"], job.get("CheckpointConfig", {}).get("S3Uri", "")
    if job["TrainingJobStatus"] not in ("Failed", "Stopped"):
        raise SubmissionError(f"{name} is {job['TrainingJobStatus']}; only jobs that failed or were stopped can go on")
    if not state or aws.is_empty(state, region()):
        raise SubmissionError(f"{name} has saved no state in {state or 'S3'} to go on from")
    request = {field: value for field, value in job.items() if field in request_fields()}
    request["TrainingJobName"] = job_name(_experiment(job))
    request["Tags"] = service.list_tags(ResourceArn=job["TrainingJobArn"])["Tags"]
    service.create_training_job(**request)
    announce(request)


def fetch() -> None:
    """Bring job JOB home as a run folder; of one that did not complete, also the state that it had saved."""
    service, storage = aws.client("sagemaker", region()), aws.client("s3", region())
    job = _job(service)
    name = job["TrainingJobName"]
    folder = Path(os.environ.get("RUNS_PATH") or "runs") / _experiment(job) / name
    if folder.exists():
        raise SubmissionError(f"{folder} is there already")
    root = Path(os.environ.get("RUNS_PATH") or "runs")
    root.mkdir(parents=True, exist_ok=True)
    # on the same disk, and moved to its place as a whole
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=root) as partial:
        run = Path(partial) / "run"
        run.mkdir()
        found = [_unpack(storage, f"{_artifacts(job)}/{part}.tar.gz", run) for part in ("output", "model")]
        if job["TrainingJobStatus"] != "Completed" or not any(found):
            found.append(_copy(storage, job.get("CheckpointConfig", {}).get("S3Uri", ""), run))
        if not any(found):
            raise SubmissionError(_nothing_found(job))
        folder.parent.mkdir(parents=True, exist_ok=True)
        run.rename(folder)
    print(f"Run folder:  {folder}")
    print("To judge it here, say where data and devices are: python -m projection test --ckpt_path best \\")
    print(f"  --config {folder}/config.yaml --data.path data/FILE.h5 --trainer.devices 1 --trainer.num_nodes 1")


def _nothing_found(job: dict[str, Any]) -> str:
    name, ended = job["TrainingJobName"], job["TrainingJobStatus"] in _ENDED
    state = job.get("CheckpointConfig", {}).get("S3Uri", "")
    when = "ended without saving anything" if ended else "has not saved anything yet"
    return f"{name} ({job['TrainingJobStatus']}) {when} in {_artifacts(job)} or {state}; see `make sagemaker-logs`"


def _experiment(job: dict[str, Any]) -> str:
    return (config_names(job.get("HyperParameters", {})) or ["sagemaker"])[0]


def _job(service: Any) -> dict[str, Any]:
    name = os.environ.get("JOB", "")
    if not name:
        raise SubmissionError("JOB is the name of a job, as `make sagemaker-status` lists them")
    try:
        description: dict[str, Any] = service.describe_training_job(TrainingJobName=name)
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("ValidationException", "ResourceNotFound"):
            raise
        hint = "`make sagemaker-status` lists them"
        raise SubmissionError(f"there is no job {name} in {service.meta.region_name}; {hint}") from error
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


def _artifacts(job: dict[str, Any]) -> str:
    return f"{job['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{job['TrainingJobName']}/output"


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
    keys = [
        item["Key"]
        for page in storage.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        for item in page.get("Contents", [])
    ] if prefix else []  # fmt: skip
    for key in keys:
        target = folder / key.removeprefix(prefix).lstrip("/")
        passing = any(target.match(pattern) for pattern in PASSING)
        if passing or key.endswith("/") or not target.resolve().is_relative_to(folder.resolve()):
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            shutil.copyfileobj(storage.get_object(Bucket=bucket, Key=key)["Body"], file)
    return bool(keys)
