import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from projection.__main__ import main
from projection.parser import condensed
from tests.building import build
from tests.conftest import ROOT, Run

MIXUP = "[{class_path: projection.transforms.Mixup, init_args: {alpha: 2}}]"
# what the parser says, with status 2; the rest is said with 1
PARSING = (
    "Option 'pth' is not accepted",
    "unrecognized arguments: --trainr.max_epochs",
    "Expected one of 'all', 'diagnostic'",
    "no attribute 'NoNet'",
    "the following arguments are required: fit.model",
)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--config", "missing.yaml"], "File does not exist: missing.yaml; experiments: benchmark/all "),
        (["--config", "configs/presets/emma.yaml"], "presets/emma.yaml; there are presets/augment presets/bf16 "),
        (["--config", "dem"], "there is no configs/dem.yaml; Did you mean demo? experiments: "),
        (["--config", "demo+mine.yaml"], "`+` joins names without .yaml; a file has a --config of its own"),
        (["--config", "DEMO", "--data.pth", "x"], "Option 'pth' is not accepted"),
        (["--config", "DEMO", "--trainr.max_epochs", "1"], "unrecognized arguments: --trainr.max_epochs"),
        (["--config", "DEMO", "--data.labels", "everything"], "Expected one of 'all', 'diagnostic'"),
        (["--config", "DEMO", "--model.init_args.net", "projection.nets.NoNet"], "no attribute 'NoNet'"),
        (["--config", "DEMO", "--data.path", "none.h5"], "projection convert --source"),
        (["--config", "DEMO", "--ckpt_path", "none.ckpt"], "There is no checkpoint none.ckpt"),
        (["--config", "DEMO", "--data.path", "FILE", "--model.init_args.stride", "0"], "stride must be above 0 s"),
        (["--config", "DEMO", "--data.path", "FILE", "--model.init_args.window", "0"], "window must be above 0 s"),
        (["--config", "DEMO", "--data.path", "FILE", "--data.transforms", MIXUP], "Mixup needs an alpha above 0"),
        (["--config", "DEMO", "--data.test_folds", "[9]"], "in more than one of data.train_folds"),
        ([], "the following arguments are required: fit.model"),
        (
            ["--config", "DEMO", "--data.path", "FILE", "--model.net", "tests.own_module.TutorialModel"],
            "A net takes (leads, classes) first, then its own arguments.",
        ),
    ],
)
def test_mistakes_give_a_few_readable_lines(
    run: Run, arguments: list[str], told: str, corpus_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"DEMO": str(ROOT / "configs" / "demo.yaml"), "FILE": str(corpus_file)}
    with pytest.raises(SystemExit) as stopped:
        main(["fit", *(known.get(argument, argument) for argument in arguments), "--trainer.logger", "false"])
    message = capsys.readouterr().err + (stopped.value.code if isinstance(stopped.value.code, str) else "")
    parsing = told in PARSING
    assert stopped.value.code == 2 if parsing else isinstance(stopped.value.code, str)
    assert told in message
    assert "Traceback" not in message
    assert len(message.splitlines()) < 14
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--config", "DEMO", "--data.task", "form"], "data.task is called data.labels now."),
        (
            ["--config", "DEMO", "--model.net", "projection.models.S4"],
            "projection.models is called projection.nets now.",
        ),
        (
            ["--config", "DEMO", "--trainer.callbacks+", "projection.callbacks.MetricLines"],
            "called projection.training",
        ),
        (["--config", "DEMO", "--data.val_folds", "9,10"], "Expected a list, such as [9,10]. Got value: 9,10"),
        (
            ["--config", "DEMO", "--trainer.max_epoch", "3"],
            "unrecognized arguments: --trainer.max_epoch 3\nDid you mean --trainer.max_epochs?",
        ),
        (
            ["--config", "nets/s4+demo"],
            "No config before this one names a model: stack it on one, as in EXP=demo+nets/s4.",
        ),
        (["demo"], "An experiment or a file is named by --config, as in `--config demo`."),
        (
            ["--config", "DEMO", "--model.net", "FCNWong"],
            "No class of ours has that name; others need their module, as in mine.MyNet.\nDid you mean FCNWang?",
        ),
        (["--config", "DEMO", "--data", "tests.own_module.TwoLead"], "Did you mean TwoLeads?"),
        (["--config", "DEMO", "--data", "mein.Data"], "No module named 'mein'"),
        (
            ["--config", "DEMO", "--model.net.width", "8", "--model.net", "LSTM"],
            "CNN1d takes leads, classes, widths, kernel_size, dropout. A class is named before its options.",
        ),
        (
            ["--config", "DEMO", "--data.label", "all"],
            "transforms, residency. A class is named before its options.\nDid you mean labels?",
        ),
        (["--model.help", "S4"], "`--model ClassificationTask --model.net.help XResNet1d` shows a net."),
        ([], "`--config configs/exp.yaml` names a model, and so does `--model CLASS`."),
        (["--model", "ClassificationTask"], "Name one, as in `--model.net XResNet1d`, or take it from a config"),
    ],
)
def test_what_was_meant_is_told(run: Run, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    demo = str(ROOT / "configs" / "demo.yaml")
    with pytest.raises(SystemExit, match="2"):
        main(["fit", *(demo if argument == "DEMO" else argument for argument in arguments)])
    assert told in capsys.readouterr().err


def test_a_class_in_a_config_of_another_folder_is_found_where_the_command_runs(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", [place for place in sys.path if Path(place) != tmp_path])
    (tmp_path / "here_alone.py").write_text("from tests.own_module import TutorialModel as Mine\n")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "mine.yaml").write_text("model: {class_path: here_alone.Mine}\n")
    with pytest.raises(SystemExit, match="0"):
        main(["fit", "--config", "below/mine.yaml", "--print_config"])
    assert "class_path: here_alone.Mine" in capsys.readouterr().out


def test_files_of_the_current_folder_are_near(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine.py").touch()
    Path("mine.yaml").touch()
    with pytest.raises(SystemExit, match=r"File does not exist: mien\.yaml; Did you mean mine\.yaml\? experiments: "):
        main(["fit", "--config", "mien.yaml"])
    with pytest.raises(SystemExit, match="2"):
        main(["fit", "--config", "demo", "--data", "mein.Data"])
    assert "Did you mean mine?" in capsys.readouterr().err


def test_the_options_of_the_data_are_shown(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    for words, shown in (
        (["--data.help"], "--data.labels"),
        (["--data.help", "tests.own_module.TwoLeads"], "Help for --data.help=tests.own_module.TwoLeads"),
        (["--data.help", "projection.data.ecg.ECGDataModule"], "Set `class_names` and `lead_names` in the constructor"),
        (["--help"], "Options of the data: --data.help"),
    ):
        with pytest.raises(SystemExit, match="0"):
            main(["fit", *words])
        assert shown in capsys.readouterr().out


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["--help"])
    assert stopped.value.code == 0
    told = capsys.readouterr().out
    training = ("fit", "validate", "test", "predict")
    for command in (*training, "download", "synthesize", "convert", "verify", "info", "evaluate", "report", "table"):
        assert re.search(rf"^ +{command}\s", told, re.MULTILINE)


def test_an_unknown_command_ends_with_the_status_of_a_wrong_call(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["train"])
    assert stopped.value.code == 2
    assert "invalid choice: 'train'" in capsys.readouterr().err


def test_a_mistake_in_a_data_command_ends_with_status_1(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"projection info: There is no file .*none\.h5") as stopped:
        main(["info", str(tmp_path / "none.h5")])
    assert isinstance(stopped.value.code, str), "printed, with status 1"


@pytest.mark.parametrize("option", ["--help", "--model.help=ClassificationTask"])
def test_help_is_of_readable_length(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", option])
    told = capsys.readouterr().out
    assert len(told) < 40_000
    assert "torch.nn.LazyLinear" not in told


def test_print_config_shows_every_setting(run: Run, tiny: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", *tiny, "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["data"]["init_args"]["train_folds"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert config["checkpoint"] == {"monitor": "val/auroc", "mode": "max", "dirpath": None}
    assert config["last_checkpoint"] == {"dirpath": None, "every_n_epochs": 1, "every_n_minutes": 10.0}
    assert config["predictions"] == {"format": "csv"}
    assert config["progress_bar"] == {"refresh_rate": 10, "leave": False}
    assert not list(Path.cwd().iterdir())


def test_later_words_win_over_earlier_ones_and_those_over_the_defaults(tmp_path: Path) -> None:
    for name, epochs in (("a", 3), ("b", 4)):
        (tmp_path / f"{name}.yaml").write_text(f"trainer: {{max_epochs: {epochs}}}\n")
    model = ["--model", "tests.scripted.Scripted", "--trainer.default_root_dir", str(tmp_path / "run")]
    files = ["--config", str(tmp_path / "a.yaml"), "--config", str(tmp_path / "b.yaml")]
    assert build("fit", *files, *model).trainer.max_epochs == 4
    assert build("fit", *files, *model, "--trainer.max_epochs", "5").trainer.max_epochs == 5


def test_messages_keep_the_mistake_and_drop_the_parser_s_own_workings() -> None:
    said = """Parser key "data.labels":
  Does not validate against any of the Union subtypes
  Subtypes: [a, b]
  Errors:
    - Expected a typing.Literal['all', 'form']. Got value: x
    - Expected a <class 'NoneType'>
  Given value type: <class 'str'>
"""
    assert condensed(said).splitlines() == [
        'Parser key "data.labels":',
        "    - Expected one of 'all', 'form'. Got value: x",
    ]
    assert condensed("Errors:") == "Errors:", "something is always said"


def test_data_commands_answer_without_importing_torch() -> None:
    commands = ["download", "synthesize", "convert", "verify", "info"]
    code = (
        "import sys; from projection.__main__ import main\n"
        f"for command in {commands}:\n"
        "    try: main([command, '--help'])\n"
        "    except SystemExit: pass\n"
        "    print([name for name in ('torch', 'lightning', 'pandas', 'wfdb') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines().count("[]") == len(commands)
    assert re.findall(r"^usage: projection (\w+)", shown, re.MULTILINE) == commands


@pytest.mark.slow  # importing wandb and asking for a key take seconds
def test_weights_and_biases_without_a_key_is_told_in_one_line(
    run: Run, tiny: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "online")
    monkeypatch.setenv("HOME", str(tmp_path))  # where a key would be
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with pytest.raises(SystemExit, match=r"projection fit: Weights & Biases: .*Or set WANDB_MODE=offline\.$"):
        run("fit", *tiny, "--config", str(ROOT / "configs" / "presets" / "wandb.yaml"))
