"""`make table`: trained once, continued where it was interrupted, honest about what is there."""

import csv
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from projection.benchmark.__main__ import main
from projection.benchmark.grid import TableError
from projection.benchmark.training import alone
from tests.conftest import ROOT
from tests.engines.cluster import Cluster
from tests.engines.daemons import wait_until
from tests.launchers.conftest import User
from tests.launchers.pausing import PAUSED, Pause
from tests.launchers.trainings import runs

QUICK = (
    "--trainer.limit_train_batches 2 --data.batch_size 8 --trainer.accelerator cpu --trainer.enable_progress_bar false"
)

# in the middle of three epochs, each of two steps
PAUSING = f"--trainer.callbacks+ {Pause.__module__}.Pause --trainer.callbacks.step 3"


@pytest.fixture(scope="module")
def venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that needs no setting up."""
    folder = tmp_path_factory.mktemp("venv")
    python = folder / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (folder / ".installed").touch()
    return folder


@pytest.fixture(scope="module")
def place(few_records: Path, venv: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a user exports."""
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    asked = {"LABELS": "superdiagnostic", "NETS": "fcn_wang", "SEEDS": "0 1"}
    asked["ARGS"] = f"--data.path {few_records} --trainer.max_epochs 3 {QUICK} {PAUSING}"
    runs = tmp_path_factory.mktemp("runs")
    return {**outer, **asked, "VENV": str(venv), "RUNS_PATH": str(runs), "OMP_NUM_THREADS": "1"}


def start(environment: dict[str, str]) -> "subprocess.Popen[str]":
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(["make", "table"], cwd=ROOT, env=environment, text=True, start_new_session=True, **pipes)


def is_free(folder: Path) -> bool:
    """Whether the training of a killed table has ended too, which takes long on a busy machine."""
    try:
        with alone(folder):
            return True
    except TableError:
        return False


def content(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def finished(place: dict[str, str]) -> Path:
    """A table of two cells that was killed within the second one and made again."""
    folder = Path(place["RUNS_PATH"]) / "table"
    cells = [folder / "superdiagnostic" / "fcn_wang" / seed for seed in "01"]
    cells[0].mkdir(parents=True)
    (cells[0] / PAUSED).touch()
    with start(place) as first:
        wait_until((cells[1] / PAUSED).is_file, 240)
        os.killpg(first.pid, signal.SIGKILL)
    assert (cells[0] / "results.json").is_file()
    assert not (cells[1] / "results.json").exists()
    wait_until(lambda: is_free(folder), 240)
    before = content(cells[0])
    with start(place) as second:
        out, err = second.communicate(timeout=240)
    assert second.returncode == 0, err
    assert "2 cells: 1 finished, 1 to train." in out
    assert "[1 of 1] superdiagnostic fcn_wang 1 goes on from its last checkpoint" in out
    assert content(cells[0]) == before
    return folder


@pytest.mark.slow
def test_a_table_that_was_killed_goes_on_where_it_was(finished: Path) -> None:
    with (finished / "superdiagnostic" / "fcn_wang" / "1" / "metrics-2" / "metrics.csv").open() as file:
        epochs = [int(row["epoch"]) for row in csv.DictReader(file)]
    assert min(epochs) > 0
    last = torch.load(finished / "superdiagnostic" / "fcn_wang" / "1" / "checkpoints" / "last.ckpt", weights_only=True)
    assert (last["epoch"], last["global_step"]) == (2, 6)
    with (finished / "table.csv").open() as file:
        row = next(csv.DictReader(file))
    assert (row["net"], row["seeds"], row["published_auroc"]) == ("fcn_wang", "0 1", "0.925")
    assert (finished / "table.md").is_file()
    assert (finished / "table.svg").is_file()


def make_here(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], **variables: str) -> None:
    """What make runs, in this process: PyTorch takes long to import."""
    given = {**environment, **variables}
    for name in ("LABELS", "TASKS", "NETS", "SEEDS", "RUNS_PATH", "VENV", "LAUNCHER", "TABLE", "DRY_RUN"):
        monkeypatch.setenv(name, given.get(name, ""))
    main(given["ARGS"].split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("LABELS=all,supr", "LABELS are among all diagnostic form rhythm subdiagnostic superdiagnostic; found: supr"),
        ("TASKS=all", "TASKS is called LABELS now"),
        ("NETS=s4 ../nets/s4", r"NETS are among convnext1d fcn_wang .*; found: \.\./nets/s4"),
        ("SEEDS=0 1 -1", "SEEDS are whole numbers from 0 to 4294967295; found: -1"),
        ("SEEDS=4294967296", "SEEDS are whole numbers"),
        ("LAUNCHER=sge", "LAUNCHER is local, slurm or sagemaker; found: sge"),
        ("TABLE=../other", "TABLE is a name of letters, digits, - and _, .*; found: "),
        ("ARGS=--seed_everything 3", "ARGS set what a table sets itself: --seed_everything, by SEEDS"),
        ("ARGS=--data.labels form", "--data.labels, by LABELS"),
        ("ARGS=--trainer.default_root_dir x", "by RUNS_PATH and TABLE"),
        ("ARGS=--ckpt_path x.ckpt", "--ckpt_path, so that interrupted cells go on"),
        ("ARGS=--data.path /nowhere.h5", "There is no data file /nowhere.h5"),
        ("ARGS=--data.path=data/nowhere.h5", "There is no data file data/nowhere.h5"),
    ],
)
def test_what_cannot_be_made_is_told_in_one_line_before_anything_is_trained(
    place: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, told: str
) -> None:
    name, value = words.split("=", 1)
    with pytest.raises(SystemExit, match=f"table: .*{told}") as error:
        make_here(monkeypatch, place, **{"RUNS_PATH": str(tmp_path), name: value})
    assert "\n" not in str(error.value)
    assert not list(tmp_path.rglob("config.yaml"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("--trainer.max_epochs 4", "trainer.max_epochs 3, not 4"),
        ("--data.train_fraction 0.5", "data.train_fraction"),
    ],
)
def test_runs_of_other_settings_are_not_passed_off_as_the_new(
    place: dict[str, str], finished: Path, monkeypatch: pytest.MonkeyPatch, change: str, told: str
) -> None:
    before = content(finished)
    with pytest.raises(SystemExit, match=f"fcn_wang/0 was trained with {told}.* and 1 more differ.*TABLE=another"):
        make_here(monkeypatch, place, ARGS=f"{place['ARGS']} {change}")
    assert content(finished) == before


@pytest.mark.slow
def test_a_cell_that_fails_is_named_and_the_others_are_in_the_table(
    place: dict[str, str],
    finished: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    cells = tmp_path / "table" / "superdiagnostic"
    shutil.copytree(finished / "superdiagnostic" / "fcn_wang" / "0", cells / "fcn_wang" / "0")
    (cells / "xresnet1d18").write_text("where a folder should be\n")
    # it shows nothing on its way, and is no other training for that
    words = f"{place['ARGS']} --trainer.enable_model_summary false"
    asked = {"NETS": "xresnet1d18 fcn_wang", "SEEDS": "0", "ARGS": words, "RUNS_PATH": str(tmp_path)}
    with pytest.raises(SystemExit, match="table: 1 failed:\nsuperdiagnostic xresnet1d18 0 ended with status 1: "):
        make_here(monkeypatch, place, **asked)
    assert "| fcn_wang " in capfd.readouterr().out


def test_two_at_a_time_would_train_the_same_cells(
    place: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projection.benchmark.training._PATIENCE", 0.3)
    with alone(tmp_path / "table"), pytest.raises(SystemExit, match="another `make table` is at work in "):
        make_here(monkeypatch, place, RUNS_PATH=str(tmp_path))


@pytest.mark.slow
@pytest.mark.timeout(900)  # five times `make table`
def test_on_a_cluster_the_missing_cells_are_one_array(user: User, cluster: Cluster, venv: Path, finished: Path) -> None:
    table = runs(user) / "table" / "superdiagnostic"
    for name in ("fcn_wang/1", "xresnet1d18/0"):
        shutil.copytree(finished / "superdiagnostic" / "fcn_wang" / "0", table / name)
        (table / name / "config.yaml").write_text("trainer: {max_epochs: 1}\n")

    def make() -> str:
        asked = {"LABELS": "superdiagnostic", "NETS": "fcn_wang xresnet1d18", "SEEDS": "0 1", "GPUS": "0"}
        arguments = f"ARGS=--data.path data/corpus.h5 --trainer.max_epochs 1 {QUICK}"
        done = user.make("table", "LAUNCHER=slurm", arguments, VENV=str(venv), SBATCH_OPTIONS="--hold", **asked)
        assert done.returncode == 0, done.stderr
        return done.stdout

    said = make()
    assert "4 cells: 2 finished, 2 to train." in said
    job = said.split("Submitted job ")[1].split(":")[0]
    assert "4 cells: 2 finished, 2 under way, 0 to train." in make()
    cluster.ask("scontrol", "release", job)
    wait_until(lambda: not cluster.queue(), 240)
    assert sorted(path.name for path in (user.home / "logs").glob(f"*{job}_*.out")) == [
        f"projection_train_{job}_{index}.out" for index in (0, 3)
    ]
    for name in ("fcn_wang/0", "xresnet1d18/1"):
        assert (table / name / "results.json").is_file(), user.log(f"{job}_0", "err")
        assert f"seed_everything: {name[-1]}\n" in (table / name / "config.yaml").read_text()
    assert "4 cells: 4 finished, 0 to train." in make()
    assert (table.parent / "table.svg").is_file()


def test_stacked_configs_are_one_experiment(quick_user: User) -> None:
    user = quick_user
    stacked = ["EXP=benchmark/form+nets/s4", "ARGS=--data.path data/corpus.h5", "DRY_RUN=1"]
    local = user.make("fit", *stacked)
    assert "--config benchmark/form+nets/s4 --data.path data/corpus.h5" in local.stdout, local.stderr
    there = user.make("slurm", *stacked)
    command = "fit --config benchmark/form+nets/s4 --trainer.accelerator gpu --data.path data/corpus.h5 "
    assert command in there.stdout, there.stderr
    assert f"{runs(user)}/benchmark/form+nets/s4/JOB" in there.stdout
    missing = user.make("slurm", "EXP=benchmark/form+nets/nope")
    assert "slurm: benchmark/form+nets/nope is not accepted: there is no configs/nets/nope.yaml" in missing.stderr
