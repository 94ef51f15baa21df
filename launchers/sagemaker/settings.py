"""What a user sets for a job: variables of the command line, of the environment and of site.env."""

import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

# what the task and the benchmark's metrics log
METRICS = (
    "train/loss",
    *("val/loss", "val/auroc", "val/average_precision"),
    *("test/loss", "test/auroc", "test/average_precision"),
)
_TIME = re.compile(r"(?:(\d+)-)?(\d+):(\d\d):(\d\d)")
_LONGEST_NAME = 63


class SubmissionError(Exception):
    """Say what keeps a job from being submitted, and what to do next."""


@dataclass(frozen=True)
class Settings:
    """A job's settings, as `site.env.example` explains them.

    Args:
        experiment: The configuration's name, as in `exp` for configs/exp.yaml.
        job: The job's name.
        region: AWS region.
        role: ARN of the role that the job runs as.
        bucket: S3 bucket for data, configurations and results.
        prefix: Folder in the bucket.
        image: URI of the image in ECR.
        instance: Instance type.
        count: Number of instances.
        volume: Gigabytes of each one's disk.
        run_seconds: Longest run.
        wait_seconds: Longest run and waiting for spot instances together; 0 without spot.
        spot: Whether to use spot instances.
        subnets: Subnets of a VPC.
        security_groups: Security groups there.
        kms_key: Key that encrypts disks and results.
        tags: Tags by key.
        metrics: Logged metrics to show in CloudWatch.
        request: JSON with anything else of the request, such as `{"RetryStrategy": {"MaximumRetryAttempts": 2}}`.
    """

    experiment: str
    job: str
    region: str
    role: str
    bucket: str
    prefix: str
    image: str
    instance: str
    count: int
    volume: int
    run_seconds: int
    wait_seconds: int
    spot: bool
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]
    kms_key: str
    tags: Mapping[str, str]
    metrics: tuple[str, ...]
    request: str


def from_environment() -> Settings:
    """Read the settings.

    Returns:
        The settings, with defaults for what is not set.

    Raises:
        SubmissionError: If one is no number, time or pair.
    """
    experiment = os.environ.get("EXP") or "demo"
    run = _seconds("TIME", "1-05:00:00")
    spot = _choice("SPOT")
    return Settings(
        experiment=experiment,
        job=os.environ.get("JOB_NAME") or job_name(experiment),
        region=region(),
        role=os.environ.get("ROLE", ""),
        bucket=os.environ.get("BUCKET", ""),
        prefix=(os.environ.get("PREFIX") or "projection").strip("/"),
        image=os.environ.get("IMAGE", ""),
        instance=os.environ.get("INSTANCE") or "ml.g5.xlarge",
        count=_number("COUNT", 1),
        volume=_number("VOLUME", 50),
        run_seconds=run,
        wait_seconds=(_seconds("WAIT", "") or 2 * run) if spot else 0,
        spot=spot,
        subnets=_words("SUBNETS"),
        security_groups=_words("SECURITY_GROUPS"),
        kms_key=os.environ.get("KMS_KEY", ""),
        tags=_pairs("TAGS"),
        metrics=_words("METRICS") or METRICS,
        request=os.environ.get("REQUEST", ""),
    )


def region() -> str:
    """Give the region: REGION, or what AWS's own tools would use.

    Returns:
        Its name.

    Raises:
        SubmissionError: If none is set.
    """
    names = ("REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
    found = next((os.environ[name] for name in names if os.environ.get(name)), "")
    if not found:
        import boto3

        found = boto3.Session().region_name or ""
    if not found:
        raise SubmissionError("REGION is not set; put it into launchers/sagemaker/site.env")
    return found


def job_name(experiment: str) -> str:
    """Make a name for a job: the experiment, the time, and four digits against coincidence.

    Args:
        experiment: The configuration's name.

    Returns:
        A legal name of at most 63 characters.
    """
    end = f"-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    words = re.sub(r"[^A-Za-z0-9]+", "-", experiment)[: _LONGEST_NAME - len(end)].strip("-")
    return (words or "job") + end


def _number(name: str, default: int) -> int:
    text = os.environ.get(name) or str(default)
    if not text.isdecimal():
        raise SubmissionError(f"{name} is a whole number; found: {text}")
    return int(text)


def _seconds(name: str, default: str) -> int:
    text = os.environ.get(name) or default
    if not text:
        return 0
    match = _TIME.fullmatch(text)
    if not match:
        raise SubmissionError(f"{name} is a time such as 8:00:00 or 1-05:00:00; found: {text}")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return int(timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds).total_seconds())


def _choice(name: str) -> bool:
    text = os.environ.get(name) or "0"
    if text not in ("0", "1"):
        raise SubmissionError(f"{name} is 0 or 1; found: {text}")
    return text == "1"


def _words(name: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[,\s]+", os.environ.get(name, "")) if word)


def _pairs(name: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in filter(None, os.environ.get(name, "").split(",")):
        key, equals, value = word.partition("=")
        if not equals or key in pairs:
            raise SubmissionError(f"{name} are pairs such as project=ecg,owner=me, each key once; found: {word}")
        pairs[key] = value
    return pairs
