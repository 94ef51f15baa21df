"""Which cells a table has, which of them are trained, and with what; nothing is trained here."""

import itertools
import os
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from projection.benchmark import cluster, training
from projection.benchmark.__main__ import main
from projection.benchmark.cell_settings import changes
from projection.benchmark.grid import Cell, TableError, cells_asked_for
from projection.errors import ProjectionError
from projection.resolve import data_paths
from tests.conftest import ROOT
from tests.launchers.conftest import executable

LABELS = ["all", "diagnostic", "form", "rhythm", "subdiagnostic", "superdiagnostic"]
NETS = sorted(path.stem for path in (ROOT / "configs" / "nets").glob("*.yaml"))


def cell(label_set: str, net: str, seed: int, folder: Path) -> Cell:
    return Cell(label_set, net, seed, folder / label_set / net / str(seed))


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, (LABELS, NETS, [0])),
        ({"LABELS": "form,all form", "NETS": "s4 lstm", "SEEDS": "3,0 3"}, (["form", "all"], ["s4", "lstm"], [3, 0])),
        ({"LABELS": "form", "NETS": "s4", "SEEDS": "4294967295"}, (["form"], ["s4"], [2**32 - 1])),
    ],
)
def test_a_table_has_each_label_set_with_each_net_and_seed(
    asked: dict[str, str], expected: tuple[list[str], list[str], list[int]], tmp_path: Path
) -> None:
    found = cells_asked_for(asked, tmp_path)
    assert found == [cell(*each, tmp_path) for each in itertools.product(*expected)]
    assert found[0].experiment == f"benchmark/{expected[0][0]}+nets/{expected[1][0]}"


def finish(each: Cell) -> None:
    (each.folder / "predictions").mkdir(parents=True)
    (each.folder / "predictions" / "test.csv").touch()
    (each.folder / "results.json").touch()


def queue(folder: Path, monkeypatch: pytest.MonkeyPatch, listed: str, records: dict[int, tuple[str, str]]) -> None:
    """Put a stand-in in the place of Slurm's queue, and what was noted when its jobs were submitted."""
    executable(folder / "bin" / "squeue", f"#!/bin/sh\nprintf '{listed}\\n'\n")
    (folder / "logs").mkdir()
    for job, (runs, folders) in records.items():
        text = f'declare -g -a arguments=()\ndeclare -g -x RUNS_PATH="{runs}"\ndeclare -g -x RUN_DIRS="{folders}"\n'
        (folder / "logs" / f"projection_train_{job}.sh").write_text(text)
    monkeypatch.setattr(cluster, "HOME", folder)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")


def test_cells_in_the_queue_are_left_to_their_jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # of an array, of one in another folder, of a single job, and of one that another checkout submitted
    listed = "11 2\\n11 0\\n12 1\\n13 N/A\\n14 0"
    records = {11: ("/runs", "t/a/0,none,t/b/1"), 12: ("/others", "u/a/0,u/a/1"), 13: ("/runs", "")}
    queue(tmp_path, monkeypatch, listed, records)
    assert cluster.queued() == {Path("/runs/t/b/1"), Path("/runs/t/a/0"), Path("/others/u/a/1")}


def test_a_queue_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "bin" / "squeue", "#!/bin/sh\necho 'squeue: error: Unable to contact' >&2\nexit 1\n")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(ProjectionError, match="none is submitted: Unable to contact"):
        cluster.queued(submitting=True)
    # where Slurm's programs are installed, and no cluster is there
    assert cluster.queued() == set()


def begin(each: Cell) -> None:
    (each.folder / "checkpoints").mkdir(parents=True)
    (each.folder / "checkpoints" / "last.ckpt").touch()


def test_what_is_not_finished_is_trained_with_its_own_seed_in_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    asked = {"LABELS": "form superdiagnostic", "NETS": "fcn_wang", "SEEDS": "0 7 8", "DRY_RUN": "1", "TABLE": "mine"}
    for name, value in {"LAUNCHER": "", **asked, "RUNS_PATH": str(tmp_path), "VENV": "/venv"}.items():
        monkeypatch.setenv(name, value)
    cells = cells_asked_for(asked, tmp_path / "mine")
    finish(cells[1])
    begin(cells[3])
    (cells[4].folder / "predictions").mkdir(parents=True)
    (cells[4].folder / "predictions" / "val.csv").touch()  # ended before its test was written
    (cells[4].folder / "results.json").touch()
    queue(tmp_path, monkeypatch, "11 1", {11: (str(tmp_path), "none,mine/superdiagnostic/fcn_wang/8")})
    main(["--trainer.max_epochs", "3"])
    first, *commands = capfd.readouterr().out.splitlines()
    assert first == "6 cells: 1 finished, 1 under way, 4 to train."
    assert [shlex.split(command) for command in commands] == [
        [
            *("/venv/bin/python", "-m", "projection", "fit", "--config", f"benchmark/{each.label_set}+nets/fcn_wang"),
            *("--trainer.max_epochs", "3"),
            *("--seed_everything", str(each.seed), "--trainer.default_root_dir", str(each.folder)),
            *("--ckpt_path", "last"),
        ]
        for position, each in enumerate(cells)
        if position not in (1, 5)
    ]


@pytest.mark.parametrize(
    ("script", "failed"),
    [
        ("exit 0", "left no results and no predictions"),
        ("exit 3", "ended with status 3"),
        ("exit 137", "ended with status 137"),
        ("exit 130", None),
        ("exit 138", None),
        ("exit 143", None),
        ("kill -TERM $$", None),
    ],
)
def test_a_training_that_failed_is_named_and_one_told_to_end_ends_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, failed: str | None
) -> None:
    executable(tmp_path / "bin" / "python", f'#!/bin/sh\necho x >>"{tmp_path}/begun"\n{script}\n')
    monkeypatch.setenv("VENV", str(tmp_path))
    monkeypatch.setenv("GPUS", "1")
    cells = [cell("form", net, 0, tmp_path) for net in ("s4", "lstm")]
    with training.alone(tmp_path) as held:
        if failed:
            assert training.train(cells, [], held) == dict.fromkeys(cells, failed)
        else:
            with pytest.raises(TableError, match="form s4 0 was told to end; the same `make table` goes on from there"):
                training.train(cells, [], held)
    assert (tmp_path / "begun").read_text() == "x\n" * (2 if failed else 1)


def test_a_training_that_did_its_work_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    each = cell("form", "s4", 0, tmp_path)
    executable(tmp_path / "bin" / "python", "#!/bin/sh\nexit 0\n")
    monkeypatch.setenv("VENV", str(tmp_path))
    finish(each)
    with training.alone(tmp_path) as held:
        assert training.train([each], [], held) == {}


def test_on_slurm_each_index_of_the_array_is_the_cell_that_it_should_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "runs" / "table"
    grid = [cell(*each, folder) for each in itertools.product(["form", "all"], ["s4", "lstm"], [0, 5, 11])]
    # with gaps, and the first one missing
    missing = [grid[position] for position in (2, 3, 5, 7, 10)]
    executable(tmp_path / "submit.sh", f'#!/bin/sh\nenv >"{tmp_path}/asked"\necho "$@" >"{tmp_path}/words"\n')
    monkeypatch.setattr(cluster, "_SLURM", tmp_path)
    cluster.submit(missing, ["benchmark/form+nets/s4"], ["--x", "1"])
    asked = dict(line.split("=", 1) for line in (tmp_path / "asked").read_text().splitlines() if "=" in line)
    assert (tmp_path / "words").read_text() == "--x 1\n"
    assert asked["CHECK"] == "benchmark/form+nets/s4"
    variables = {name: asked[name] for name in ("EXP", "SEEDS", "RUN_DIRS")} | {"PATH": os.environ["PATH"]}
    variables |= {"RUNS_PATH": str(folder.parent), "DRY_RUN": "1", "CODE_ARCHIVE": "code.tar.gz"}
    found = []
    for index in asked["ARRAY"].split(","):
        # what the batch script makes of it
        command = ["bash", ROOT / "launchers" / "slurm" / "train.sh"]
        environment = {**variables, "SLURM_ARRAY_TASK_ID": index}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        words = shlex.split(done.stdout)
        names = ("--config", "--seed_everything", "--trainer.default_root_dir")
        experiment, seed, place = (words[words.index(name) + 1] for name in names)
        label_set, net = (Path(part).name for part in experiment.split("+"))
        found.append(Cell(label_set, net, int(seed), Path(place)))
    assert sorted(found, key=str) == sorted(missing, key=str)


def changed(folder: Path, old: Any, new: Any) -> str:
    """Tell how settings differ from those of a run that has begun."""
    each = cell("form", "s4", 0, folder)
    each.folder.mkdir(parents=True, exist_ok=True)
    (each.folder / "config.yaml").write_text(yaml.safe_dump(old))
    return changes(each, new)


def nested(name: str, value: Any) -> Any:
    head, _, rest = name.partition(".")
    return {head: nested(rest, value) if rest else value}


@pytest.mark.parametrize(
    ("name", "matters"),
    [
        *((f"trainer.{name}", False) for name in ("accelerator", "devices", "num_nodes", "logger", "strategy")),
        *((name, False) for name in ("ckpt_path", "data.init_args.residency", "progress_bar", "predictions")),
        *((f"trainer.{name}", True) for name in ("max_epochs", "precision", "accumulate_grad_batches", "callbacks")),
        *((name, True) for name in ("seed_everything", "data.init_args.batch_size", "model.init_args.window")),
        *((name, True) for name in ("checkpoint.monitor", "data.init_args.path", "model.class_path")),
    ],
)
def test_where_a_run_took_place_is_no_difference_and_how_it_learned_is_one(
    tmp_path: Path, name: str, matters: bool
) -> None:
    told = f"{name.replace('.init_args', '')} 1, not 2" if matters else ""
    assert changed(tmp_path, nested(name, 1), nested(name, 2)) == told
    # of an older version of the code, or a newer one
    assert changed(tmp_path, nested(name, 1), nested(f"{name}s", 2)) == ""


def test_a_part_that_was_left_out_is_a_difference(tmp_path: Path) -> None:
    without = {"model": {"init_args": {"schedule": None}}}
    used = {"model": {"init_args": {"schedule": {"class_path": "a.OneCycle", "init_args": {"warmup": 0.3}}}}}
    assert changed(tmp_path, without, used) == "model.schedule None, not a.OneCycle"
    assert changed(tmp_path, used, without) == "model.schedule a.OneCycle, not None"


def test_changes_are_told_of_runs_that_have_begun(tmp_path: Path) -> None:
    each = cell("form", "s4", 0, tmp_path)
    settings = {"trainer": {"max_epochs": 3}, "data": {"init_args": {"path": ["a.h5", "b.h5"]}}}
    assert changes(each, settings) == ""
    each.folder.mkdir(parents=True)
    (each.folder / "config.yaml").write_text("trainer: {max_epochs: 2}\ndata: {init_args: {path: a.h5}}\n")
    assert changes(each, settings) == "trainer.max_epochs 2, not 3, data.path a.h5, not ['a.h5', 'b.h5']"
    assert data_paths(settings) == ["a.h5", "b.h5"]
    assert data_paths({"data": {"init_args": {"path": "a.h5"}}}) == ["a.h5"]
    assert data_paths({"data": {"class_path": "mine.Data"}}) == []
