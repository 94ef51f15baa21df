"""The images, built by podman and Apptainer as their users build them, and the launchers that run them."""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from projection import __version__
from tests.conftest import ROOT
from tests.engines import images
from tests.engines.cluster import Cluster
from tests.engines.daemons import wait_until
from tests.engines.images import Builder
from tests.engines.people import NAME, Person
from tests.launchers.conftest import SECRET, User, files_with, watched
from tests.launchers.pausing import PAUSED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # an image takes minutes to build


@pytest.fixture(scope="session")
def sif(builder: Builder, image: str) -> Path:
    """The same image for Singularity, fetched from the registry into a file that existed."""
    target = builder.base / "projection.sif"
    target.write_text("an older image")
    with target.open() as older:
        builder.run(
            "launchers/slurm/pull_latest.sh", "--registry", builder.address, "--tag", "latest", CONTAINER=target
        )
        assert older.read() == "an older image"
    assert [path.name for path in builder.base.glob("projection.sif*")] == ["projection.sif"]
    return target


def test_the_image_trains_in_podman(builder: Builder, image: str, tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    options = "--network=none --security-opt seccomp=unconfined"
    said = builder.run(
        "launchers/docker/run.sh",
        *["fit", "--config", "configs/tiny.yaml", "--trainer.max_epochs", "1"],
        IMAGE=image,
        ENGINE_OPTIONS=options,
        RUNS_PATH=tmp_path / "runs",
        PROJECTION_RUN_ID="one",
    )
    results = json.loads((tmp_path / "runs" / "tiny" / "one" / "results.json").read_text())
    assert 0 < results["test/auroc"] <= 1
    assert SECRET not in said
    assert (tmp_path / "runs" / "tiny" / "one").stat().st_uid == os.getuid()


def test_the_image_is_nobodys_and_says_what_it_is(builder: Builder, image: str) -> None:
    run = ["podman", "run", "--rm", "--network=none", "--security-opt", "seccomp=unconfined", image]
    assert builder.run(*run, "sh", "-c", "id -u; echo $LANG $LC_ALL").split() == ["10001", "C.UTF-8", "C.UTF-8"]
    (inspected,) = json.loads(builder.run("podman", "inspect", image))
    commit = builder.run("git", "rev-parse", "HEAD").strip()
    assert inspected["Labels"]["org.opencontainers.image.revision"].startswith(commit)


def test_what_is_in_an_image_is_listed_beside_it(builder: Builder, image: str) -> None:
    listed = (builder.home / "build" / "projection_latest.packages.txt").read_text().splitlines()
    pinned = (ROOT / "constraints.txt").read_text().splitlines()
    torch_line = next(line for line in pinned if line.startswith("torch=="))
    assert any(line.startswith(torch_line) for line in listed)
    packages = dict(line.split("==") for line in listed if "==" in line)
    assert packages["projection"] == __version__
    assert packages["jsonargparse"] in "".join(line for line in pinned if line.startswith("jsonargparse=="))
    assert any(line.startswith("libc6=") for line in listed)


def test_the_base_of_each_image_is_known_by_its_digest() -> None:
    for name in ("Dockerfile", "projection.def"):
        bases = re.findall(r"\bBASE=(nvidia\S+)", (ROOT / "containers" / name).read_text())
        assert len(bases) == 1
        assert re.fullmatch(r"nvidia/cuda:\S+@sha256:[0-9a-f]{64}", bases[0])


def test_the_image_runs_by_hand_as_whoever_owns_what_is_mounted(builder: Builder, image: str, tmp_path: Path) -> None:
    os.chown(tmp_path, 1234, 1234)
    run = ["podman", "run", "--rm", "--network=none", "--security-opt", "seccomp=unconfined"]
    run += ["--volume", f"{tmp_path}:/workspace", image]
    builder.run(*run, "python", "-c", "import pathlib; pathlib.Path('runs').mkdir()")
    assert (tmp_path / "runs").stat().st_uid == 1234
    forms = [[*run, *words, "fit", "--print_config"] for words in ([], ["python", "-m", "projection"])]
    one, other = (builder.run(*form) for form in forms)
    assert "max_epochs" in one
    assert one == other


def test_a_change_of_code_keeps_the_layer_of_the_dependencies(builder: Builder, image: str) -> None:
    changed = builder.home / "projection" / "errors.py"
    text = changed.read_text()
    changed.write_text(text + "# changed\n")
    try:
        said = builder.build("--tag", "changed")
    finally:
        changed.write_text(text)
    steps = {step.splitlines()[0].split(": ", 1)[1]: step for step in said.split("STEP ")[1:]}
    assert "Using cache" in steps["RUN /opt/dependencies/containers/install.sh dependencies"]
    assert "Using cache" not in steps["COPY . /opt/projection"]


def test_no_secret_is_in_the_image(builder: Builder, image: str) -> None:
    assert SECRET not in builder.run("podman", "history", "--no-trunc", image)
    assert SECRET not in builder.run("podman", "inspect", image)
    mounted = builder.run("podman", "image", "mount", image).strip()
    for folder in ("opt/projection", "opt/dependencies", "home", "root", "workspace", "tmp", "etc"):
        # not on the command line, where tests that run beside this one would find it
        search = ["grep", "-r", "-l", "-F", "-f", "-", folder]
        searched = subprocess.run(search, input=SECRET, cwd=mounted, capture_output=True, text=True)
        assert not searched.stdout
    assert (Path(mounted) / "opt" / "projection" / "configs" / "tiny.yaml").exists()
    assert not list(Path(mounted).glob("opt/projection/**/*.env"))
    builder.run("podman", "image", "unmount", image)


def test_the_definition_file_builds_an_image(builder: Builder, image: str, tmp_path: Path) -> None:
    """It begins with most of the packages, for the sake of time; the Dockerfile's build begins with none."""
    base = builder.base / "root"
    builder.run("cp", "--archive", builder.run("podman", "image", "mount", image).strip(), base)
    builder.run("podman", "image", "unmount", image)
    for path in (base / "opt").glob("venv/lib/*/site-packages/wfdb*"):
        shutil.rmtree(path)
    images.make_places(base)
    target = builder.base / "defined.sif"
    options = [
        *images.mounts("--bind", tmp_path),
        "--fakeroot",
        "--mksquashfs-args",
        "-comp zstd -Xcompression-level 1",
    ]
    words = ["--singularity", "--bootstrap", "localimage", "--base", str(base), "--", *options]
    builder.run("containers/build.sh", *words, CONTAINER=target)
    assert SECRET not in builder.run("apptainer", "inspect", "--all", target)
    assert "max_epochs" in builder.run("apptainer", "run", "--cleanenv", target, "fit", "--print_config")
    assert [path.name for path in builder.base.glob("defined.sif*")] == ["defined.sif"]


@pytest.fixture
def container_user(researcher: User, builder: Builder, sif: Path) -> User:
    researcher.environment |= {name: builder.environment[name] for name in ("PATH", "WANDB_API_KEY")}
    researcher.environment["CONTAINER"] = str(sif)
    return researcher


def test_a_job_trains_in_a_singularity_image(container_user: User, cluster: Cluster) -> None:
    user = container_user
    with watched(SECRET) as shown:
        job = user.submit("EXP=tiny", "STAGE=1", "GPUS=2", "ARGS=--data.batch_size 16")
        assert cluster.wait(job, "COMPLETED", "FAILED", seconds=240) == "COMPLETED", user.log(job, "err")
    assert not shown
    folder = Path(user.environment["RUNS_PATH"]) / "tiny" / job
    assert 0 < json.loads((folder / "results.json").read_text())["test/auroc"] <= 1
    config = yaml.safe_load((folder / "config.yaml").read_text())
    assert config["trainer"]["devices"] == "2"
    provenance = json.loads((folder / "provenance.json").read_text())
    commit = user.run("git", "rev-parse", "HEAD")
    assert provenance["git"].startswith(commit.stdout.strip())
    assert not files_with(SECRET, user.home / "logs", Path(user.environment["RUNS_PATH"]))


def test_an_interrupted_job_goes_on_in_its_image(container_user: User, cluster: Cluster) -> None:
    user = container_user
    job = user.submit("EXP=long")
    folder = Path(user.environment["RUNS_PATH"]) / "long" / job
    wait_until((folder / PAUSED).exists, 240)
    cluster.ask("scancel", "--signal=USR1", "--batch", job)
    wait_until(lambda: cluster.started(job) and "attempt 2" in user.log(job))
    assert cluster.wait(job, "COMPLETED", "FAILED", seconds=240) == "COMPLETED", user.log(job, "err")
    assert "Told to end" in user.log(job, "err")
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 3


def test_data_that_the_image_would_not_see_are_named(container_user: User, builder: Builder, few_records: Path) -> None:
    user = container_user
    elsewhere = Path(shutil.copy(few_records, builder.base / "elsewhere.h5"))
    link = user.home / "data" / "link.h5"
    link.symlink_to(elsewhere)
    words = ["slurm", "EXP=tiny", "ARGS=--data.path data/link.h5", "DRY_RUN=1"]
    try:
        refused, staged = user.make(*words), user.make(*words, "STAGE=1")
    finally:
        link.unlink()
    seen = f"{user.home / 'data'} and {user.environment['RUNS_PATH']}"
    assert f"sees {seen} only, not {elsewhere}, for data/link.h5" in refused.stderr
    assert "set DATA_PATH to its folder, or STAGE=1" in refused.stderr
    assert staged.returncode == 0, staged.stderr


_PROBE = """\
import os
import pathlib
import lightning.pytorch
import projection

for place in ("/opt/projection", "/usr", "/workspace/data", "/workspace/runs"):
    try:
        pathlib.Path(place, "written").touch()
        print(place, "written")
    except OSError as error:
        print(place, error.strerror)
print(os.getcwd(), os.environ.get("PYTHONPATH"), os.environ["SLURM_PROCID"], os.environ["LANG"])
print(projection.__file__)


class Model(lightning.pytorch.LightningModule):
    pass
"""


def test_the_image_and_the_data_cannot_be_written(container_user: User) -> None:
    user = container_user
    (user.home / "probe.py").write_text(_PROBE)
    places = {"DATA_PATH": str(user.home / "data"), "WORKSPACE": str(user.home)}
    surroundings = {"PYTHONPATH": "/mine", "SLURM_PROCID": "3", "LANG": "C.UTF-8"}
    command = ["launchers/singularity/run.sh", "fit", "--model", "probe.Model", "--print_config"]
    try:
        done = user.run(*command, **places, **surroundings)
    finally:
        (user.home / "probe.py").unlink()
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:6] == [
        "/opt/projection Read-only file system",
        "/usr Read-only file system",
        "/workspace/data Read-only file system",
        "/workspace/runs written",
        "/workspace None 3 C.UTF-8",
        "/workspace/projection/__init__.py",
    ]


@pytest.fixture(scope="module")
def rootless(image: str, builder: Builder, person: Person | None) -> Iterator[dict[str, str]]:
    """The environment of someone who has podman without being root, and has fetched the image."""
    if person is None:
        pytest.skip(f"there is no account {NAME}: tests/engines/install.sh makes it")
    with tempfile.TemporaryDirectory(prefix="rootless-", dir="/var/tmp") as folder:
        environment = builder.environment | images.own_store(Path(folder)) | person.environment
        shutil.chown(folder, NAME, NAME)
        Path("/dev/mqueue").mkdir(exist_ok=True)  # which sharing the host's memory takes for granted
        how: dict[str, Any] = {"cwd": folder, "env": environment, "check": True, "capture_output": True}
        subprocess.run(["podman", "pull", "--quiet", image], **how, **person.identity)
        yield environment
        subprocess.run(["podman", "unshare", "rm", "-rf", f"{folder}/graph", f"{folder}/run"], **how, **person.identity)


def test_whoever_is_not_root_trains_in_podman_and_owns_the_results(
    rootless: dict[str, str], image: str, person: Person, own_home: Path
) -> None:
    user = User(own_home, {**rootless, "IMAGE": image, "PROJECTION_RUN_ID": "rootless"}, person.identity)
    user.environment["ENGINE_OPTIONS"] = "--network=none --security-opt seccomp=unconfined"
    done = user.run("launchers/docker/run.sh", "fit", "--config", "configs/tiny.yaml", "--trainer.max_epochs", "1")
    assert done.returncode == 0, done.stderr
    results = own_home / "runs" / "tiny" / "rootless" / "results.json"
    assert 0 < json.loads(results.read_text())["test/auroc"] <= 1
    assert results.owner() == NAME


def test_a_kubernetes_job_trains_where_pods_are_played(builder: Builder, image: str) -> None:
    """Podman plays pods: what the Job starts."""
    asked = {"EXP": "tiny", "GPUS": "0", "CPUS": "2", "MEM": "4Gi", "RUN": "played", "IMAGE": image}
    printed = builder.run("launchers/kubernetes/job.sh", "--trainer.max_epochs", "1", VENV=sys.prefix, **asked)
    job = yaml.safe_load(printed)
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": job["metadata"], "spec": job["spec"]["template"]["spec"]}
    # this machine's kernel knows fewer calls than the filter of podman
    pod["metadata"]["annotations"] = {"seccomp.security.alpha.kubernetes.io/pod": "unconfined"}
    file = builder.base / "pod.yaml"
    file.write_text(yaml.safe_dump(pod))
    claims = {each["name"]: each.get("persistentVolumeClaim", {}).get("claimName") for each in pod["spec"]["volumes"]}
    for name in ("data", "runs"):
        builder.run("podman", "volume", "create", claims[name])
    places = {
        name: Path(builder.run("podman", "volume", "inspect", "--format={{.Mountpoint}}", claims[name]).strip())
        for name in ("data", "runs")
    }
    shutil.copy(builder.home / "data" / "corpus.h5", places["data"])
    os.chown(places["runs"], 10001, 10001)  # which fsGroup does
    builder.run("podman", "kube", "play", "--network=none", file)
    assert builder.run("podman", "wait", "played-train").split()[-1] == "0", builder.run(
        "podman", "logs", "played-train"
    )
    results = places["runs"] / "tiny" / "played" / "results.json"
    assert 0 < json.loads(results.read_text())["test/auroc"] <= 1
    builder.run("podman", "kube", "down", file)
