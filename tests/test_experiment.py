"""What an experiment is called."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from projection import resolve
from projection.__main__ import main
from projection.errors import ProjectionError
from projection.experiment import CONFIGS, experiment_files, experiment_name, with_configs


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
    assert with_configs(words) == words


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("trainer:\n  max_epochs: 3\n\tx: 1\n", "mine.yaml, line 3, is no YAML: found character '\\t' that cannot"),
        ("trainer: {max_epochs: 3\n", "mine.yaml, line 2, is no YAML: "),
        ("", "mine.yaml holds no settings, which are lines such as `seed_everything: 1`."),
        ("a: \0", "mine.yaml is no YAML: unacceptable character #x0000"),
        (
            "trainer:\n  max_epochs: 3\n  logger: false\n  max_epochs: 5\n",
            "mine.yaml, line 4: max_epochs is said a second time, after line 2.",
        ),
        (
            "trainer:\n  callbacks: [{class_path: a,\n    class_path: b}]\n",
            "mine.yaml, line 3: class_path is said a second time, after line 2.",
        ),
        (
            "seed_everything: 1\nmodel: recipes/misspelt.yaml\n",
            "mine.yaml, line 2: there is no recipes/misspelt.yaml, from which model is taken.",
        ),
        ("model: other.yaml\n", "other.yaml, line 1: net is said a second time, after line 1."),
    ],
)
def test_a_mistake_in_a_file_is_told_with_its_place(
    text: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(text)
    Path("other.yaml").write_text("{net: 1, net: 2}")
    with pytest.raises(SystemExit, match=re.escape(f"projection fit: {told}")):
        main(["fit", "--config", "mine.yaml"])
    # one thing in two places is no mistake
    Path("mine.yaml").write_text("a: &a {x: 1, y: {x: 1}}\nb: [*a, *a]\n")
    assert with_configs(["--config", "mine.yaml"]) == ["--config", "mine.yaml"]


def test_what_a_training_would_be_is_told_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    main(["resolve", "benchmark/rhythm+nets/s4", "--trainer.max_epochs", "3"])
    told = json.loads(capsys.readouterr().out)
    assert told["name"] == "benchmark/rhythm+nets/s4"
    assert told["configs"] == [str(CONFIGS / f"{name}.yaml") for name in ("benchmark/rhythm", "nets/s4")]
    assert told["folder"] == "runs/benchmark/rhythm+nets/s4"
    (data,) = told["data"]
    assert (data["path"], data["exists"]) == ("data/ptbxl_100hz.h5", False)
    assert [command.split()[3] for command in data["commands"]] == ["download", "convert"]
    assert data["commands"][1].endswith("--output data/ptbxl_100hz.h5 --sampling_rate 100 --source_version 1.0.3")
    settings = told["config"]
    assert (settings["trainer"]["max_epochs"], settings["data"]["init_args"]["labels"]) == (3, "rhythm")
    assert settings["model"]["init_args"]["net"]["class_path"] == "projection.nets.S4"
    assert not list(tmp_path.iterdir())


def test_an_experiment_of_the_user_s_own_is_in_configs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("configs").mkdir()
    Path("configs/mine.yaml").write_text((CONFIGS / "demo.yaml").read_text().replace("data/demo", "data/own"))
    main(["resolve", "mine+presets/debug"])
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["configs"][0]) == ("mine", "configs/mine.yaml")
    assert told["data"] == [{"path": "data/own_100hz.h5", "exists": False, "commands": []}]


@pytest.mark.thorough
def test_shells_get_the_fields_that_they_ask_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    fields = ["--field=name", "--field=data.path", "--field=config.trainer.max_epochs"]
    main(["resolve", "demo+presets/ema", "--data.path", '["a b.h5", "c.h5"]', *fields])
    assert capsys.readouterr().out.splitlines() == ["demo", "a b.h5", "c.h5", "15"]
    Path("chatty.py").write_text("print('hello')\nfrom lightning import Callback\nclass Quiet(Callback): pass\n")
    main(["resolve", "demo", "--trainer.callbacks+", "chatty.Quiet", "--field=name"])
    assert capsys.readouterr().out == "demo\n", "modules that speak when they are imported stay out of it"
    main(["resolve", "exp", "--config", "nets/s4", "--field=name"])
    assert capsys.readouterr().out == "exp+nets/s4\n", "as `fit` with the same words"
    with pytest.raises(SystemExit, match="An experiment has no field 'nmae'"):
        main(["resolve", "demo", "--field=nmae"])


def test_an_experiment_is_a_config_of_every_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = [word for name in ("benchmark/all", "nets/s4") for word in ("--config", str(CONFIGS / f"{name}.yaml"))]
    assert with_configs(["--config", "benchmark/all+nets/s4", "--x", "demo"]) == [*shipped, "--x", "demo"]
    assert with_configs(["--config=benchmark/all+nets/s4", "--y=1"]) == [*shipped, "--y=1"]
    assert experiment_files("configs/demo.yaml+presets/debug") == experiment_files("demo+presets/debug")
    Path("demo").touch()
    assert with_configs(["--config", "demo"]) == ["--config", "demo"], "a file of that name here is meant"
    with pytest.raises(
        ProjectionError, match=r"there is no configs/nope\.yaml; experiments: benchmark/all .* demo exp"
    ):
        with_configs(["--config", "nope"])


def test_data_that_are_missing_are_made_once_and_those_of_others_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    called: list[list[str]] = []

    def run(command: list[str]) -> "subprocess.CompletedProcess[str]":
        called.append(command)
        return subprocess.CompletedProcess(command, int("bad" in command or len(called) > 2))

    monkeypatch.setattr(resolve.subprocess, "run", run)
    Path("there.h5").touch()
    resolve.make_files(["there.h5", "data/ptbxl_500hz.h5", "data/ptbxl_500hz.h5"])
    project = [sys.executable, "-m", "projection"]
    assert [words[:4] for words in called] == [[*project, "download"], [*project, "convert"]]
    assert called[0][4:] == ["--output", "data/ptbxl", "--sampling_rates", "500"]
    assert called[1][4:8] == ["--source", "data/ptbxl", "--output", "data/ptbxl_500hz.h5"]
    assert capsys.readouterr().out == "data/ptbxl_500hz.h5 is not here yet, and made now.\n"
    with pytest.raises(ProjectionError, match=r"data/demo_100hz\.h5 could not be made: `python -m projection synth"):
        resolve.make_files(["data/demo_100hz.h5"])
    with pytest.raises(ProjectionError, match=r"There is no data file mine\.h5, which"):
        resolve.make_files(["mine.h5"])


def test_a_data_module_of_the_user_s_own_needs_no_data_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("theirs.py").write_text(
        "from lightning.pytorch import LightningDataModule\n\n\nclass Waves(LightningDataModule):\n    pass\n"
    )
    Path("configs").mkdir()
    Path("configs/waves.yaml").write_text(
        "data: {class_path: theirs.Waves}\nmodel: {class_path: tests.own_module.TutorialModel}\n"
    )
    main(["data", "waves"])
    assert capsys.readouterr().out == ""
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nope"], "there is no configs/nope.yaml; experiments: benchmark/all"),
        (["demo+nets/s5"], "there is no configs/nets/s5.yaml; there are nets/convnext1d nets/fcn_wang "),
        (["demo+debug"], "there is no configs/debug.yaml; there is presets/debug"),
        (["../demo"], "EXP is the name of an experiment, as in EXP=demo; found: ../demo"),
        (["demo;x"], "EXP is the name of an experiment"),
        ([], "Name an experiment first"),
        (["--trainer.max_epochs", "3"], "Name an experiment first"),
    ],
)
def test_what_is_no_experiment_is_refused(words: list[str], told: str) -> None:
    with pytest.raises(SystemExit, match=told.replace(".", r"\.")):
        main(["resolve", *words])
