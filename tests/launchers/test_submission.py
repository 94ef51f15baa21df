"""What `make slurm` refuses, what it shows, and what it leaves behind."""

import hashlib
import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engines.cluster import Cluster
from tests.launchers.conftest import User, executable
from tests.launchers.trainings import runs


@pytest.fixture
def temporary(visitor: User, tmp_path: Path) -> Iterator[Path]:
    """The folder of temporary files, which is empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    visitor.environment["TMPDIR"] = str(folder)
    yield folder
    assert not list(folder.iterdir())


def complaints(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What a failed command said, without make's own last line."""
    assert done.returncode != 0, done.stdout
    return [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["EXP=nope"], "slurm: nope is not accepted: there is no configs/nope.yaml; experiments: tiny"),
        (["EXP=tiny,nope"], "there is no configs/nope.yaml"),
        (["EXP=../configs/tiny"], "EXP is the name of an experiment"),
        (["EXP=tiny", "SEEDS=1;2"], "SEEDS are whole numbers separated by commas; found: 1;2"),
        (["EXP=tiny", "GPUS=two"], "GPUS is a whole number; found: two"),
        (["EXP="], "EXP is empty; name an experiment, as in EXP=demo"),
        (["EXP=tiny", "STAGE=2"], "STAGE is a switch: 0 or 1, false or true, no or yes; found: 2"),
        (["EXP=tiny", "DRY_RUN=dry"], "DRY_RUN is a switch: 0 or 1, false or true, no or yes; found: dry"),
        (["EXP=tiny", "DEVICE=tpu"], "DEVICE is gpu or cpu; found: tpu"),
        (["EXP=tiny", "SBATCH_OPTIONS=--comment='mine"], "SBATCH_OPTIONS has a quote without its other half"),
        (["EXP=tiny", "CONTAINER=/nowhere.sif"], "there is no image /nowhere.sif; make it with `make sif`"),
        (["EXP=tiny", "VENV=/nowhere"], "there is no virtual environment /nowhere"),
        (["EXP=tiny", "DATA_PATH=/nowhere"], "there is no data folder /nowhere"),
        (["EXP=exp"], "for data/ptbxl_100hz.h5, which exp names; `make data EXP=exp` makes data, or set DATA_PATH"),
        (["EXP=tiny", "ARGS=--data.path=/nowhere.h5"], "there is no file /nowhere.h5"),
        (
            ["EXP=tiny", "ARGS=--data.path=/dev/null", "STAGE=1"],
            "STAGE=1 copies what is named data/...; found: ",
        ),
        (
            ["EXP=tiny", "ARGS=--data.path=other/file.h5"],
            "files are named data/..., which is DATA_PATH, runs/..., which is RUNS_PATH",
        ),
        (["EXP=tiny", "CODE=nothing"], "git knows no commit nothing"),
        (["EXP=tiny", "ARGS=--trainer.max_epochs 'two"], "ARGS has a quote without its other half"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_run_is_refused_in_one_line_without_slurm(
    quick_user: User, temporary: Path, words: list[str], told: str
) -> None:
    _assert_refused(quick_user, words, told)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["GPUS=3", "DEVICE="], "Slurm refuses the job: Requested node configuration is not available"),
        (["NODES=3"], "Slurm refuses the job: "),
        (["MEM=1T"], "Slurm refuses the job: "),
        (["TIME=3-00:00:00"], "TIME=3-00:00:00 is more than partition performance gives, which is 1-12:00:00"),
        (["TIME=soon"], "Slurm refuses the job: Invalid --time specification"),
        (["PARTITION=nope"], "Slurm refuses the job: invalid partition specified: nope"),
        (["PARTITION=$(touch pwned)"], "Slurm refuses the job: "),
        (["RUNS_PATH=/proc/runs"], "run folders cannot be made in /proc/runs; set RUNS_PATH"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_slurm_would_not_run_is_refused_in_one_line(
    user: User, quick_user: User, cluster: Cluster, temporary: Path, words: list[str], told: str
) -> None:
    _assert_refused(user, ["EXP=tiny", *words], told)
    assert not cluster.queue()


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", ["--model.wdiths 3", "; touch pwned", "`touch pwned` && $(touch pwned) | touch pwned"]
)
def test_what_a_training_would_not_take_is_refused_in_one_line(visitor: User, temporary: Path, arguments: str) -> None:
    _assert_refused(visitor, ["EXP=tiny", f"ARGS={arguments}"], "slurm: tiny is not accepted: ")


def _assert_refused(user: User, words: list[str], told: str) -> None:
    said = complaints(user.make("slurm", *words))
    assert len(said) == 1, said
    assert told in said[0]
    assert not said[0].endswith(": ")
    assert not list(Path(user.environment["RUNS_PATH"]).iterdir())
    assert not list(user.home.rglob("pwned"))


@pytest.mark.parametrize(
    "name", ["a b", "a'b", 'a"b', "a;b", "$(touch pwned)", "$(shell touch pwned)", "`touch pwned`", "a\ntouch pwned"]
)
def test_a_name_that_is_no_experiment_is_refused_before_anything_is_run(visitor: User, name: str) -> None:
    said = complaints(visitor.make("slurm", f"EXP={name}"))
    assert len(said) == 1
    assert (
        "slurm: EXP is the name of an experiment, or several separated by commas, as in EXP=demo,exp; found: "
        in said[0]
    )
    assert not list(visitor.home.rglob("pwned"))


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one megabyte."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.getuid() != 0:
        pytest.skip("a disk of its own needs root")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    yield disk
    subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
def test_a_full_workspace_disk_ends_the_job_in_one_line(user: User, cluster: Cluster, full_disk: Path) -> None:
    job = user.submit("EXP=tiny", f"SCRATCH={full_disk}")
    assert cluster.wait(job, "COMPLETED", "FAILED") == "FAILED"
    (said,) = [line for line in user.log(job, "err").splitlines() if not line.startswith("srun: ")]
    assert said.startswith("projection on n")
    assert f"{full_disk} has 1 MB left, and the workspace needs " in said
    assert said.endswith("set SCRATCH to another disk")
    assert not list(full_disk.iterdir())


def test_a_full_temporary_disk_is_named_at_submission(quick_user: User, full_disk: Path) -> None:
    (full_disk / "ballast").write_bytes(bytes(900_000))
    said = complaints(quick_user.make("slurm", "EXP=tiny", TMPDIR=str(full_disk)))
    assert "No space left on device" in "".join(said)
    assert [path.name for path in full_disk.iterdir()] == ["ballast"]


def test_a_dry_run_shows_the_script_and_the_command_without_a_cluster(quick_user: User, temporary: Path) -> None:
    words = ["EXP=tiny", "SEEDS=7", "NODES=3", "GPUS=2", "TIME=8:00:00", "ACCOUNT=heart lab", "DRY_RUN=true"]
    done = quick_user.make("slurm", *words, "ARGS=--data.batch_size 8 --trainer.logger false", SLURM_CONF="/nowhere")
    assert done.returncode == 0, done.stderr
    submission, *script, command = done.stdout.splitlines()
    asked = shlex.split(submission)
    assert asked[0] == "sbatch"
    assert asked[1:] == [
        *(
            "--parsable",
            f"--chdir={quick_user.home}",
            "--export=ALL",
            "--account=heart lab",
            "--time=8:00:00",
            "--mem=2G",
        ),
        *("--nodes=3", "--cpus-per-task=1", "--gpus-per-node=2", "--ntasks-per-node=2", "launchers/slurm/train.sh"),
        *("--data.batch_size", "8", "--trainer.logger", "false"),
    ]
    assert script[0] == "#!/usr/bin/env bash"
    assert {"#SBATCH --signal=B:USR1@120", "#SBATCH --requeue", "#SBATCH --open-mode=append"} < set(script)
    command_line = "srun --nodes=3 --ntasks-per-node=2 python -m projection fit --config tiny"
    command_line += " --seed_everything 7 --trainer.accelerator gpu --data.batch_size 8 --trainer.logger false"
    command_line += f" --trainer.num_nodes 3 --trainer.devices 2 --trainer.default_root_dir {runs(quick_user)}/tiny/JOB"
    assert command.strip() == f"{command_line} --ckpt_path last"
    assert not list(runs(quick_user).iterdir())


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["EXP=tiny"], []),
        (["EXP=tiny", "SEEDS=3"], []),
        (["EXP=tiny,other", "SEEDS=0,1,2"], ["--array=0-5%4"]),
        (["EXP=tiny,other,third/deep", "PARALLEL=2"], ["--array=0-2%2"]),
        (["EXP=tiny", "SEEDS=4,5"], ["--array=0-1%4"]),
    ],
)
def test_several_experiments_or_seeds_are_an_array(quick_user: User, words: list[str], expected: list[str]) -> None:
    shown = shlex.split(quick_user.make("slurm", *words, "DRY_RUN=1", "GPUS=0").stdout.splitlines()[0])
    assert [word for word in shown if word.startswith("--array")] == expected
    logs = ["--output=logs/projection_train_%A_%a.out", "--error=logs/projection_train_%A_%a.err"]
    assert [word for word in shown if word.startswith(("--output", "--error"))] == (logs if expected else [])
    # without a GPU one process trains
    assert {"--gpus-per-node=0", "--ntasks-per-node=1"} < set(shown)


def test_a_site_file_sets_what_the_command_line_does_not(quick_user: User) -> None:
    site = quick_user.home / "launchers" / "slurm" / "site.env"
    site.write_text("PARTITION=cardiology\nGPUS=2\nSBATCH_OPTIONS=\"--constraint=a100 --comment='two words'\"\n")
    try:
        shown = shlex.split(quick_user.make("slurm", "EXP=tiny", "DRY_RUN=1", "GPUS=4").stdout.splitlines()[0])
    finally:
        site.unlink()
    assert {"--partition=cardiology", "--gpus-per-node=4", "--constraint=a100", "--comment=two words"} < set(shown)


@pytest.mark.slow
def test_jobs_are_listed_followed_and_cancelled(user: User, cluster: Cluster) -> None:
    job = user.submit("EXP=long", "SEEDS=3", "GPUS=0", "ARGS=--trainer.max_epochs -1")
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
        # what is not in training yet would end at once
        next(line for line in following.stdout if line.startswith("epoch=0 "))
        assert user.make("slurm-cancel", f"JOB={job}").returncode == 0
        assert "Told to end" in following.stdout.read()
    assert following.returncode == 0
    (listed,) = [line for line in user.make("slurm-status").stdout.splitlines() if line.startswith(job)]
    assert listed.split()[1] == ("CANCELLED" if cluster.keeps_accounts else "ended")
    assert listed.endswith(f"long, seed 3, {runs(user)}/long/{job}")
    assert "Told to end" in user.make("slurm-logs", f"JOB={job}").stdout


@pytest.mark.slow
@pytest.mark.parametrize("target", ["slurm-logs", "slurm-cancel", "slurm-resume"])
def test_jobs_that_are_none_are_named(user: User, target: str) -> None:
    for job in ("", "999999", "12;touch pwned", "$(touch pwned)"):
        said = complaints(user.make(target, f"JOB={job}"))
        assert len(said) == 1, said
        assert said[0].startswith("slurm: ")
    assert not list(user.home.rglob("pwned"))


# tells what it was asked, and takes every job
_SBATCH = """\
#!/bin/bash
[[ " $* " == *" --test-only "* ]] && exit
printf '%s\\n' "$@" >"$NOTES/words"
env >"$NOTES/environment"
echo "$NUMBER"
"""


@pytest.fixture
def taken(quick_user: User, tmp_path: Path) -> Callable[[], tuple[list[str], dict[str, str]]]:
    """Put stand-ins in Slurm's place; gives what was asked of sbatch."""
    scripts = {"sbatch": _SBATCH, "squeue": '#!/bin/sh\necho "$QUEUED"\n'}
    for name, script in scripts.items():
        executable(tmp_path / "bin" / name, script)
    places = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "NOTES": str(tmp_path), "QUEUED": ""}
    quick_user.environment |= places

    def read() -> tuple[list[str], dict[str, str]]:
        lines = (tmp_path / "environment").read_text().splitlines()
        return (tmp_path / "words").read_text().splitlines(), dict(line.split("=", 1) for line in lines if "=" in line)

    return read


def test_a_job_knows_its_code_and_its_places(
    quick_user: User, taken: Callable[[], tuple[list[str], dict[str, str]]]
) -> None:
    assert quick_user.submit("EXP=tiny", "SEEDS=3", "GPUS=0", "NODES=2", "STAGE=1", NUMBER="880001") == "880001"
    _, environment = taken()
    archive = Path(environment["CODE_ARCHIVE"])
    assert archive.name == f"{hashlib.sha256(archive.read_bytes()).hexdigest()[:16]}.tar.gz"
    assert archive.parent == runs(quick_user) / ".code"
    wanted = {"EXP": "tiny", "SEEDS": "3", "NODES": "2", "GPUS": "0", "STAGE": "1", "CONTAINER": "none"}
    wanted |= {"DATA_PATH": f"{quick_user.home}/data", "DATA_FILES": "corpus.h5", "RUNS_PATH": str(runs(quick_user))}
    assert {name: environment[name] for name in wanted} == wanted
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=quick_user.home, check=True, capture_output=True, text=True
    )
    assert environment["PROJECTION_GIT_COMMIT"].startswith(commit.stdout.strip())


def test_a_job_that_is_resumed_keeps_its_name_settings_and_code(
    quick_user: User, taken: Callable[[], tuple[list[str], dict[str, str]]]
) -> None:
    quick_user.submit("EXP=tiny,other", "SEEDS=0,1", "ARGS=--data.batch_size 'a b'", NUMBER="880002")
    words, first = taken()
    for before, number in (("880002_3", "880003"), ("880003_3", "880004")):
        done = quick_user.make("slurm-resume", f"JOB={before}", NUMBER=number, EXP="demo", RUNS_PATH="/nowhere")
        assert f"Submitted job {before} again, as job {number}" in done.stdout, done.stderr
        again, environment = taken()
        # the last of several options counts
        assert [word for word in again if word.startswith("--array")] == ["--array=3%4"]
        assert again[-2:] == words[-2:] == ["--data.batch_size", "a b"]
        assert environment["RUN_NAME"] == "880002"
        same = ("EXP", "SEEDS", "RUNS_PATH", "CODE_ARCHIVE", "PROJECTION_GIT_COMMIT", "DATA_FILES")
        assert [environment[name] for name in same] == [first[name] for name in same]
    refused = quick_user.make("slurm-resume", "JOB=880002_3", NUMBER="880005", QUEUED="880002_3")
    assert "job 880002_3 is in the queue still" in refused.stderr


@pytest.mark.thorough
def test_what_is_typed_when_a_job_is_resumed_counts(
    quick_user: User, taken: Callable[[], tuple[list[str], dict[str, str]]]
) -> None:
    quick_user.submit("EXP=tiny", "TIME=1:00:00", "MEM=4G", "GPUS=2", NUMBER="880010")
    typed = ["TIME=5:00:00", "GPUS=4", "PARTITION=urgent", "ARGS=--trainer.max_epochs 9", "EXP=other"]
    # these are no words of this line, but of the user's environment
    for name in ("TIME", "MEM"):
        del quick_user.environment[name]
    done = quick_user.make("slurm-resume", "JOB=880010", *typed, NUMBER="880011")
    assert done.returncode == 0, done.stderr
    words, environment = taken()
    assert {"--time=5:00:00", "--mem=4G", "--gpus-per-node=4", "--ntasks-per-node=4", "--partition=urgent"} < set(words)
    assert words[-2:] == ["--trainer.max_epochs", "9"]
    assert (environment["EXP"], environment["RUN_NAME"], environment["GPUS"]) == ("tiny", "880010", "4")
    shown = quick_user.make("slurm-resume", "JOB=880010", "DRY_RUN=true", "TIME=7", NUMBER="880012")
    assert "--time=7 " in shown.stdout
    assert taken()[0] == words


def test_a_controller_that_does_not_answer_is_no_empty_queue(
    quick_user: User, taken: Callable[[], object], tmp_path: Path
) -> None:
    quick_user.submit("EXP=tiny", NUMBER="880020")
    executable(tmp_path / "bin" / "squeue", "#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact' >&2\nexit 1\n")
    refused = quick_user.make("slurm-resume", "JOB=880020", NUMBER="880021")
    assert "slurm: Slurm does not answer, so nothing was done: Unable to contact" in refused.stderr


def test_a_record_of_an_older_version_is_named(quick_user: User, taken: Callable[[], object]) -> None:
    record = quick_user.home / "logs" / "projection_train_880030.sh"
    record.parent.mkdir(exist_ok=True)
    record.write_text('declare -x EXP="tiny"\ndeclare -x CODE_ARCHIVE="/code.tar.gz"\n')
    (said,) = complaints(quick_user.make("slurm-resume", "JOB=880030"))
    assert said.startswith("slurm: job 880030 was submitted by an older version")
    assert said.endswith("RUN_NAME=880030")
