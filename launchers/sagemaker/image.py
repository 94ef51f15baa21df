"""The image in ECR."""

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Sequence

from botocore.exceptions import ClientError

from launchers.sagemaker import aws
from launchers.sagemaker.experiment import PROJECT
from launchers.sagemaker.settings import region
from projection.errors import ProjectionError

_PRIVATE = re.compile(r"(?P<account>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?")


def build_and_push(words: Sequence[str]) -> None:
    """Build the image on BASE, with more `words` for build.sh, and push it as REPOSITORY:TAG to the ECR of ACCOUNT."""
    place, repository, tag = region(), os.environ.get("REPOSITORY") or "projection", os.environ.get("TAG") or "latest"
    engine = _engine()
    account = os.environ.get("ACCOUNT") or aws.client("sts", place).get_caller_identity()["Account"]
    registry = f"{account}.dkr.ecr.{place}.amazonaws.com{'.cn' if place.startswith('cn-') else ''}"
    _make_repository(account, place, repository)
    base = os.environ.get("BASE", "")
    for address in {registry, base.partition("/")[0]}:
        _log_in(engine, address)
    command = [str(PROJECT / "containers" / "build.sh"), "--file", "containers/sagemaker.Dockerfile"]
    command += ["--name", repository, "--tag", tag, "--registry", registry, "--push"]
    command += [*(["--base", base] if base else []), *words]
    # SageMaker runs on x86-64, and takes plain images only: no lists of them, as attestations would make
    how = {"ENGINE": engine, "PLATFORM": "linux/amd64", "BUILDX_NO_DEFAULT_ATTESTATIONS": "1"}
    if subprocess.run(command, env=os.environ | how).returncode:
        raise ProjectionError(f"the image could not be built: {' '.join(command[:3])} failed; it said why above")
    print(f"Put IMAGE={registry}/{repository}:{tag} into launchers/sagemaker/site.env.")


def _engine() -> str:
    names = [os.environ["ENGINE"]] if os.environ.get("ENGINE") else ["docker", "podman"]
    found = next(filter(None, map(shutil.which, names)), None)
    if not found:
        raise ProjectionError(f"there is no {' and no '.join(names)} on this machine")
    return found


def _make_repository(account: str, place: str, repository: str) -> None:
    registry = aws.client("ecr", place)
    try:
        registry.describe_repositories(registryId=account, repositoryNames=[repository])
    except ClientError as error:
        if error.response["Error"]["Code"] != "RepositoryNotFoundException":
            raise
        registry.create_repository(repositoryName=repository, imageScanningConfiguration={"scanOnPush": True})
        print(f"Made the repository {repository}.")


def _log_in(engine: str, address: str) -> None:
    """Log in to a private registry; the password goes by standard input."""
    match = _PRIVATE.fullmatch(address)
    if not match:
        return
    answer = aws.client("ecr", match["region"]).get_authorization_token(registryIds=[match["account"]])
    token = base64.b64decode(answer["authorizationData"][0]["authorizationToken"]).decode()
    user, _, password = token.partition(":")
    command = [engine, "login", "--username", user, "--password-stdin", address]
    done = subprocess.run(command, input=password, text=True, capture_output=True)
    if done.returncode:
        raise ProjectionError(f"{engine} could not log in to {address}: {' '.join(done.stderr.split())}")
