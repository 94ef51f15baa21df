"""How images are built, fetched and run, with stand-ins for the engines; test_images.py has the real ones."""

import shlex
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.launchers.conftest import executable

DIGITS = "#!/bin/sh\n[ $1 = -u ] && echo 7 || echo 8\n"
GPUS = "#!/bin/sh\necho 'GPU 0: NVIDIA A10G'\n"
NO_GPUS = "#!/bin/sh\nexit 9\n"
# keeps what it is told and sees; what it fetches is a file
ENGINE = """\
#!/bin/bash
printf '%s\\n' "$@" >>"$NOTES/words"
env >"$NOTES/environment"
if [[ $1 == pull ]]; then echo "$3" >"$2"; fi
exit "${FAIL:-0}"
"""


@pytest.fixture
def place(tmp_path: Path) -> dict[str, str]:
    """A machine with engines and without GPUs, and a checkout."""
    for name in ("docker", "podman", "apptainer"):
        executable(tmp_path / "bin" / name, ENGINE)
    executable(tmp_path / "bin" / "nvidia-smi", NO_GPUS)
    executable(tmp_path / "bin" / "id", DIGITS)
    for folder in ("code", "data", "runs"):
        (tmp_path / folder).mkdir()
    (tmp_path / "image.sif").write_text("an older image")
    environment = {"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "HOME": str(tmp_path), "NOTES": str(tmp_path)}
    places = {"WORKSPACE": "code", "DATA_PATH": "data", "RUNS_PATH": "runs", "CONTAINER": "image.sif"}
    return environment | {name: str(tmp_path / place) for name, place in places.items()}


def shown(script: str, *words: str, **environment: str) -> list[list[str]]:
    done = subprocess.run([ROOT / script, *words], env=environment, check=True, capture_output=True, text=True)
    return [shlex.split(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize(
    ("engine", "gpus"), [("docker", ["--gpus", "all"]), ("podman", ["--device", "nvidia.com/gpu=all"])]
)
@pytest.mark.parametrize("there", [True, False])
def test_docker_sees_the_code_the_data_and_the_runs(
    place: dict[str, str], tmp_path: Path, engine: str, gpus: list[str], there: bool
) -> None:
    executable(tmp_path / "bin" / "nvidia-smi", GPUS if there else NO_GPUS)
    passed = {"LANG": "C.UTF-8", "WANDB_API_KEY": "s3cret", "https_proxy": "p", "PROJECTION_RUN_ID": "1", "MINE": "2"}
    (command,) = shown("launchers/docker/run.sh", "fit", "a b", **place, **passed, ENGINE=engine, DRY_RUN="1")
    assert command == [
        *(engine, "run", "--rm", "--init", "--ipc=host", "--user", "7:8", "--workdir", "/workspace"),
        *(["--userns=keep-id"] if engine == "podman" else []),
        *("--volume", f"{tmp_path}/code:/workspace", "--volume", f"{tmp_path}/data:/workspace/data:ro"),
        *("--volume", f"{tmp_path}/runs:/workspace/runs", "--env", "WANDB_API_KEY"),
        *("--env", "https_proxy", "--env", "PROJECTION_RUN_ID", *(gpus if there else [])),
        *("projection:latest", "fit", "a b"),
    ]


@pytest.mark.parametrize(
    ("slurm", "there", "expected"),
    [
        ({}, True, True),
        ({}, False, False),
        # a job of CPUs on a node with GPUs, and one that was given some
        ({"SLURM_JOB_ID": "7"}, True, False),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_GPUS": "0"}, False, True),
        ({"SLURM_JOB_ID": "7", "SLURM_GPUS_ON_NODE": "2"}, False, True),
    ],
)
def test_singularity_sees_the_code_the_data_the_runs_and_gpus_of_the_job(
    place: dict[str, str], tmp_path: Path, slurm: dict[str, str], there: bool, expected: bool
) -> None:
    executable(tmp_path / "bin" / "nvidia-smi", GPUS if there else NO_GPUS)
    (command,) = shown("launchers/singularity/run.sh", "fit", "a b", **place, **slurm, DRY_RUN="1")
    data, runs = tmp_path / "data", tmp_path / "runs"
    assert command == [
        *(f"{tmp_path}/bin/apptainer", "exec", "--cleanenv", "--pwd", "/workspace"),
        *(
            "--bind",
            f"{tmp_path}/code:/workspace",
            "--bind",
            f"{data}:{data}:ro",
            "--bind",
            f"{data}:/workspace/data:ro",
        ),
        *("--bind", f"{runs}:{runs}", "--bind", f"{runs}:/workspace/runs", *(["--nv"] if expected else [])),
        *(f"{tmp_path}/image.sif", "python", "-m", "projection", "fit", "a b"),
    ]


def test_an_image_knows_of_its_surroundings_what_a_training_needs(place: dict[str, str], tmp_path: Path) -> None:
    passed = [
        "TZ",
        "WANDB_API_KEY",
        "WANDB_MODE",
        "http_proxy",
        "no_proxy",
        "all_proxy",
        "HTTPS_PROXY",
    ]
    passed += ["SLURM_PROCID", "SLURM_LOCALID", "SLURMD_NODENAME", "CUDA_VISIBLE_DEVICES", "NCCL_SOCKET_IFNAME"]
    passed += ["GLOO_SOCKET_IFNAME", "TORCH_HOME", "TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT", "RANK"]
    passed += ["LOCAL_RANK", "GROUP_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "OMP_NUM_THREADS"]
    passed += ["PROJECTION_RUN_ID", "PROJECTION_GIT_COMMIT"]
    kept = [
        "PYTHONPATH",
        "LD_LIBRARY_PATH",
        "LC_TIME",
        "LD_PRELOAD",
        "AWS_SECRET_ACCESS_KEY",
        "SSH_AUTH_SOCK",
        "MY_LANG",
        "RANKS",
    ]
    values = {name: f"value of {name}" for name in [*passed, *kept]}
    shown("launchers/singularity/run.sh", "fit", **place, **values, LANG="de_DE.UTF-8", LC_ALL="de_DE.UTF-8")
    english = {"PYTHONNOUSERSITE": "1", "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8"}
    lines = dict(line.split("=", 1) for line in (tmp_path / "environment").read_text().splitlines())
    for prefix in ("APPTAINERENV_", "SINGULARITYENV_"):
        found = {name.removeprefix(prefix): value for name, value in lines.items() if name.startswith(prefix)}
        assert found == {name: values[name] for name in passed} | english


def revision() -> str:
    command = ["git", "-C", ROOT, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return f"REVISION={subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()}"


@pytest.mark.parametrize(("engine", "own"), [("docker", []), ("podman", ["--format", "docker"])])
def test_an_image_is_built_and_pushed_as_asked(place: dict[str, str], engine: str, own: list[str]) -> None:
    words = ["--base", "b:1", "--torch", "cpu", "--name", "n", "--tag", "t", "--registry", "r.io/lab", "--push"]
    variables = {"ENGINE": engine, "PLATFORM": "linux/amd64"}
    build, push = shown("containers/build.sh", *words, "--dry-run", "--", "--no-cache", **place, **variables)
    assert build == [
        *(engine, "build", "--platform", "linux/amd64", "--file", "containers/Dockerfile", "--tag", "r.io/lab/n:t"),
        *("--build-arg", "BASE=b:1", "--build-arg", "TORCH_VARIANT=cpu", "--build-arg", revision(), *own),
        *("--no-cache", "."),
    ]
    assert push == [engine, "push", "r.io/lab/n:t"]


def test_help_is_given_wherever_it_is_asked_for(place: dict[str, str]) -> None:
    command = [ROOT / "containers" / "build.sh", "--tag", "t", "--help"]
    done = subprocess.run(command, env=place, check=True, capture_output=True, text=True)
    assert done.stdout.startswith("Builds the image with docker or podman")


def test_an_image_of_defaults_asks_for_nothing(place: dict[str, str], tmp_path: Path) -> None:
    (command,) = shown("containers/build.sh", "--dry-run", **place)
    docker = str(tmp_path / "bin" / "docker")
    named = ["--file", "containers/Dockerfile", "--tag", "projection:latest", "--build-arg", revision()]
    assert command == [docker, "build", *named, "."]


def test_a_singularity_image_replaces_the_older_one_whole(place: dict[str, str], tmp_path: Path) -> None:
    words = [
        "--singularity",
        "--bootstrap",
        "localimage",
        "--base",
        "/b",
        "--registry",
        "r.io",
        "--tag",
        "t",
        "--push",
        "--dry-run",
    ]
    build, move, push = shown("containers/build.sh", *words, **place)
    apptainer, target = f"{tmp_path}/bin/apptainer", f"{tmp_path}/image.sif"
    arguments = ["--build-arg", "BOOTSTRAP=localimage", "--build-arg", "BASE=/b", "--build-arg", revision()]
    assert build == [apptainer, "build", "--force", *arguments, f"{target}.partial", "containers/projection.def"]
    assert move == ["mv", f"{target}.partial", target]
    assert push == [apptainer, "push", target, "oras://r.io/projection:t"]


@pytest.mark.parametrize(
    ("words", "variables", "source"),
    [
        (["--registry", "r.io", "--branch", "main"], {}, "docker://r.io/projection:latest"),
        (["--branch", "my/new_idea.2"], {"IMAGE_REGISTRY": "r.io/lab"}, "docker://r.io/lab/projection:my-new_idea.2"),
        (["--registry", "a", "--name", "n", "--tag", "v1"], {"IMAGE_REGISTRY": "b"}, "docker://a/n:v1"),
    ],
)
def test_the_image_of_a_branch_is_fetched_into_its_place(
    place: dict[str, str], tmp_path: Path, words: list[str], variables: dict[str, str], source: str
) -> None:
    shown("launchers/slurm/pull_latest.sh", *words, **place, **variables)
    assert (tmp_path / "image.sif").read_text() == f"{source}\n"
    assert [path.name for path in tmp_path.glob("image.sif*")] == ["image.sif"]


def test_an_image_that_cannot_be_fetched_leaves_the_older_one(place: dict[str, str], tmp_path: Path) -> None:
    command = [ROOT / "launchers" / "slurm" / "pull_latest.sh", "--registry", "r.io", "--tag", "t"]
    done = subprocess.run(command, env=place | {"FAIL": "1"}, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"docker://r.io/projection:t could not be fetched; {tmp_path}/image.sif is as it was" in done.stderr
    assert (tmp_path / "image.sif").read_text() == "an older image"
    assert [path.name for path in tmp_path.glob("image.sif*")] == ["image.sif"]
