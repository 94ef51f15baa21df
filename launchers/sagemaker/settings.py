"""What a user sets for a job: variables of the command line, of the environment and of site.env."""

import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from datetime import datetime

from projection.errors import ProjectionError

# what the task and the benchmark's metrics log
METRICS = ("train/loss", *(f"{on}/{name}" for on in ("val", "test") for name in ("loss", "auroc", "average_precision")))
_LONGEST_NAME = 63


class Settings:
    """A job's settings, read from the environment, as `site.env.example` explains them."""

    def __init__(self) -> None:
        self.experiments = _words("EXP") or ("demo",)
        self.seeds = tuple(_checked_one("SEEDS", seed, r"\d+", "numbers such as 0,1,2") for seed in _words("SEEDS"))
        self.job = _text("JOB_NAME")  # empty: to be named after the experiment
        self.data = tuple(
            _checked_one("DATA", place, r"(s3|fsx|efs)://[^/]+(/.*)?", "places such as s3://bucket/ptbxl_100hz.h5")
            for place in _words("DATA")
        )
        self.mode = _checked("MODE", "File|FastFile", "File or FastFile", "File")
        self.hours = _number("HOURS", "100")
        self.region = region()
        self.role = _text("ROLE")
        self.bucket = _text("BUCKET")
        self.prefix = _text("PREFIX", "projection").strip("/")
        self.image = _text("IMAGE")
        self.instance = _text("INSTANCE", "ml.g5.xlarge")
        self.count = _number("COUNT", "1")
        self.volume = _number("VOLUME", "50")
        self.spot = _checked("SPOT", "[01]", "0 or 1", "0") == "1"
        self.run_seconds = _seconds("TIME", "1-05:00:00")
        self.wait_seconds = _seconds("WAIT")  # for running and waiting together; 0: twice the run
        self.subnets = _words("SUBNETS")
        self.security_groups = _words("SECURITY_GROUPS")
        self.kms_key = _text("KMS_KEY")
        self.tags = _pairs("TAGS")
        self.metrics = _words("METRICS") or METRICS
        self.entrypoint = _text("ENTRYPOINT").removeprefix("/opt/ml/code/")  # where the code will be
        self.request = _text("REQUEST")


def region() -> str:
    """Give the region: REGION, or what AWS's own tools would use."""
    found = next(filter(None, map(_text, ("REGION", "AWS_REGION", "AWS_DEFAULT_REGION"))), "")
    if not found:
        import boto3

        found = boto3.Session().region_name or ""
    if not found:
        raise ProjectionError("REGION is not set; put it into launchers/sagemaker/site.env")
    return found


def job_name(experiment: str) -> str:
    """Make a legal name for a job: the experiment, the time, and four digits against coincidence.

    Of an experiment whose name is too long, folders are left out, and four digits of a hash are put in.
    """
    end = f"-{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    names, room = experiment.split("+"), _LONGEST_NAME - len(end)
    words = _joined(names)
    if len(words) > room:
        digest = hashlib.sha256(experiment.encode()).hexdigest()[:4]
        words = _joined([name.rpartition("/")[2] for name in names])[: room - 5].strip("-")
        words = f"{words}-{digest}".strip("-")
    return (words or "job") + end


def _joined(names: Sequence[str]) -> str:
    """Join by two hyphens, which stand for the + that a job's name may not hold."""
    return "--".join(re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-") for name in names).strip("-")


def _text(name: str, default: str = "") -> str:
    return os.environ.get(name) or default


def _checked(name: str, pattern: str, what: str, default: str = "") -> str:
    return _checked_one(name, _text(name, default), pattern, what)


def _checked_one(name: str, text: str, pattern: str, what: str) -> str:
    if not re.fullmatch(pattern, text):
        raise ProjectionError(f"{name} is {what}; found: {text}")
    return text


def _number(name: str, default: str) -> int:
    return int(_checked(name, r"\d+", "a whole number", default))


def _seconds(name: str, default: str = "") -> int:
    text = _checked(name, r"((\d+-)?\d+:\d\d:\d\d)?", "a time such as 8:00:00 or 1-05:00:00", default)
    numbers = [int(number) for number in re.findall(r"\d+", text)]
    return sum(number * unit for number, unit in zip(reversed(numbers), (1, 60, 3600, 86400), strict=False))


def _words(name: str) -> tuple[str, ...]:
    return tuple(word for word in re.split(r"[,\s]+", _text(name)) if word)


def _pairs(name: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in filter(None, _text(name).split(",")):
        key, equals, value = word.partition("=")
        if not equals or key in pairs:
            raise ProjectionError(f"{name} are pairs such as project=ecg,owner=me, each key once; found: {word}")
        pairs[key] = value
    return pairs
