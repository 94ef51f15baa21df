"""Which jobs a table knows of; a script stands in for SageMaker's launcher, which has tests of its own."""

import json
from pathlib import Path

import pytest

from projection.benchmark import cloud
from projection.benchmark.grid import Cell
from tests.launchers.conftest import executable

# tells what it was asked for
SCRIPT = """\
#!/bin/sh
echo "$* EXP=$EXP SEEDS=$SEEDS JOB=$JOB" >>{told}
case $1 in
submit) echo "Submitted job-1: at most 1 instance hours"; exit {status} ;;
status) echo "2026-01-01 10:00  Completed   job-1" ;;
esac
"""


def stand_in(folder: Path, monkeypatch: pytest.MonkeyPatch, status: int = 0) -> Path:
    executable(folder / "sagemaker.sh", SCRIPT.format(told=folder / "told", status=status))
    monkeypatch.setattr(cloud, "_SAGEMAKER", folder / "sagemaker.sh")
    return folder / "told"


def cells(folder: Path) -> list[Cell]:
    pairs = [("s4", 0), ("s4", 1), ("lstm", 1)]
    return [Cell("form", net, seed, folder / "form" / net / str(seed)) for net, seed in pairs]


def test_experiments_of_which_the_same_seeds_are_missing_are_submitted_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = stand_in(tmp_path, monkeypatch)
    three = [*cells(tmp_path), Cell("form", "lstm", 0, tmp_path)]
    cloud.submit(three[:3], ["--trainer.max_epochs", "2"], tmp_path)
    assert told.read_text().splitlines() == [
        "submit --trainer.max_epochs 2 EXP=benchmark/form+nets/s4 SEEDS=0,1 JOB=",
        "submit --trainer.max_epochs 2 EXP=benchmark/form+nets/lstm SEEDS=1 JOB=",
    ]
    told.unlink()
    cloud.submit([three[0], three[3]], [], tmp_path)
    assert told.read_text() == "submit EXP=benchmark/form+nets/s4,benchmark/form+nets/lstm SEEDS=0 JOB=\n"


def test_a_submission_that_breaks_off_keeps_the_jobs_that_it_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand_in(tmp_path, monkeypatch, status=2)
    with pytest.raises(SystemExit, match="2"):
        cloud.submit(cells(tmp_path)[:2], [], tmp_path)
    assert json.loads((tmp_path / "sagemaker.json").read_text()) == {"form s4 0": "job-1"}


@pytest.mark.parametrize(("dry", "asked"), [("1", ["status"]), ("", ["status", "fetch"])])
def test_a_dry_run_brings_nothing_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dry: str, asked: list[str]
) -> None:
    monkeypatch.setenv("DRY_RUN", dry)
    told = stand_in(tmp_path, monkeypatch)
    (tmp_path / "sagemaker.json").write_text('{"form s4 0": "job-1"}')
    busy = cloud.collect(cells(tmp_path), tmp_path)
    assert [line.split()[0] for line in told.read_text().splitlines()] == asked
    assert busy == ({cells(tmp_path)[0].folder} if dry else set())
