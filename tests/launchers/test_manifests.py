"""What launchers print for clusters that are not here, read by those clusters' own schemas."""

import json
import os
import shlex
import subprocess
import sys
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT
from tests.engines.images import ENGINES

pytestmark = pytest.mark.slow  # each resolves an experiment in a process of its own

READER = ENGINES / "readers" / "bin" / "python"
BUCKETS = {"DATA": "s3://hospital/ecg", "RUNS": "s3://hospital/runs"}
# jobs, and what their schemas say of them
KUBERNETES = "import sys, yaml, kubernetes_validate as k; k.validate(yaml.safe_load(sys.stdin), '1.30', strict=True)"
SKYPILOT = """\
import sys, jsonschema, yaml
from sky.utils import schemas
jsonschema.validate(yaml.safe_load(sys.stdin), schemas.get_task_schema())
"""


def printed(launcher: str, *words: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": "/usr/bin:/bin", "VENV": sys.prefix, "HOME": os.environ["HOME"], **variables}
    command = [ROOT / "launchers" / launcher, *words]
    return subprocess.run(command, env=environment, capture_output=True, text=True)


def manifest(launcher: str, *words: str, **variables: str) -> dict[str, Any]:
    done = printed(launcher, *words, **variables)
    assert done.returncode == 0, done.stderr
    content: dict[str, Any] = yaml.safe_load(done.stdout)
    return content


def assert_valid(content: dict[str, Any], program: str) -> None:
    if not READER.exists():
        pytest.skip("the schemas are not installed: tests/engines/install.sh does it")
    done = subprocess.run([READER, "-c", program], input=yaml.safe_dump(content), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def wrong(content: dict[str, Any], program: str) -> None:
    done = subprocess.run([READER, "-c", program], input=yaml.safe_dump(content), capture_output=True, text=True)
    assert done.returncode, "the schema accepts anything"


def test_a_job_for_kubernetes_trains_the_experiment_and_goes_on_from_its_last_state() -> None:
    job = manifest("kubernetes/job.sh", "--trainer.max_epochs", "3", EXP="demo+nets/s4", GPUS="2", RUN="mine-1")
    assert_valid(job, KUBERNETES)
    wrong({**job, "spec": {**job["spec"], "backoffLimits": 1}}, KUBERNETES)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert shlex.join(container["args"]) == (
        "fit --config demo+nets/s4 --trainer.max_epochs 3 --trainer.default_root_dir runs/demo+nets/s4/mine-1 "
        "--ckpt_path last --trainer.accelerator gpu --trainer.devices 2"
    )
    assert container["resources"]["limits"] == {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": 2}
    places = {each["mountPath"]: each.get("readOnly", False) for each in container["volumeMounts"]}
    assert places == {"/workspace/data": True, "/workspace/runs": False, "/dev/shm": False}
    # longer than a training takes to save its state
    assert pod["terminationGracePeriodSeconds"] >= 60


def test_a_task_for_skypilot_trains_the_experiment_and_goes_on_from_its_last_state() -> None:
    task = manifest(
        "skypilot/task.sh", "--trainer.max_epochs", "3", EXP="demo", GPUS="0", SPOT="yes", RUN="mine", **BUCKETS
    )
    assert_valid(task, SKYPILOT)
    wrong({**task, "resource": {}}, SKYPILOT)
    assert task["resources"] == {"image_id": "docker:projection:latest", "cpus": "8+", "use_spot": True}
    assert {place: mount["source"] for place, mount in task["file_mounts"].items()} == {
        "/workspace/data": "s3://hospital/ecg",
        "/workspace/runs": "s3://hospital/runs",
    }
    assert (
        task["run"]
        .splitlines()[-1]
        .endswith(
            "entrypoint.sh 'fit' '--config' 'demo' '--trainer.max_epochs' '3' '--trainer.default_root_dir' "
            "'runs/demo/mine' '--ckpt_path' 'last' '--trainer.accelerator' 'cpu'"
        )
    )


def test_arguments_arrive_as_they_are() -> None:
    words = ["--data.path", 'two "words" $(HOME) \'; touch pwned']
    job = manifest("kubernetes/job.sh", *words, EXP="demo")
    assert [word.replace("$$(", "$(") for word in job["spec"]["template"]["spec"]["containers"][0]["args"]][
        3:5
    ] == words
    assert "$$(HOME)" in json.dumps(job), "or Kubernetes would replace it"
    task = manifest("skypilot/task.sh", *words, EXP="demo", **BUCKETS)
    assert shlex.split(task["run"].replace("cd /workspace && exec", ""))[4:6] == words


@pytest.mark.parametrize(
    ("launcher", "variables", "told"),
    [
        ("kubernetes/job.sh", {"EXP": "nope"}, "there is no configs/nope.yaml"),
        ("kubernetes/job.sh", {"EXP": "demo", "GPUS": "all"}, "GPUS is a number; found: all"),
        (
            "kubernetes/job.sh",
            {"EXP": "demo", "RUN": "Mine"},
            "RUN is a name of small letters, digits and -; found: Mine",
        ),
        ("skypilot/task.sh", {"EXP": "demo"}, "DATA and RUNS name where data and run folders are"),
    ],
)
def test_what_cannot_run_is_refused(launcher: str, variables: dict[str, str], told: str) -> None:
    done = printed(launcher, **variables)
    assert done.returncode == 2
    assert told in done.stderr
    assert not done.stdout
