"""Submitting: everything is checked before anything is uploaded, and uploaded before the job is created."""

import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from launchers.sagemaker import aws
from launchers.sagemaker.channels import Data, data_there
from launchers.sagemaker.checks import violations
from launchers.sagemaker.container import CODE_ARCHIVE, CONFIG_CHANNEL
from launchers.sagemaker.experiment import PROJECT, Experiment, pack_code, read_experiment
from launchers.sagemaker.request import Request, has_local_storage, instance_hours, training_request
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
    """Check and submit a job for each of EXP and SEEDS, with more arguments for `fit`; DRY_RUN=1 prints them."""
    settings = Settings()
    missing = [f"{name.upper()} ({what})" for name, what in _NEEDED.items() if not getattr(settings, name)]
    if missing:
        raise ProjectionError(f"not set: {', '.join(missing)}; put it into launchers/sagemaker/site.env")
    own = settings.entrypoint
    if own and not own.startswith("/") and not os.access(PROJECT / own, os.X_OK):
        raise ProjectionError(f"ENTRYPOINT={own} is no executable file of the code")
    experiments = _experiments(settings, words)
    with tempfile.TemporaryDirectory() as folder:
        code = Path(folder) / CODE_ARCHIVE
        commit = pack_code(code)
        files = () if settings.data else dict.fromkeys(path for each in experiments for path in each.data)
        places = {path: _place(settings, "data", path) for path in files} | {code: _place(settings, "code", code)}
        data = [_data(settings, experiment, places) for experiment in experiments]
        requests = []
        for experiment, its in zip(experiments, data, strict=True):
            requests.append(training_request(settings, experiment.hyperparameters, places[code], its, commit))
            _check(requests[-1], settings, experiment)
        if os.environ.get("DRY_RUN") == "1":
            print(json.dumps(requests if len(requests) > 1 else requests[0], indent=2))
            return
        confirm(requests, settings.hours)
        there = {place for its in data for place in its.places} - {*places.values()}
        for unknown in aws.check_account(settings, sorted(there)):
            print(f"Not checked, for want of permission: {unknown}")
        for path, place in places.items():
            done = aws.upload(path, place + path.name, settings)
            print(f"{path.name}: {'uploaded to' if done else 'is already in'} {place}{path.name}")
    for request, experiment in zip(requests, experiments, strict=True):
        _upload_config(request, settings, experiment)
        aws.client("sagemaker", settings.region).create_training_job(**request)
        announce(request)


def _experiments(settings: Settings, words: Sequence[str]) -> list[Experiment]:
    """Read every experiment, with every seed."""
    seeds = [["--seed_everything", seed] for seed in settings.seeds] or [[]]
    if settings.job and len(settings.experiments) * len(seeds) > 1:
        raise ProjectionError(f"JOB_NAME={settings.job} names one job; EXP and SEEDS ask for several")
    here = not settings.data
    return [read_experiment(name, [*words, *seed], here) for name in settings.experiments for seed in seeds]


def _data(settings: Settings, experiment: Experiment, places: Mapping[Path, str]) -> Data:
    if settings.data:
        return data_there(settings.data, [path.name for path in experiment.data])
    return Data(tuple(places[path] for path in experiment.data))


def confirm(requests: Sequence[Request], limit: int) -> None:
    """Say how many instance hours jobs can be billed for, and ask where those are above `limit`."""
    hours = instance_hours(requests)
    told = f"{len(requests)} {'jobs' if len(requests) > 1 else 'job'} of at most {hours:g} instance hours"
    if hours <= limit:
        print(f"{told}.")
        return
    if not sys.stdin.isatty():
        raise ProjectionError(f"{told}, more than HOURS={limit}; nothing was submitted. TIME and HOURS change both")
    # not by input(): what stands on standard output may be read by a program, as `make table` does
    print(f"{told}, more than HOURS={limit}. Submit? [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ProjectionError("nothing was submitted")


def _place(settings: Settings, kind: str, path: Path) -> str:
    """Name a folder in S3 by the content and the name of the one file that goes there."""
    return f"s3://{settings.bucket}/{settings.prefix}/{kind}/{aws.sha256(path)}/{path.name}/"


def _check(request: Request, settings: Settings, experiment: Experiment) -> None:
    found = violations(request, settings.region)
    size = 0 if settings.data else sum(path.stat().st_size for path in experiment.data)
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
    kind = f"{resources['InstanceType']}{' (spot)' if request['EnableManagedSpotTraining'] else ''}"
    hours = f"{instance_hours([request]):g} instance hours ({resources['InstanceCount']} x {run})"
    print(f"Submitted {job}: at most {hours} of {kind}.")
    if "MaxWaitTimeInSeconds" in request["StoppingCondition"]:
        wait = timedelta(seconds=request["StoppingCondition"]["MaxWaitTimeInSeconds"])
        print(f"  waiting for spot instances included, it is over after {wait} at the latest")
    for target in ("status", "logs", "stop", "fetch"):
        print(f"  make sagemaker-{target} JOB={job}")
