"""What `make slurm` refuses, what it shows, and what it leaves behind."""

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.cluster import Cluster
from tests.launchers.conftest import User


@pytest.fixture
def temporary(user: User, tmp_path: Path) -> Iterator[Path]:
    """The folder of temporary files, which is empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    user.environment["TMPDIR"] = str(folder)
    yield folder
    assert not list(folder.iterdir())


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a failed command said, without make's own last line."""
    assert done.returncode != 0, done.stdout
    return [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["EXP=nope"], "slurm: there is no configs/nope.yaml in the code to run; experiments: benchmark/all"),
        (["EXP=tiny,nope"], "there is no configs/nope.yaml"),
        (["EXP=../configs/tiny"], "EXP is an experiment"),
        (["EXP=tiny", "SEEDS=1;2"], "SEEDS are whole numbers separated by commas; found: 1;2"),
        (["EXP=tiny", "GPUS=two"], "GPUS is a whole number; found: two"),
        (["EXP=tiny", "GPUS=3"], "Slurm refuses the job: Requested node configuration is not available"),
        (["EXP=tiny", "NODES=3"], "Slurm refuses the job: "),
        (["EXP=tiny", "MEM=1T"], "Slurm refuses the job: "),
        (["EXP=tiny", "TIME=soon"], "Slurm refuses the job: Invalid --time specification"),
        (["EXP=tiny", "PARTITION=nope"], "Slurm refuses the job: invalid partition specified: nope"),
        (["EXP=tiny", "PARTITION=$(touch pwned)"], "Slurm refuses the job: "),
        (["EXP=tiny", "CONTAINER=/nowhere.sif"], "there is no image /nowhere.sif; make it with `make sif`"),
        (["EXP=tiny", "VENV=/nowhere"], "there is no virtual environment /nowhere"),
        (["EXP=tiny", "DATA_PATH=/nowhere"], "there is no data folder /nowhere"),
        (["EXP=exp"], "for data/ptbxl_100hz.h5, which configs/exp.yaml names; `make data EXP=exp` makes it"),
        (["EXP=tiny", "ARGS=--data.path=/nowhere.h5"], "there is no data file /nowhere.h5"),
        (
            ["EXP=tiny", "ARGS=--data.path=/dev/null", "STAGE=1"],
            "STAGE=1 copies what is named data/...; found: ",
        ),
        (
            ["EXP=tiny", "ARGS=--data.path=other/file.h5"],
            "data are named data/..., which is DATA_PATH",
        ),
        (["EXP=tiny", "CODE=nothing"], "git knows no commit nothing"),
        (["EXP=tiny", "RUNS_PATH=/proc/runs"], "run folders cannot be made in /proc/runs; set RUNS_PATH"),
        (["EXP=tiny", "ARGS=--trainer.max_epochs 'two"], "ARGS has a quote without its other half"),
        (["EXP=tiny", "ARGS=--trainer.max_epochs two"], "configs/tiny.yaml is not accepted: "),
        (["EXP=tiny", "ARGS=--model.wdiths 3"], "configs/tiny.yaml is not accepted: "),
        (["EXP=tiny", "ARGS=; touch pwned"], "configs/tiny.yaml is not accepted: "),
        (["EXP=tiny", "ARGS=$(touch pwned)"], "configs/tiny.yaml is not accepted: "),
        (["EXP=tiny", "ARGS=`touch pwned` && touch pwned | touch pwned"], "configs/tiny.yaml is not accepted: "),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_run_is_refused_in_one_line(
    user: User, cluster: Cluster, temporary: Path, words: list[str], told: str
) -> None:
    done = user.make("slurm", *words)
    said = complaints(done)
    assert len(said) == 1, said
    assert told in said[0]
    assert not said[0].endswith(": ")
    assert not cluster.queue()
    assert not list(Path(user.environment["RUNS_PATH"]).iterdir())
    assert not list(user.home.rglob("pwned"))


@pytest.mark.parametrize(
    "name", ["a b", "a'b", 'a"b', "a;b", "$(touch pwned)", "$(shell touch pwned)", "`touch pwned`", "a\ntouch pwned"]
)
def test_a_name_that_is_no_experiment_is_refused_before_anything_is_run(user: User, name: str) -> None:
    said = complaints(user.make("slurm", f"EXP={name}"))
    assert len(said) == 1
    assert "EXP is the name of an experiment, as in EXP=demo; found: " in said[0]
    assert not list(user.home.rglob("pwned"))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


def test_a_full_workspace_disk_ends_the_job_in_one_line(user: User, cluster: Cluster, full_disk: Path) -> None:
    job = user.submit("EXP=tiny", f"SCRATCH={full_disk}")
    assert cluster.wait(job, "COMPLETED", "FAILED") == "FAILED"
    (said,) = [line for line in user.log(job, "err").splitlines() if not line.startswith("srun: ")]
    assert said.startswith("projection on n")
    assert f"{full_disk} has 1 MB left, and the workspace needs " in said
    assert said.endswith("set SCRATCH to another disk")
    assert not list(full_disk.iterdir())


def test_a_full_temporary_disk_is_named_at_submission(user: User, cluster: Cluster, full_disk: Path) -> None:
    (full_disk / "ballast").write_bytes(bytes(900_000))
    said = complaints(user.make("slurm", "EXP=tiny", TMPDIR=str(full_disk)))
    assert "No space left on device" in "".join(said)
    assert [path.name for path in full_disk.iterdir()] == ["ballast"]
    assert not cluster.queue()


def test_a_dry_run_shows_the_script_and_the_command_without_a_cluster(user: User, temporary: Path) -> None:
    words = ["EXP=tiny", "SEEDS=7", "NODES=2", "GPUS=2", "TIME=8:00:00", "ACCOUNT=heart lab", "DRY_RUN=1"]
    done = user.make("slurm", *words, "ARGS=--data.batch_size 8 --trainer.logger false", SLURM_CONF="/nowhere")
    assert done.returncode == 0, done.stderr
    submission, *script, command = done.stdout.splitlines()
    asked = shlex.split(submission)
    assert asked[0] == "sbatch"
    expected = ["--account=heart lab", "--time=8:00:00", "--nodes=2", "--gpus-per-node=2", "--ntasks-per-node=2"]
    assert set(expected) < set(asked)
    assert script[0] == "#!/usr/bin/env bash"
    assert "#SBATCH --signal=B:USR1@120" in script
    assert command.startswith("srun --nodes=2 --ntasks-per-node=2 python -m projection fit ")
    for pair in ("--config configs/tiny.yaml", "--seed_everything 7", "--data.batch_size 8", "--trainer.num_nodes 2"):
        assert pair in command
    assert not list(Path(user.environment["RUNS_PATH"]).iterdir())


def test_a_site_file_sets_what_the_command_line_does_not(user: User) -> None:
    site = user.home / "launchers" / "slurm" / "site.env"
    site.write_text('PARTITION=cardiology\nGPUS=2\nSBATCH_OPTIONS="--constraint=a100 --nice"\n')
    try:
        shown = shlex.split(user.make("slurm", "EXP=tiny", "DRY_RUN=1", "GPUS=4").stdout.splitlines()[0])
    finally:
        site.unlink()
    assert {"--partition=cardiology", "--gpus-per-node=4", "--constraint=a100", "--nice"} < set(shown)


def test_jobs_are_listed_followed_and_cancelled(user: User, cluster: Cluster) -> None:
    job = user.submit("EXP=long", "GPUS=0", "ARGS=--trainer.max_epochs -1")
    assert job in user.make("slurm-status").stdout
    with subprocess.Popen(
        ["make", "slurm-logs", f"JOB={job}"],
        cwd=user.home,
        env=user.surroundings(),
        stdout=subprocess.PIPE,
        text=True,
    ) as following:
        assert following.stdout
        next(line for line in following.stdout if "attempt 1" in line)
        next(line for line in following.stdout if "Trainable params" in line)
        assert user.make("slurm-cancel", f"JOB={job}").returncode == 0
        assert "Told to end" in following.stdout.read()
    assert following.returncode == 0
    assert job not in user.make("slurm-status").stdout
    assert "Told to end" in user.make("slurm-logs", f"JOB={job}").stdout


@pytest.mark.parametrize("target", ["slurm-logs", "slurm-cancel", "slurm-resume"])
@pytest.mark.parametrize("job", ["", "999999", "12;touch pwned", "$(touch pwned)"])
def test_jobs_that_are_none_are_named(user: User, target: str, job: str) -> None:
    said = complaints(user.make(target, f"JOB={job}"))
    assert len(said) == 1, said
    assert said[0].startswith("slurm: ")
    assert not list(user.home.rglob("pwned"))
