"""Trainings on a real Slurm cluster of two nodes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.engines.cluster import Cluster
from tests.engines.daemons import wait_until
from tests.launchers.conftest import User

DONE = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


def runs(user: User) -> Path:
    return Path(user.environment["RUNS_PATH"])


def results(folder: Path) -> dict[str, float]:
    return json.loads((folder / "results.json").read_text())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def locally(user: User, folder: Path, experiment: str, *words: str, gpus: str = "1") -> Path:
    """Train without Slurm."""
    command = ["launchers/local.sh", "fit", "--config", f"configs/{experiment}.yaml", *words]
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "1", "GPUS": gpus, **user.environment}
    place = ["--trainer.default_root_dir", str(folder)]
    subprocess.run([*command, *place], cwd=user.home, env=environment, check=True, capture_output=True)
    return folder


def test_a_job_trains_to_completion(user: User, cluster: Cluster) -> None:
    (user.home / "uncommitted.py").write_text("mine = 1\n")
    job = user.submit("EXP=demo", "STAGE=1", "ARGS=--data.task 'superdiagnostic'")
    assert cluster.wait(job, *DONE) == "COMPLETED", user.log(job, "err")
    folder = runs(user) / "demo" / job
    assert 0 < results(folder)["test/auroc"] <= 1
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 14
    packed = subprocess.run(["tar", "-tzf", folder / "code.tar.gz"], check=True, capture_output=True, text=True).stdout
    assert "uncommitted.py" in packed.split()
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["git"].endswith("-dirty")
    assert str(folder) in user.log(job)
    assert "Traceback" not in user.log(job, "err")
    assert str(folder) in user.make("slurm-logs", f"JOB={job}").stdout


def test_an_earlier_commit_can_be_run(user: User, cluster: Cluster) -> None:
    broken = user.home / "projection" / "__init__.py"
    text = broken.read_text()
    broken.write_text("raise SyntaxError\n")
    try:
        job = user.submit("EXP=other", "CODE=HEAD")
        assert cluster.wait(job, *DONE) == "COMPLETED", user.log(job, "err")
    finally:
        broken.write_text(text)
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=user.home, check=True, capture_output=True, text=True)
    assert json.loads((runs(user) / "other" / job / "provenance.json").read_text())["git"] == commit.stdout.strip()


def test_two_nodes_with_two_tasks_learn_what_four_local_processes_learn(
    user: User, cluster: Cluster, tmp_path: Path
) -> None:
    job = user.submit("EXP=tiny", "GPUS=2", "NODES=2", "ARGS=--data.batch_size 8")
    local = locally(user, tmp_path / "local", "tiny", "--data.batch_size", "8", gpus="4")
    assert cluster.wait(job, *DONE) == "COMPLETED", user.log(job, "err")
    assert "2 x 2 tasks" in user.log(job)
    found, expected = results(runs(user) / "tiny" / job), results(local)
    assert found == pytest.approx(expected, abs=1e-4)


def requeued(cluster: Cluster, job: str) -> None:
    cluster.ask("scontrol", "requeue", job)


def warned_by_the_time_limit(cluster: Cluster, job: str) -> None:
    cluster.ask("scancel", "--signal=USR1", "--batch", job)


def signalled(cluster: Cluster, job: str) -> None:
    cluster.ask("scancel", "--signal=USR1", job)


def told_to_leave(cluster: Cluster, job: str) -> None:
    cluster.ask("scancel", "--signal=TERM", "--full", job)


def preempted(cluster: Cluster, job: str) -> None:
    urgent = ["--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--parsable"]
    cluster.ask("sbatch", *urgent, "--wrap=true")


def lost(cluster: Cluster, job: str) -> None:
    (node,) = cluster.ask("squeue", "--noheader", f"--jobs={job}", "--format=%N").split()
    cluster.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")


@pytest.mark.parametrize("interrupt", [requeued, warned_by_the_time_limit, signalled, told_to_leave, preempted, lost])
def test_an_interrupted_job_goes_on_and_ends_like_one_that_was_not(
    user: User, cluster: Cluster, undisturbed: Path, interrupt: Callable[[Cluster, str], None]
) -> None:
    job = user.submit("EXP=long")
    folder = runs(user) / "long" / job
    wait_until(lambda: (folder / "checkpoints" / "last.ckpt").exists())
    interrupt(cluster, job)
    wait_until(lambda: cluster.started(job) and "attempt 2" in user.log(job))
    assert cluster.wait(job, *DONE) == "COMPLETED", user.log(job, "err")
    assert [line.split(",")[1] for line in user.log(job).splitlines() if line.startswith(f"Job {job}, attempt")] == [
        " attempt 1",
        " attempt 2",
    ]
    for name, expected in weights(undisturbed).items():
        assert torch.equal(expected, weights(folder)[name]), name
    assert results(folder) == results(undisturbed)


@pytest.fixture(scope="module")
def undisturbed(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    user = User(home, {"VENV": sys.prefix})
    return locally(user, tmp_path_factory.mktemp("local") / "long", "long")


def test_requeues_are_bounded(user: User, cluster: Cluster) -> None:
    job = user.submit("EXP=long", "MAX_REQUEUES=0")
    wait_until(lambda: list(runs(user).glob(f"long/{job}/checkpoints/last.ckpt")))
    signalled(cluster, job)
    assert cluster.wait(job, *DONE) == "FAILED"
    assert f"make slurm-resume JOB={job}" in user.log(job, "err")


def test_a_cancelled_job_leaves_its_state_and_can_be_resumed(user: User, cluster: Cluster) -> None:
    job = user.submit("EXP=long", "ARGS=--trainer.max_epochs 60")
    wait_until(lambda: list(runs(user).glob(f"long/{job}/checkpoints/last.ckpt")))
    still_queued = user.make("slurm-resume", f"JOB={job}")
    assert "in the queue still" in still_queued.stderr
    assert user.make("slurm-cancel", f"JOB={job}").returncode == 0
    assert cluster.wait(job, *DONE) == "CANCELLED"
    wait_until(lambda: not cluster.queue())
    done = user.make("slurm-resume", f"JOB={job}")
    assert done.returncode == 0, done.stderr
    second = done.stdout.split("as job ")[1].split(":")[0]
    again = user.make("slurm-resume", f"JOB={job}")
    assert f"job {second} continues the run of job {job} already" in again.stderr
    assert cluster.wait(second, *DONE) == "COMPLETED", user.log(second, "err")
    assert [path.name for path in (runs(user) / "long").iterdir() if not path.is_symlink()] == [job]
    assert torch.load(runs(user) / "long" / job / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 59


def test_an_array_has_a_run_for_each_experiment_and_seed_and_one_can_be_resumed_alone(
    user: User, cluster: Cluster
) -> None:
    job = user.submit("EXP=other,third/deep,long", "SEEDS=0,1", "PARALLEL=6")
    cancelled, requeued = f"{job}_4", f"{job}_5"
    for task in (cancelled, requeued):
        wait_until((runs(user) / "long" / task / "checkpoints" / "last.ckpt").exists)
    cluster.ask("scancel", cancelled)
    warned_by_the_time_limit(cluster, requeued)
    wait_until(lambda: cluster.started(requeued) and not cluster.queue(), 240)
    ended = {str(path.parent.relative_to(runs(user))) for path in runs(user).rglob("results.json")}
    assert ended == {f"{name}/{job}_{task}" for task, name in enumerate(["other"] * 2 + ["third/deep"] * 2)} | {
        f"long/{requeued}"
    }
    assert [user.log(f"{job}_{task}").count("attempt 2") for task in range(6)] == [0, 0, 0, 0, 0, 1]

    done = user.make("slurm-resume", f"JOB={cancelled}")
    assert done.returncode == 0, done.stderr
    second = done.stdout.split("as job ")[1].split(":")[0]
    wait_until(lambda: not cluster.queue(), 240)
    assert results(runs(user) / "long" / cancelled)["test/auroc"] > 0
    assert "seed_everything: 0" in (runs(user) / "long" / cancelled / "config.yaml").read_text()
    logs = [path.name for path in (user.home / "logs").glob(f"*{second}*.out")]
    assert logs == [f"projection_train_{second}_4.out"]
