"""Trainings on a real Slurm cluster of two nodes."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import torch

from tests.engines.cluster import Cluster
from tests.engines.daemons import wait_until
from tests.launchers.conftest import User
from tests.launchers.pausing import PAUSED
from tests.launchers.trainings import DONE, locally, results, runs

pytestmark = pytest.mark.slow


@pytest.fixture
def user(researcher: User) -> User:
    return researcher


def test_a_job_trains_to_completion(user: User, cluster: Cluster) -> None:
    (user.home / "uncommitted.py").write_text("mine = 1\n")
    job = user.submit("EXP=demo", "STAGE=1", "ARGS=--data.labels 'superdiagnostic' --trainer.max_epochs 2")
    assert cluster.wait(job, *DONE) == "COMPLETED", user.log(job, "err")
    folder = runs(user) / "demo" / job
    assert 0 < results(folder)["test/auroc"] <= 1
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 1
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
    commit = user.run("git", "rev-parse", "HEAD")
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


@pytest.mark.timeout(600)
def test_an_array_has_a_run_for_each_experiment_and_seed_and_one_can_be_resumed_alone(
    user: User, cluster: Cluster
) -> None:
    job = user.submit("EXP=third/deep,long", "SEEDS=0,1", "PARALLEL=4")
    cancelled, requeued = f"{job}_2", f"{job}_3"
    for task in (cancelled, requeued):
        wait_until((runs(user) / "long" / task / PAUSED).exists, 240)
    cluster.ask("scancel", cancelled)
    cluster.ask("scancel", "--signal=USR1", "--batch", requeued)
    wait_until(lambda: cluster.started(requeued) and not cluster.queue(), 240)
    ended = {str(path.parent.relative_to(runs(user))) for path in runs(user).rglob("results.json")}
    assert ended == {f"third/deep/{job}_0", f"third/deep/{job}_1", f"long/{requeued}"}
    assert [user.log(f"{job}_{task}").count("attempt 2") for task in range(4)] == [0, 0, 0, 1]

    done = user.make("slurm-resume", f"JOB={cancelled}")
    assert done.returncode == 0, done.stderr
    second = done.stdout.split("as job ")[1].split(":")[0]
    wait_until(lambda: not cluster.queue(), 240)
    assert results(runs(user) / "long" / cancelled)["test/auroc"] > 0
    assert "seed_everything: 0" in (runs(user) / "long" / cancelled / "config.yaml").read_text()
    logs = [path.name for path in (user.home / "logs").glob(f"*{second}*.out")]
    assert logs == [f"projection_train_{second}_2.out"]


def test_a_job_that_was_submitted_by_hand_trains_and_goes_on(user: User, cluster: Cluster) -> None:
    (user.home / "logs").mkdir(exist_ok=True)
    small = ["--mem=2G", "--cpus-per-task=1", "--time=30"]

    def submit(*words: str) -> str:
        done = user.run("sbatch", "--parsable", *small, "launchers/slurm/train.sh", *words)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    job = submit("EXP=tiny+presets/ema", "SEEDS=4", "--trainer.max_epochs", "1")
    assert cluster.wait(job, *DONE) == "COMPLETED", user.log(job, "err")
    folder = runs(user) / "tiny" / job
    assert "seed_everything: 4" in (folder / "config.yaml").read_text()
    assert (folder / "code.tar.gz").exists()
    again = submit("EXP=tiny+presets/ema", "SEEDS=4", f"RUN_NAME={job}", "--trainer.max_epochs", "2")
    assert cluster.wait(again, *DONE) == "COMPLETED", user.log(again, "err")
    assert torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] == 1
    for words, told in (
        (["EXPP=tiny"], "slurm: there is no variable EXPP"),
        (["EXP=nope"], "slurm: nope is not accepted"),
    ):
        refused = submit(*words)
        assert cluster.wait(refused, *DONE) == "FAILED"
        assert told in user.log(refused, "err")


def test_two_jobs_never_train_in_one_folder(user: User, cluster: Cluster) -> None:
    first = user.submit("EXP=long")
    wait_until((runs(user) / "long" / first / PAUSED).exists, 240)
    words = ["--mem=2G", "--cpus-per-task=1", "--time=30", "launchers/slurm/train.sh", "EXP=long", f"RUN_NAME={first}"]
    second = user.run("sbatch", "--parsable", *words).stdout.strip()
    assert cluster.wait(second, *DONE) == "FAILED"
    assert f"{runs(user)}/long/{first} is in use: process " in user.log(second, "err")
    cluster.ask("scancel", first)


def test_data_and_runs_may_be_links_and_relative_paths_mean_the_same_everywhere(user: User, cluster: Cluster) -> None:
    """The user's data and runs are on a shared disk, one of them read-only."""
    shared = runs(user)
    user.run("mkdir", shared / "runs")
    own = user.home / "data"
    own.rename(shared / "data")
    (shared / "data").chmod(0o555)
    links = {name: user.home / name for name in ("data", "runs")}
    for name, link in links.items():
        link.symlink_to(shared / name)
    user.environment.pop("RUNS_PATH")
    try:
        first = user.submit("EXP=other")
        assert cluster.wait(first, *DONE) == "COMPLETED", user.log(first, "err")
        start = f"--model.init_args.init_from runs/other/{first}/checkpoints/best.ckpt"
        missing = user.make("slurm", "EXP=other", f"ARGS={start.replace('best', 'none')}")
        assert (
            f"slurm: there is no file {shared}/runs/other/{first}/checkpoints/none.ckpt, for runs/other"
            in missing.stderr
        )
        for stage in ("no", "yes"):
            job = user.submit("EXP=other", f"STAGE={stage}", f"ARGS={start}")
            assert cluster.wait(job, *DONE) == "COMPLETED", user.log(job, "err")
            assert (shared / "runs" / "other" / job / "results.json").exists()
            assert f"From runs/other/{first}/checkpoints/best.ckpt: " in user.log(job, "err") + user.log(job)
        assert sorted(path.name for path in (shared / "data").iterdir()) == ["corpus.h5", "demo_100hz.h5"]
    finally:
        for link in links.values():
            link.unlink()
        (shared / "data").chmod(0o755)
        shutil.move(shared / "data", own)


def test_without_a_visible_gpu_nothing_trains_on_cpus_unasked(user: User, cluster: Cluster) -> None:
    job = user.submit("EXP=tiny", "DEVICE=")
    assert cluster.wait(job, *DONE) == "FAILED"
    assert "To train on CPUs: --trainer.accelerator cpu, or DEVICE=cpu for a launcher." in user.log(job, "err")


def test_what_failed_is_listed_with_slurms_word_for_it(user: User, cluster: Cluster) -> None:
    job = user.submit("EXP=tiny", "DEVICE=")
    assert cluster.wait(job, *DONE) == "FAILED"
    if not cluster.keeps_accounts:
        pytest.skip("Slurm keeps no accounts here: tests/engines/install.sh installs slurmdbd and a database")

    def listed() -> list[str]:
        lines = user.make("slurm-status").stdout.splitlines()
        (place,) = [number for number, line in enumerate(lines) if line.startswith(job)]
        return lines[place : place + 2]

    wait_until(lambda: "FAILED" in listed()[0])
    assert "tiny" in listed()[0]
    assert listed()[1].startswith(15 * " ")
    assert "DEVICE=cpu for a launcher" in listed()[1]


def test_three_hundred_jobs_are_queued_listed_and_cancelled(user: User, cluster: Cluster) -> None:
    seeds = ",".join(map(str, range(150)))
    job = user.submit("EXP=tiny,other", f"SEEDS={seeds}", "SBATCH_OPTIONS=--hold")
    listed = [line for line in user.make("slurm-status").stdout.splitlines() if line.startswith(f"{job}_")]
    assert len(listed) == 300
    (last,) = [line for line in listed if line.startswith(f"{job}_299 ")]
    assert last.split()[1:] == ["PENDING", "0:00", "30:00", "(JobHeldUser)", "other,", "seed", "149"]
    assert user.make("slurm-cancel", f"JOB={job}").returncode == 0
    wait_until(lambda: not cluster.queue())


def test_a_job_that_waits_says_why(user: User, cluster: Cluster) -> None:
    job = user.submit("EXP=tiny", "SBATCH_OPTIONS=--begin=now+1hour")
    with subprocess.Popen(
        ["make", "slurm-logs", f"JOB={job}"],
        cwd=user.home,
        env=user.surroundings(),
        stdout=subprocess.PIPE,
        text=True,
        **user.identity,
    ) as following:
        assert following.stdout
        said = next(following.stdout)
        (listed,) = [line for line in user.make("slurm-status").stdout.splitlines() if line.startswith(job)]
        cluster.ask("scancel", job)
    assert said.startswith(f"Job {job} is PENDING (BeginTime), expected to start: 20")
    assert listed.split()[1:] == ["PENDING", "0:00", "30:00", "(BeginTime)", "tiny"]
    assert following.returncode == 0
