"""What jobs need of an account: clients, uploads, and whether role, bucket and image are there."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import boto3
from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.progress import Progress

from launchers.sagemaker.settings import Settings
from projection.errors import ProjectionError

_PART = 16 * 1024 * 1024
_FORBIDDEN = ("AccessDenied", "AccessDeniedException", "403", "UnauthorizedOperation")


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn what AWS says, where it refuses or cannot be reached, into one line."""
    try:
        yield
    except ClientError as error:
        said = error.response.get("Error", {})
        raise ProjectionError(f"AWS refuses {error.operation_name}: {said.get('Message', error)}") from error
    except (Boto3Error, BotoCoreError) as error:
        hint = "; see `aws configure`" if "redentials" in str(error) else ""
        raise ProjectionError(f"{str(error).rstrip('.')}{hint}") from error


def client(service: str, region: str) -> Any:
    """Make a client that gives up soon where there is no network."""
    config = Config(connect_timeout=10, retries={"max_attempts": 4, "mode": "standard"})
    return boto3.client(service, region_name=region, config=config)


def check_account(settings: Settings, data: Iterable[str]) -> list[str]:
    """Make sure that role, bucket, image and data exist; give what could not be looked up for want of permission.

    Args:
        data: Places that are to hold data already; those that are not in S3 cannot be looked at.
    """
    name, _, digest = settings.image.partition("/")[2].partition("@")
    repository, _, tag = name.partition(":")
    version = {"imageDigest": digest} if digest else {"imageTag": tag or "latest"}
    role, account = settings.role.rpartition("/")[2], settings.image.partition(".")[0]
    wanted: dict[str, Callable[[], Any]] = {
        f"role {settings.role}": lambda: client("iam", settings.region).get_role(RoleName=role),
        f"bucket {settings.bucket}": lambda: _check_bucket(settings),
        f"image {settings.image}": lambda: client("ecr", settings.region).describe_images(
            registryId=account, repositoryName=repository, imageIds=[version]
        ),
    }
    wanted |= {f"file {place}": partial(_look_at, settings, place) for place in data if place.startswith("s3://")}
    return [what for what, look in wanted.items() if not _exists(what, look)]


def _look_at(settings: Settings, place: str) -> None:
    bucket, key = split(place)
    client("s3", settings.region).head_object(Bucket=bucket, Key=key)


def _check_bucket(settings: Settings) -> None:
    # boto3 would follow to another region by itself, and SageMaker would not
    found = client("s3", settings.region).head_bucket(Bucket=settings.bucket).get("BucketRegion", settings.region)
    if found != settings.region:
        raise ProjectionError(f"the bucket {settings.bucket} is in {found}, and the job would run in {settings.region}")


def _exists(what: str, look: Callable[[], Any]) -> bool:
    """Look; False where that is forbidden."""
    try:
        look()
    except ClientError as error:
        code = str(error.response.get("Error", {}).get("Code"))
        if code in _FORBIDDEN:
            return False
        if code in ("404", "NoSuchEntity", "NoSuchBucket", "RepositoryNotFoundException", "ImageNotFoundException"):
            hints = {"image": "; `make sagemaker-image` makes it", "file": "; the name of a folder ends in /"}
            hint = hints.get(what.partition(" ")[0], "")
            raise ProjectionError(f"there is no {what}{hint}") from error
        raise
    return True


def sha256(path: Path) -> str:
    """Compute the SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def upload(path: Path, uri: str, settings: Settings, *, replace: bool = False) -> bool:
    """Upload a file, unless it is there already; tell whether it had to be.

    Args:
        uri: Where to, in S3; a name that holds the content's hash makes the same content the same object.
        replace: Upload in any case: the name says nothing of the content.
    """
    bucket, key = split(uri)
    storage, size = client("s3", settings.region), path.stat().st_size
    if not replace and size_in_s3(storage, bucket, key) == size:
        return False
    extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": settings.kms_key} if settings.kms_key else {}
    parts = TransferConfig(multipart_threshold=_PART, multipart_chunksize=_PART)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(f"Uploading {path.name}", total=size)
        more = {"ExtraArgs": extra, "Config": parts, "Callback": lambda sent: bar.advance(task, sent)}
        storage.upload_file(str(path), bucket, key, **more)
    return True


def size_in_s3(storage: Any, bucket: str, key: str) -> int | None:
    """Ask a client of S3 for the size of an object in bytes; None if there is no such object."""
    try:
        return int(storage.head_object(Bucket=bucket, Key=key)["ContentLength"])
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in _FORBIDDEN:
            told = f"s3://{bucket}/{key} is denied; s3:GetObject and s3:ListBucket are needed"
            raise ProjectionError(told) from error
        if code not in ("404", "NoSuchKey", "NotFound"):
            raise
        return None


def keys(storage: Any, uri: str) -> Iterator[str]:
    """Ask a client of S3 for the objects whose names begin with an address, a thousand at a time."""
    bucket, prefix = split(uri)
    for page in storage.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from (item["Key"] for item in page.get("Contents", []))


def split(uri: str) -> tuple[str, str]:
    """Split s3://BUCKET/KEY into bucket and key."""
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key.lstrip("/")
