import os
from pathlib import Path

import pytest

from projection.run_folder import RUN_ID, evaluated_run, experiment_name, link_latest, run_id, shared_run_id, write_json

LAUNCHERS = ("PROJECTION_RUN_ID", "SLURM_JOB_ID", "SLURM_JOB_NAME", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*LAUNCHERS, "TORCHELASTIC_RUN_ID", "TRAINING_JOB_NAME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"PROJECTION_RUN_ID": "mine", "SLURM_JOB_ID": "7"}, "mine"),
        ({"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "train"}, "7"),
        ({"SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2"}, "7_2"),
        ({"TORCHELASTIC_RUN_ID": "abc"}, "abc"),
        ({"TRAINING_JOB_NAME": "sage"}, "sage"),
    ],
)
def test_launchers_name_the_run(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run_id() == expected


@pytest.mark.parametrize(
    "environment", [{"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "bash"}, {"TORCHELASTIC_RUN_ID": "none"}, {}]
)
def test_otherwise_each_run_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run_id() != run_id()
    with shared_run_id():
        assert run_id() == run_id() == os.environ[RUN_ID]
    assert RUN_ID not in os.environ


def test_experiments_are_named_after_their_config(tmp_path: Path) -> None:
    configs, run = tmp_path / "configs", tmp_path / "runs" / "benchmark" / "all" / "1" / "config.yaml"
    preset, experiment = configs / "presets" / "debug.yaml", configs / "benchmark" / "all.yaml"
    assert experiment_name([preset, experiment], "a.Model") == "benchmark/all"
    assert experiment_name([run], "a.Model") == "benchmark/all"
    assert experiment_name([tmp_path / "mine.yaml"], "a.Model") == "mine"
    assert experiment_name([preset], "a.Model") == experiment_name([], "a.Model") == "Model"


def test_checkpoints_know_their_run(tmp_path: Path) -> None:
    assert evaluated_run(str(tmp_path / "checkpoints" / "best.ckpt")) == tmp_path.resolve()
    assert evaluated_run(str(tmp_path / "best.ckpt")) is None
    assert evaluated_run(None) is None


def test_latest_points_at_the_newest_and_never_at_itself(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name in ("1", "2"):
        (runs / name).mkdir(parents=True)
        link_latest(runs / name)
    assert (runs / "latest").resolve() == (runs / "2").resolve()
    link_latest(runs / "latest")
    assert (runs / "latest").resolve() == (runs / "2").resolve()
    link_latest(tmp_path)
    assert not (tmp_path.parent / "latest").exists()


def test_a_file_that_is_no_link_is_left_alone(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (runs / "1").mkdir(parents=True)
    (runs / "latest").write_text("mine")
    link_latest(runs / "1")
    assert (runs / "latest").read_text() == "mine"


def test_json_appears_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "deep" / "a.json", {"b": 1})
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["a.json"]
