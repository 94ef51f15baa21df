"""What an experiment is called."""

from pathlib import Path

from projection.experiment import experiment_name, find_configs


def test_experiments_are_named_after_all_that_is_stacked_but_for_presets(tmp_path: Path) -> None:
    configs, run = tmp_path / "configs", tmp_path / "runs" / "benchmark" / "all" / "1" / "config.yaml"
    preset, experiment, net = (configs / name for name in ("presets/debug.yaml", "benchmark/all.yaml", "nets/s4.yaml"))
    assert experiment_name([preset, experiment], "a.Model") == "benchmark/all"
    assert experiment_name([experiment, net, preset], "a.Model") == "benchmark/all+nets/s4"
    assert experiment_name([run], "a.Model") == "benchmark/all"
    assert experiment_name([tmp_path / "mine.yaml", net], "a.Model") == "mine+nets/s4"
    assert experiment_name([preset], "a.Model") == experiment_name([], "a.Model") == "Model"


def test_a_clone_below_a_folder_named_runs_or_configs_changes_no_name(tmp_path: Path) -> None:
    clone = tmp_path / "configs" / "runs" / "clone"
    assert experiment_name([clone / "configs" / "exp.yaml"], "a.Model") == "exp"
    assert experiment_name([tmp_path / "runs" / "runs" / "exp" / "1" / "config.yaml"], "a.Model") == "exp"


def test_settings_in_the_place_of_a_file_stay(tmp_path: Path) -> None:
    words = ["--config", "{trainer: {max_epochs: 3}, " + "x" * 5000 + "}"]
    assert find_configs(words) == words
