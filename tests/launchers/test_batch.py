"""The batch script that Slurm runs, with stand-ins for Slurm and for the training."""

import itertools
import os
import shlex
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.launchers.conftest import executable

SCRIPT = ROOT / "launchers" / "slurm" / "train.sh"
LONGEST = 60  # seconds
# starts what it is told to start, once
_SRUN = """\
#!/bin/bash
printf '%s\\x1f' "$@" >"$NOTES/step-$(date +%s%N)"
while [[ $1 == --* ]]; do shift; done
exec "$@"
"""
_SCONTROL = '#!/bin/sh\necho "$@" >>"$NOTES/scontrol"\nkill -TERM $PPID\n'  # Slurm ends a job that it requeues
_SQUEUE = '#!/bin/sh\necho "$STATE"\n'
# the training: tells what it sees, then does what a test wants
_PYTHON = """\
#!/bin/bash
printf '%s\\n' "$@" >"$NOTES/words"
{ pwd; readlink -f data; echo "$OMP_NUM_THREADS"; ls; } >"$NOTES/surroundings"
eval "$TRAINING"
"""
# ends at a signal, with the status that projection has then
_WAIT = """\
trap 'echo USR1 >"$NOTES/told"; exit 138' USR1
trap 'echo TERM >"$NOTES/told"; exit 143' TERM
echo ready >"$NOTES/ready"
while true; do read -r -t 1 <> <(:) || true; done
"""


@dataclass
class Job:
    """A job on a node that is this machine.

    Args:
        folder: For all of its files.
        environment: What Slurm and submit.sh export.
    """

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def run_folder(self) -> Path:
        return self.folder / "runs" / "tiny" / "7"

    def start(self, *words: str, **variables: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            ["bash", SCRIPT, *words],
            env={**self.environment, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *words: str, **variables: str) -> tuple[int, str]:
        process = self.start(*words, **variables)
        out, err = process.communicate(timeout=LONGEST)
        return process.returncode, out + err

    def noted(self, name: str) -> list[str]:
        file = self.folder / "notes" / name
        return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def job(tmp_path: Path) -> Iterator[Job]:
    stand_ins = {"srun": _SRUN, "scontrol": _SCONTROL, "squeue": _SQUEUE, "python": _PYTHON}
    for name, script in stand_ins.items():
        executable(tmp_path / "bin" / name, script)
    for name in ("notes", "data", "scratch", "runs"):
        (tmp_path / name).mkdir()
    (tmp_path / "data" / "corpus.h5").write_text("data")
    os.mkfifo(tmp_path / "notes" / "ready")
    archive = ["tar", "-czf", tmp_path / "code.tar.gz", "-C", ROOT, "launchers/slurm"]
    subprocess.run(archive, check=True)
    slurm = {"SLURM_JOB_ID": "7", "SLURM_JOB_NODELIST": "n1", "SLURM_JOB_NUM_NODES": "1", "SLURM_NTASKS_PER_NODE": "1"}
    slurm |= {"SLURMD_NODENAME": "n1"}
    places = {"VENV": tmp_path, "DATA_PATH": tmp_path / "data", "RUNS_PATH": tmp_path / "runs"}
    places |= {"SCRATCH": tmp_path / "scratch", "CODE_ARCHIVE": tmp_path / "code.tar.gz", "NOTES": tmp_path / "notes"}
    own = {"EXP": "tiny", "CONTAINER": "none", "STAGE": "", "DATA_FILES": "corpus.h5", "STATE": "RUNNING"}
    own |= {"PROJECTION_GIT_COMMIT": "abc", "TRAINING": "exit 0", "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    yield Job(tmp_path, {**slurm, **own, **{name: str(place) for name, place in places.items()}})
    assert not list((tmp_path / "scratch").iterdir()), "the workspace stayed behind"


def shown(**variables: str) -> list[str]:
    """The command that a job would run."""
    environment = {
        "PATH": os.environ["PATH"],
        "DRY_RUN": "1",
        "RUNS_PATH": "/runs",
        "CODE_ARCHIVE": "code.tar.gz",
        **variables,
    }
    done = subprocess.run(["bash", SCRIPT, "--x", "a b"], env=environment, check=True, capture_output=True, text=True)
    return shlex.split(done.stdout)


def test_each_task_of_an_array_has_its_experiment_seed_and_folder() -> None:
    experiments, seeds = ["tiny", "benchmark/all+nets/s4", "other"], ["5", "60"]
    array = {"EXP": ",".join(experiments), "SEEDS": ",".join(seeds), "SLURM_ARRAY_JOB_ID": "7", "SLURM_JOB_ID": "9"}
    array |= {"SLURM_JOB_NUM_NODES": "3", "SLURM_NTASKS_PER_NODE": "2"}
    array |= {"GPUS": "2"}
    for index, (experiment, seed) in enumerate(itertools.product(experiments, seeds)):
        assert shown(**array, SLURM_ARRAY_TASK_ID=str(index)) == [
            *("srun", "--nodes=3", "--ntasks-per-node=2", "python", "-m", "projection", "fit"),
            *(
                "--config",
                experiment,
                "--seed_everything",
                seed,
                "--trainer.accelerator",
                "gpu",
                "--x",
                "a b",
                "--trainer.num_nodes",
                "3",
                "--trainer.devices",
                "2",
            ),
            *("--trainer.default_root_dir", f"/runs/{experiment}/7_{index}", "--ckpt_path", "last"),
        ]


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"SLURM_JOB_ID": "7"}, "tiny/7"),
        ({"SLURM_JOB_ID": "8", "RUN_NAME": "7"}, "tiny/7"),
        ({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "8", "SLURM_ARRAY_TASK_ID": "0", "RUN_NAME": "7"}, "tiny/7_0"),
        ({"SLURM_ARRAY_JOB_ID": "8", "SLURM_ARRAY_TASK_ID": "1", "SEEDS": "0,1", "RUN_DIRS": "none,t/a/1"}, "t/a/1"),
    ],
)
def test_a_run_goes_on_in_the_folder_where_it_began(variables: dict[str, str], folder: str) -> None:
    words = shown(EXP="tiny", **variables)
    assert words[words.index("--trainer.default_root_dir") + 1] == f"/runs/{folder}"


@pytest.mark.parametrize(
    ("own", "begun", "expected"),
    [(False, False, ["last"]), (False, True, ["last"]), (True, False, ["x.ckpt"]), (True, True, ["x.ckpt", "last"])],
)
def test_a_job_goes_on_from_its_own_state_if_it_has_one(job: Job, own: bool, begun: bool, expected: list[str]) -> None:
    for name in ("best.ckpt", *(["last.ckpt"] if begun else [])):
        (job.run_folder / "checkpoints").mkdir(parents=True, exist_ok=True)
        (job.run_folder / "checkpoints" / name).touch()
    status, said = job.run(*(["--ckpt_path", "x.ckpt"] if own else []))
    assert status == 0, said
    words = job.noted("words")
    # of several, the command line takes the last one
    assert [words[place + 1] for place, word in enumerate(words) if word == "--ckpt_path"] == expected


def test_all_nodes_prepare_and_all_tasks_train(job: Job) -> None:
    variables = {"SLURM_JOB_NUM_NODES": "3", "SLURM_NTASKS_PER_NODE": "2", "SLURM_CPUS_PER_TASK": "5"}
    status, said = job.run(**variables)
    assert status == 0, said
    assert "attempt 1, tiny, on n1: 3 x 2 tasks, code abc, results in" in said
    notes = sorted((job.folder / "notes").glob("step-*"))
    *others, training = (note.read_text().split("\x1f")[:-1] for note in notes)
    for words in others:
        assert {"--nodes=3", "--ntasks=3", "--ntasks-per-node=1", "--kill-on-bad-exit=0"} < set(words)
    assert {words[-1] for words in others} == {"hold", "prepare"}
    workspace = f"{job.folder}/scratch/projection_7_0_n1"
    options = ["--overlap", "--nodes=3", "--ntasks=6", "--ntasks-per-node=2", "--cpus-per-task=5"]
    assert training[:8] == [*options, "--kill-on-bad-exit=1", "bash", "-c"]
    assert training[9:12] == ["node.sh", "run", "fit"]
    assert job.noted("surroundings") == [workspace, str(job.folder / "data"), "5", "data", "launchers", "runs"]
    assert (job.run_folder / "code.tar.gz").read_bytes() == (job.folder / "code.tar.gz").read_bytes()


def test_data_are_copied_to_the_disk_of_the_node(job: Job) -> None:
    (job.folder / "data" / "second").mkdir()
    (job.folder / "data" / "second" / "file.h5").write_text("more")
    see = 'cat data/corpus.h5 data/second/file.h5 >"$NOTES/seen"; ls data >"$NOTES/there"'
    (job.folder / "data" / "unused.h5").touch()
    status, said = job.run(STAGE="1", DATA_FILES="corpus.h5\nsecond/file.h5", TRAINING=see)
    assert status == 0, said
    assert job.noted("seen") == ["datamore"]
    assert job.noted("there") == ["corpus.h5", "second"]
    assert job.noted("surroundings")[1] == f"{job.folder}/scratch/projection_7_0_n1/data"


def test_a_copy_that_differs_is_not_trained_on(job: Job) -> None:
    executable(job.folder / "bin" / "tee", '#!/bin/sh\ncat >/dev/null\nprintf dat >"$1"\nprintf data\n')
    status, said = job.run(STAGE="1")
    assert status == 1
    assert "differs from it; is the disk of this node sound?" in said
    assert not job.noted("words")


@pytest.mark.parametrize(
    ("training", "state", "status", "requeued"),
    [
        ("exit 0", "RUNNING", 0, False),
        ("exit 1", "RUNNING", 1, False),
        ("exit 137", "RUNNING", 137, False),
        # it saved its state at a signal that went past the script
        ("exit 138", "RUNNING", -signal.SIGTERM, True),
        ("exit 143", "RUNNING", -signal.SIGTERM, True),
        # cancelled, or requeued already
        ("exit 138", "COMPLETING", 138, False),
        ("exit 143", "", 143, False),
    ],
)
def test_the_status_of_a_job_is_that_of_its_training(
    job: Job, training: str, state: str, status: int, requeued: bool
) -> None:
    found, said = job.run(TRAINING=training, STATE=state)
    assert found == status, said
    assert job.noted("scontrol") == (["requeue 7"] if requeued else [])


def test_one_task_of_an_array_is_requeued_alone(job: Job) -> None:
    job.run(TRAINING="exit 138", SLURM_ARRAY_JOB_ID="7", SLURM_JOB_ID="9", SLURM_ARRAY_TASK_ID="2", SEEDS="0,1,2")
    assert job.noted("scontrol") == ["requeue 7_2"]


@pytest.mark.parametrize(("limit", "most"), [("2", 2), ("0", 0), ("", 10)])
def test_a_job_is_requeued_as_often_as_allowed(job: Job, limit: str, most: int) -> None:
    if most:
        _, said = job.run(TRAINING="exit 138", MAX_REQUEUES=limit, SLURM_RESTART_COUNT=str(most - 1))
        assert f"Requeued after a signal (attempt {most} of at most {most + 1}); the run continues in" in said
    status, said = job.run(TRAINING="exit 138", MAX_REQUEUES=limit, SLURM_RESTART_COUNT=str(most))
    assert status == 1
    assert (
        f"Job 7 was requeued {most} times (MAX_REQUEUES={most}); its state is in {job.run_folder}/checkpoints." in said
    )
    assert job.noted("scontrol") == ["requeue 7"] * min(1, most)


@pytest.mark.parametrize("name", ["USR1", "TERM"])
def test_a_job_told_to_end_lets_its_training_save(job: Job, name: str) -> None:
    process = job.start(TRAINING=_WAIT)
    (job.folder / "notes" / "ready").read_text()
    process.send_signal(signal.Signals[f"SIG{name}"])
    out, err = process.communicate(timeout=LONGEST)
    assert process.returncode == -signal.SIGTERM, err
    # srun would kill the tasks at a SIGTERM
    assert job.noted("told") == ["USR1"]
    assert f"Requeued after {name} (attempt 1 of at most 11)" in out
    assert job.noted("scontrol") == ["requeue 7"]


def test_a_job_that_begins_again_clears_what_the_first_attempt_left(job: Job) -> None:
    left = job.folder / "scratch" / "projection_7_0_n1"
    left.mkdir()
    (left / "half").touch()
    status, said = job.run(SLURM_RESTART_COUNT="1")
    assert status == 0, said
    assert "attempt 2, tiny, on n1" in said
    assert "half" not in job.noted("surroundings")


def test_a_job_begins_whatever_its_code_calls_data(job: Job) -> None:
    """A commit may hold a link of that name, or its folder."""
    for number, kind in enumerate(("link", "folder")):
        place = job.folder / kind / "data"
        place.parent.mkdir()
        place.symlink_to("/shared/nowhere") if kind == "link" else place.mkdir()
        archive = ["tar", "-czf", job.folder / "code.tar.gz", "-C", ROOT, "launchers/slurm", "-C", place.parent, "data"]
        subprocess.run(archive, check=True)
        for stage in ("", "1"):
            look = {"TRAINING": 'cat data/corpus.h5 >"$NOTES/seen"', "RUN_NAME": f"{number}{stage}"}
            status, said = job.run(STAGE=stage, **look)
            assert status == 0, said
            assert job.noted("seen") == ["data"]


def test_a_run_that_does_not_exist_is_refused(job: Job) -> None:
    array = {"EXP": "tiny,other", "SEEDS": "0,1", "SLURM_ARRAY_JOB_ID": "7"}
    status, said = job.run(**array, SLURM_ARRAY_TASK_ID="4")
    assert status == 2
    assert said == "slurm: EXP=tiny,other SEEDS=0,1 are 4 runs, counted from 0; there is no run 4\n"
    assert job.run(**array, SLURM_ARRAY_TASK_ID="3")[0] == 0
