"""The image for SageMaker: built by podman on one with PyTorch, pushed to a registry, run as the platform runs it."""

import json
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

from launchers.sagemaker.experiment import Experiment
from launchers.sagemaker.rehearsal import lay
from tests.engines.aws import ACCOUNT, REGION, running_cloud
from tests.engines.daemons import daemon, wait_until
from tests.engines.images import Builder
from tests.launchers.conftest import SECRET
from tests.launchers.pausing import PAUSED
from tests.launchers.sagemaker.containers import LONGEST

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # an image takes minutes to build

REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
IMAGE = f"{REGISTRY}/projection:latest"
# PyTorch, and a command that is another than ours
_BASE = """\
FROM {image}
RUN python3 -m pip uninstall --yes projection lightning jsonargparse torchmetrics tensorboard wandb wfdb h5py hatchling
WORKDIR /
ENTRYPOINT ["something", "else"]
"""
# an address of this machine alone, at the port that names without a port mean
_LOOPBACK = "127.0.0.2"
_REGISTRY = "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {base}/ecr}}}}\nhttp: {{addr: '{address}:80'}}\n"


@contextmanager
def registry_of_the_account(builder: Builder) -> Iterator[dict[str, str]]:
    """Serve a registry under the name of the account's; give what makes podman take it without certificates."""
    (builder.base / "ecr.conf").write_text(_REGISTRY.format(base=builder.base, address=_LOOPBACK))
    insecure = f'[[registry]]\nlocation = "{REGISTRY}"\ninsecure = true\n'
    (builder.base / "ecr-registries.conf").write_text(insecure)
    (builder.base / "hosts").write_text(f"{_LOOPBACK} {REGISTRY}\n")
    environment = {"CONTAINERS_REGISTRIES_CONF": str(builder.base / "ecr-registries.conf")}
    environment |= {"REGISTRY_AUTH_FILE": str(builder.base / "auth.json"), "no_proxy": REGISTRY, "NO_PROXY": REGISTRY}
    with daemon("docker-registry", "serve", str(builder.base / "ecr.conf")):
        yield environment


def with_names(builder: Builder, *command: str) -> list[str]:
    """Give a command that finds the account's registry by its name, while nobody else does."""
    script = f'mount --bind {builder.base / "hosts"} /etc/hosts && exec "$@"'
    return ["unshare", "--mount", "--propagation=unchanged", "sh", "-c", script, "sh", *command]


@pytest.fixture(scope="module")
def built(builder: Builder, image: str) -> str:
    """What `make sagemaker-image` says; the image stays in podman's store."""
    (builder.base / "Containerfile").write_text(_BASE.format(image=image))
    command = ["podman", "build", *builder.options(), "--file", builder.base / "Containerfile"]
    builder.run(*command, "--tag", "localhost/pytorch:latest", builder.base / "run")
    keys = {"AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE", "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_CONFIG_FILE": "/none"}
    settings = {"REGION": REGION, "ACCOUNT": ACCOUNT, "BASE": "localhost/pytorch:latest", "VENV": sys.prefix}
    settings["ARGS"] = f"-- {shlex.join(builder.options())}"
    make = with_names(builder, "make", "--no-print-directory", "sagemaker-image")
    with running_cloud() as cloud, registry_of_the_account(builder) as environment:
        return builder.run(*make, **environment, **settings, **keys, AWS_ENDPOINT_URL=cloud.address)


def test_the_image_is_pushed_and_its_digest_told(builder: Builder, built: str) -> None:
    assert built.startswith("Made the repository projection.\n")
    assert f"Put IMAGE={IMAGE} into launchers/sagemaker/site.env" in built
    logins = json.loads((builder.base / "auth.json").read_text())["auths"]
    assert list(logins) == [REGISTRY]
    (link,) = (builder.base / "ecr").rglob("tags/latest/current/link")
    assert f"digest: {link.read_text()}" in built.splitlines()
    assert SECRET not in built


def test_its_pytorch_is_that_of_the_base(builder: Builder, built: str) -> None:
    ask = ["run", "--rm", "--network=none", "--entrypoint", "python3"]
    versions = [
        builder.run("podman", *ask, image, "-c", "import torch; print(torch.__version__, torch.__file__)").splitlines()[
            -1
        ]
        for image in ("localhost/pytorch:latest", IMAGE)
    ]
    assert versions[0] == versions[1]


def start(builder: Builder, name: str, prefix: Path, *options: str) -> None:
    command = ["podman", "run", "--detach", "--name", name, "--security-opt", "seccomp=unconfined", *options]
    builder.run(*command, "--volume", f"{prefix}:/opt/ml", "--env", "OMP_NUM_THREADS=1", IMAGE, "train")


def ended(builder: Builder, name: str) -> tuple[int, str]:
    """Wait for a container; give its exit status and what it said."""
    status = int(builder.run("podman", "wait", name))
    said = builder.run("podman", "logs", name)
    builder.run("podman", "rm", name)
    return status, said


def test_two_containers_train_the_demo_as_one(
    builder: Builder, built: str, tmp_path: Path, tiny_experiment: Experiment
) -> None:
    hosts = ("algo-1", "algo-2")
    builder.run("podman", "network", "create", "cluster")
    try:
        for host in hosts:
            lay(tmp_path / host, tiny_experiment, hosts, host, interface="eth0")
            start(builder, host, tmp_path / host, "--network=cluster", f"--hostname={host}")
        found = [ended(builder, host) for host in hosts]
    finally:
        builder.run("podman", "network", "rm", "--force", "cluster")
    assert [status for status, _ in found] == [0, 0], found
    assert json.loads((tmp_path / "algo-1" / "model" / "results.json").read_text())["test/auroc"] > 0
    state = torch.load(tmp_path / "algo-1" / "checkpoints" / "checkpoints" / "last.ckpt", weights_only=True)
    assert state["global_step"] == 2  # where one machine takes four steps
    assert not (tmp_path / "algo-2" / "model").exists()


def test_a_container_told_to_end_saves_its_state(
    builder: Builder, built: str, tmp_path: Path, long_experiment: Experiment
) -> None:
    lay(tmp_path, long_experiment)
    start(builder, "stopped", tmp_path, "--network=none")
    wait_until((tmp_path / "checkpoints" / PAUSED).exists, LONGEST)
    builder.run("podman", "stop", "--time", "120", "stopped")
    status, said = ended(builder, "stopped")
    assert status == 128 + signal.SIGTERM
    assert "is saved in /opt/ml/checkpoints" in said


def test_a_job_is_rehearsed_in_its_image(builder: Builder, built: str, tmp_path: Path) -> None:
    environment = {"EXP": "tiny", "IMAGE": IMAGE, "SAGEMAKER_PREFIX": tmp_path, "VENV": sys.prefix}
    options = "--network=none --security-opt seccomp=unconfined --env OMP_NUM_THREADS=1"
    said = builder.run("launchers/sagemaker/rehearse.sh", **environment, ENGINE_OPTIONS=options)
    assert "Exit status 0" in said
    assert json.loads((tmp_path / "model" / "results.json").read_text())["test/auroc"] > 0
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=builder.home, capture_output=True, text=True).stdout
    assert json.loads((tmp_path / "model" / "provenance.json").read_text())["git"].startswith(commit.strip())
