import os
from pathlib import Path

import pytest

from projection.errors import ProjectionError
from projection.runs.folder import (
    RUN_ID,
    evaluated_checkpoint,
    is_finished,
    link_latest,
    run_id,
    run_of,
    shared_run_id,
    title,
    unused,
)
from projection.runs.states import check_checkpoint

# each rules those after it
NAMES = {"PROJECTION_RUN_ID": "mine", "SLURM_JOB_ID": "7", "TORCHELASTIC_RUN_ID": "abc", "TRAINING_JOB_NAME": "sage"}


@pytest.mark.parametrize("first", range(len(NAMES)))
def test_the_launcher_nearest_to_the_user_names_the_run(monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    for name, value in list(NAMES.items())[first:]:
        monkeypatch.setenv(name, value)
    assert run_id() == list(NAMES.values())[first]


def test_the_jobs_of_an_array_have_names_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SLURM_JOB_ID", "9"), ("SLURM_ARRAY_JOB_ID", "7"), ("SLURM_ARRAY_TASK_ID", "2")):
        monkeypatch.setenv(name, value)
    assert run_id() == "7_2"


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "bash"},
        {"SLURM_JOB_ID": "7", "SLURM_JOB_NAME": "interactive"},
        {"TORCHELASTIC_RUN_ID": "none"},
        {},
    ],
)
def test_otherwise_each_run_has_a_name_of_its_own(monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert run_id() != run_id()
    with shared_run_id():
        assert run_id() == run_id() == os.environ[RUN_ID]
    assert RUN_ID not in os.environ


def test_a_name_that_was_given_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RUN_ID, "mine")
    with shared_run_id():
        assert run_id() == "mine"
    assert os.environ[RUN_ID] == "mine"


def test_best_and_last_are_those_of_the_first_config_s_run(tmp_path: Path) -> None:
    configs = [tmp_path / "a" / "config.yaml", tmp_path / "b" / "config.yaml"]
    for name in ("best", "last"):
        assert evaluated_checkpoint(name, configs) == str(tmp_path / "a" / "checkpoints" / f"{name}.ckpt")
        assert evaluated_checkpoint(name, []) == str(Path("checkpoints") / f"{name}.ckpt")
    with pytest.raises(ProjectionError, match=r"`--ckpt_path best` is of the run whose config\.yaml is given"):
        evaluated_checkpoint("best", [tmp_path / "configs" / "demo.yaml"])
    for other in ("some.ckpt", "hpc", None):
        assert evaluated_checkpoint(other, configs) == other


def test_checkpoints_know_their_run(tmp_path: Path) -> None:
    assert run_of(str(tmp_path / "checkpoints" / "best.ckpt")) == tmp_path.resolve()
    assert run_of(str(tmp_path / "best.ckpt")) is None
    assert run_of(None) is None


def test_a_checkpoint_must_be_there_unless_lightning_looks_for_it() -> None:
    for elsewhere in (None, "last", "hpc", "s3://bucket/best.ckpt"):
        check_checkpoint(elsewhere)
    for missing in ("none.ckpt", "best/none.ckpt"):
        with pytest.raises(ProjectionError, match=f"There is no checkpoint {missing}"):
            check_checkpoint(missing)


def test_fit_is_told_how_to_use_the_best_checkpoint_of_a_run() -> None:
    with pytest.raises(ProjectionError, match=r"continues a run from `--ckpt_path last`\. .*init_from"):
        check_checkpoint("best")


def test_a_run_is_finished_with_its_results_and_test_predictions(tmp_path: Path) -> None:
    (tmp_path / "predictions").mkdir()
    (tmp_path / "predictions" / "val.csv").touch()
    (tmp_path / "results.json").touch()
    assert not is_finished(tmp_path)
    (tmp_path / "predictions" / "test.parquet").touch()
    assert is_finished(tmp_path)
    (tmp_path / "results.json").unlink()
    assert not is_finished(tmp_path)


def test_runs_of_one_name_in_two_experiments_are_told_apart(tmp_path: Path) -> None:
    for place in ("table/all/s4/0", "table/rhythm/s4/0", "benchmark/all+nets/s4/7"):
        assert title(tmp_path / "runs" / "of" / "runs" / place) == place
    assert title(tmp_path / "mine" / "1") == "mine/1"


def test_a_name_that_is_taken_gets_the_next_number(tmp_path: Path) -> None:
    for expected in ("metrics", "metrics-2", "metrics-3"):
        assert unused(tmp_path, "metrics") == expected
        (tmp_path / expected).mkdir()


def test_latest_points_at_the_newest_and_never_at_itself(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    for name in ("1", "2"):
        (runs / name).mkdir(parents=True)
        link_latest(runs / name)
    assert (runs / "latest").resolve() == (runs / "2").resolve()
    assert (runs / "latest").readlink() == Path("2"), "a folder that moves takes its link along"
    link_latest(runs / "latest")
    assert (runs / "latest").resolve() == (runs / "2").resolve()
    assert sorted(path.name for path in runs.iterdir()) == ["1", "2", "latest"]
    link_latest(tmp_path)
    assert not (tmp_path.parent / "latest").exists()


def test_a_file_that_is_no_link_is_left_alone(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    (runs / "1").mkdir(parents=True)
    (runs / "latest").write_text("mine")
    link_latest(runs / "1")
    assert (runs / "latest").read_text() == "mine"
