"""What every script owes its reader, and what reaches the command that it ends in."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from tests.launchers.conftest import executable

SCRIPTS = sorted([*ROOT.glob("launchers/**/*.sh"), *ROOT.glob("containers/*.sh"), *ROOT.glob("tests/engines/*.sh")])
NASTY = [
    "--a=b",
    "two words",
    "",
    "it's",
    '"',
    "$(touch pwned)",
    "`touch pwned`",
    "; touch pwned",
    '{"a": [1, "b c"]}',
    "*",
]
NASTY += ["a\nb", "\\", "--", "-x", "é ☃", "$HOME", "{a,b}", "~"]
# a stand-in for python, apptainer or podman that shows its arguments
SHOW = '#!/bin/sh\n[ "$1" = --list-gpus ] && exit 1\nprintf "%s\\0" "$@"\n'


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_scripts_stop_at_the_first_error(script: Path) -> None:
    if "It is sourced" in script.read_text():
        return
    assert "\nset -euo pipefail\n" in script.read_text()
    assert os.access(script, os.X_OK)


@pytest.fixture(scope="module")
def stand_ins(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("stand-ins")
    (folder / "bin").mkdir()
    (folder / "data").mkdir()
    (folder / "image.sif").touch()
    for name in ("python", "apptainer", "podman", "nvidia-smi"):
        (folder / "bin" / name).write_text(SHOW)
        (folder / "bin" / name).chmod(0o755)
    places = {"VENV": folder, "DATA_PATH": folder / "data", "RUNS_PATH": folder / "runs", "WORKSPACE": folder}
    environment = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin", "HOME": str(folder), "ENGINE": "podman"}
    return environment | {"CONTAINER": str(folder / "image.sif")} | {name: str(path) for name, path in places.items()}


@pytest.mark.parametrize("launcher", ["local.sh", "singularity/run.sh", "docker/run.sh"])
@given(arguments=st.lists(st.sampled_from(NASTY) | st.text(st.characters(exclude_characters="\0", codec="utf-8"))))
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_arguments_arrive_as_they_are(stand_ins: dict[str, str], launcher: str, arguments: list[str]) -> None:
    command = [ROOT / "launchers" / launcher, "fit", *arguments]
    done = subprocess.run(command, env=stand_ins, check=True, capture_output=True)
    found = done.stdout.decode().split("\0")[:-1]
    assert found[-1 - len(arguments) :] == ["fit", *arguments]


@given(arguments=st.lists(st.sampled_from([word for word in NASTY if word not in ("a\nb",)]), min_size=1))
@settings(max_examples=25)
def test_words_are_split_as_a_shell_splits_them_and_never_executed(arguments: list[str]) -> None:
    command = [ROOT / "launchers" / "with_args.sh", "printf", "%s\\0"]
    text = " ".join(shlex.quote(word) for word in arguments)
    done = subprocess.run(command, env={**os.environ, "ARGS": text}, check=True, capture_output=True, text=True)
    assert done.stdout.split("\0")[:-1] == arguments


@pytest.mark.parametrize("name", ["EXP", "ARGS", "PARTITION"])
def test_make_executes_nothing_that_a_user_gives(tmp_path: Path, name: str) -> None:
    for value in ("$(shell touch {})", "`touch {}`", "; touch {}", "$(touch {})", "' touch {} '", "x\ntouch {}"):
        witness = tmp_path / "pwned"
        command = ["make", "--no-print-directory", "fit", f"{name}={value.format(witness)}", f"VENV={tmp_path}"]
        # nothing of the virtual environment is there: the recipe fails after all expansion
        subprocess.run([*command, "PYTHON=false"], cwd=ROOT, capture_output=True)
        assert not witness.exists(), value


def test_tensorboard_shows_every_run_once(tmp_path: Path) -> None:
    for run in ("demo/1", "demo/2", "benchmark/all+nets/s4/3"):
        (tmp_path / "runs" / run / "tensorboard").mkdir(parents=True)
    (tmp_path / "runs" / "demo" / "latest").symlink_to("2")
    executable(tmp_path / "venv" / "bin" / "tensorboard", SHOW)
    for name in ("pyproject.toml", "constraints.txt", "venv/.installed"):
        (tmp_path / name).touch()
    command = ["make", "--no-print-directory", "-f", ROOT / "Makefile", "tensorboard", "VENV=venv"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    option, runs = done.stdout.split("\0")[:2]
    assert option == "--logdir_spec"
    names = ("benchmark/all+nets/s4/3", "demo/1", "demo/2")
    assert sorted(runs.split(",")) == [f"{name}:runs/{name}/tensorboard" for name in names]


def test_secrets_go_in_by_the_environment_and_strangers_stay_out(stand_ins: dict[str, str]) -> None:
    engine = Path(stand_ins["CONTAINER"]).parent / "bin" / "apptainer"
    engine.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > "$HOME/arguments"\nenv > "$HOME/environment"\n')
    secrets = {"WANDB_API_KEY": "s3cret", "https_proxy": "http://proxy", "PYTHONPATH": "/mine", "SLURM_PROCID": "1"}
    try:
        command = [ROOT / "launchers" / "singularity" / "run.sh", "fit"]
        subprocess.run(command, env=stand_ins | secrets, check=True)
    finally:
        engine.write_text(SHOW)
    arguments, environment = ((Path(stand_ins["HOME"]) / name).read_text() for name in ("arguments", "environment"))
    assert "s3cret" not in arguments
    assert "--cleanenv" in arguments
    for passed in ("WANDB_API_KEY=s3cret", "https_proxy=http://proxy", "SLURM_PROCID=1", "PYTHONNOUSERSITE=1"):
        assert f"APPTAINERENV_{passed}\n" in environment
        assert f"SINGULARITYENV_{passed}\n" in environment
    assert "ENV_PYTHONPATH" not in environment


@pytest.mark.parametrize(
    ("launcher", "missing", "told"),
    [
        ("singularity/run.sh", "CONTAINER", "there is no image"),
        ("singularity/run.sh", "DATA_PATH", "there is no data folder"),
        ("docker/run.sh", "DATA_PATH", "there is no data folder"),
        ("local.sh", "VENV", "make setup"),
    ],
)
def test_what_is_missing_is_named(stand_ins: dict[str, str], launcher: str, missing: str, told: str) -> None:
    environment = stand_ins | {missing: "/nowhere"}
    done = subprocess.run([ROOT / "launchers" / launcher, "fit"], env=environment, capture_output=True, text=True)
    assert done.returncode == 2
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_several_gpus_go_through_torchrun(stand_ins: dict[str, str]) -> None:
    environment = stand_ins | {"GPUS": "4", "DRY_RUN": "1"}
    command = [ROOT / "launchers" / "local.sh", "fit", "--config", "a b.yaml"]
    done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
    words = shlex.split(done.stdout)
    assert words[1:3] == ["-m", "torch.distributed.run"]
    assert words[words.index("--nproc-per-node") + 1] == "4"
    devices = ["--trainer.devices", "4", "--trainer.accelerator", "gpu"]
    assert words[-7:] == ["fit", "--config", "a b.yaml", *devices]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_script_says_what_it_is_for(script: Path, tmp_path: Path) -> None:
    if "It is sourced" in script.read_text() or script.parent.name == "engines" or script.name == "entrypoint.sh":
        return
    lines = script.read_text().splitlines()
    first = next(line for line in lines[1:] if not line.startswith("#SBATCH")).removeprefix("# ")
    done = subprocess.run([script, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert first in done.stdout.splitlines()
    assert not list(tmp_path.iterdir())


def test_a_switch_is_on_or_off() -> None:
    script = f'source {ROOT}/launchers/lib.sh; read_switches DRY_RUN; printf "%s" "$DRY_RUN"'
    for value, meant in (("1", "1"), ("true", "1"), ("YES", "1"), ("0", ""), ("False", ""), ("no", ""), ("", "")):
        environment = {"PATH": os.environ["PATH"], "DRY_RUN": value}
        done = subprocess.run(["bash", "-euc", script], env=environment, check=True, capture_output=True, text=True)
        assert done.stdout == meant, value


@pytest.mark.parametrize("launcher", ["local.sh", "singularity/run.sh", "docker/run.sh"])
def test_every_launcher_knows_what_a_switch_says(stand_ins: dict[str, str], launcher: str) -> None:
    command = [ROOT / "launchers" / launcher, "fit", "a b"]
    # what is shown is quoted; what is run tells its words apart by zeros
    for value, expected in (("true", "a\\ b"), ("no", "a b\0")):
        environment = {**stand_ins, "DRY_RUN": value}
        done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
        assert expected in done.stdout
    refused = subprocess.run(command, env={**stand_ins, "DRY_RUN": "mabye"}, capture_output=True, text=True)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.endswith(": DRY_RUN is a switch: 0 or 1, false or true, no or yes; found: mabye\n")


@pytest.mark.parametrize(
    ("given", "asked"),
    [
        ({}, []),
        ({"GPUS": "1"}, ["--trainer.accelerator", "gpu"]),
        ({"GPUS": "0"}, ["--trainer.accelerator", "cpu"]),
        ({"DEVICE": "cpu"}, ["--trainer.accelerator", "cpu"]),
    ],
)
def test_who_asks_for_gpus_trains_on_no_other_device(
    stand_ins: dict[str, str], given: dict[str, str], asked: list[str]
) -> None:
    done = subprocess.run(
        [ROOT / "launchers" / "local.sh", "fit"], env={**stand_ins, **given}, check=True, capture_output=True, text=True
    )
    assert done.stdout.split("\0")[2:-1] == ["fit", *asked]


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("WANDB_API_KEY=5ec4e7", "5ec4e7"),
        ("export WANDB_API_KEY='5ec4e7'", "5ec4e7"),
        ('OTHER=1\nWANDB_API_KEY="5ec4e7"\n', "5ec4e7"),
        ("#WANDB_API_KEY=5ec4e7", None),
        ("WANDB_API_KEY=$(touch pwned)", "$(touch pwned)"),
    ],
)
def test_a_key_may_stand_in_a_file(tmp_path: Path, line: str, key: str | None) -> None:
    (tmp_path / ".env").write_text(line)
    script = f'source {ROOT}/launchers/lib.sh; read_key {tmp_path}/.env; printf "%s" "${{WANDB_API_KEY-none}}"'
    for own, expected in (({}, key or "none"), ({"WANDB_API_KEY": "mine"}, "mine")):
        environment = {"PATH": os.environ["PATH"], **own}
        done = subprocess.run(["bash", "-euc", script], env=environment, check=True, capture_output=True, text=True)
        assert done.stdout == expected
    assert [path.name for path in tmp_path.iterdir()] == [".env"]
