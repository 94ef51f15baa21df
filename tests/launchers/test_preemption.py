"""What interrupts a job on a real Slurm cluster, and how it goes on."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from tests.engines.cluster import Cluster
from tests.engines.daemons import wait_until
from tests.launchers.conftest import User
from tests.launchers.pausing import PAUSED
from tests.launchers.trainings import DONE, locally, results, runs, weights

pytestmark = pytest.mark.slow


@pytest.fixture
def user(researcher: User) -> User:
    return researcher


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
    wait_until((folder / PAUSED).exists, 240)
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
    user, folder = User(home, {"VENV": sys.prefix}), tmp_path_factory.mktemp("local") / "long"
    folder.mkdir()
    (folder / PAUSED).touch()
    return locally(user, folder, "long")


def test_requeues_are_bounded(user: User, cluster: Cluster) -> None:
    job = user.submit("EXP=long", "MAX_REQUEUES=0")
    wait_until((runs(user) / "long" / job / PAUSED).exists, 240)
    signalled(cluster, job)
    assert cluster.wait(job, *DONE) == "FAILED"
    assert f"make slurm-resume JOB={job}" in user.log(job, "err")


def test_a_cancelled_job_leaves_its_state_and_can_be_resumed(user: User, cluster: Cluster) -> None:
    job = user.submit("EXP=long")
    wait_until((runs(user) / "long" / job / PAUSED).exists, 240)
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
    assert f"Job {second} goes on with it" in user.make("slurm-logs", f"JOB={job}").stdout
    assert f"Job {second} (run {job}), attempt 1, long" in user.log(second)
    assert [path.name for path in (runs(user) / "long").iterdir() if not path.is_symlink()] == [job]
    assert torch.load(runs(user) / "long" / job / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 3
