"""The container's entry point, in a folder shaped like /opt/ml."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from launchers.sagemaker.contract import Place
from launchers.sagemaker.experiment import Experiment
from launchers.sagemaker.rehearsal import lay
from launchers.sagemaker.request import metric_definitions
from launchers.sagemaker.settings import METRICS
from tests.conftest import ROOT
from tests.engines.daemons import free_ports, wait_until


def start(prefix: Path, *before: str | Path, **variables: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "SAGEMAKER_PREFIX": str(prefix), "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*before, ROOT / "launchers" / "sagemaker" / "train.sh", "train"],
        env={**environment, "TRAINING_JOB_NAME": "job-1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def train(prefix: Path) -> tuple[int, str]:
    process = start(prefix)
    said, _ = process.communicate(timeout=120)
    return process.returncode, said


def last(prefix: Path) -> Path:
    return prefix / "checkpoints" / "checkpoints" / "last.ckpt"


def weights(prefix: Path) -> dict[str, torch.Tensor]:
    return torch.load(last(prefix), weights_only=True)["state_dict"]


def assert_same_run(found: Path, expected: Path) -> None:
    for name, value in weights(expected).items():
        assert torch.equal(value, weights(found)[name]), name
    results = [json.loads((prefix / "model" / "results.json").read_text()) for prefix in (found, expected)]
    assert results[0] == results[1]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, corpus_file: Path) -> Path:
    from tests.launchers.sagemaker.conftest import experiment

    prefix = tmp_path_factory.mktemp("ml")
    lay(prefix, experiment("long", corpus_file))
    status, said = train(prefix)
    assert status == 0, said
    return prefix


def test_a_job_trains_and_leaves_what_the_platform_takes(tmp_path: Path, tiny_experiment: Experiment) -> None:
    lay(tmp_path, replace(tiny_experiment, hyperparameters={"config": "tiny", "trainer.max_epochs": "3"}))
    (tmp_path / "output").mkdir()
    (tmp_path / "output" / "failure").write_text("of an earlier start")
    status, said = train(tmp_path)
    assert status == 0, said
    assert not (tmp_path / "output" / "failure").exists()
    results = json.loads((tmp_path / "output" / "data" / "results.json").read_text())
    assert 0 < results["test/auroc"] <= 1
    assert torch.load(tmp_path / "model" / "checkpoints" / "best.ckpt", weights_only=True)["epoch"] < 3
    assert "max_epochs: 3" in (tmp_path / "model" / "config.yaml").read_text()
    assert (tmp_path / "output" / "data" / "predictions" / "test.csv").exists()
    assert (tmp_path / "output" / "data" / "metrics" / "metrics.csv").exists()
    assert not list((tmp_path / "output").rglob("*.ckpt"))

    found = {each["Name"]: re.findall(each["Regex"], said) for each in metric_definitions(METRICS)}
    assert [len(values) for values in found.values()] == [3, 3, 3, 3, 1, 1, 1]
    assert float(found["test/auroc"][0]) == pytest.approx(results["test/auroc"], abs=1e-5)


def test_a_killed_job_resumes_from_what_was_kept(
    tmp_path: Path, long_experiment: Experiment, undisturbed: Path
) -> None:
    lay(tmp_path, long_experiment)
    process = start(tmp_path)
    wait_until(lambda: last(tmp_path).exists())
    (trainer,) = children(process.pid)
    process.kill()
    os.kill(trainer, signal.SIGKILL)
    process.communicate()
    status, said = train(tmp_path)
    assert status == 0, said
    assert "Restored all states" in said
    assert_same_run(tmp_path, undisturbed)


def test_a_job_told_to_end_saves_its_state_in_time(
    tmp_path: Path, long_experiment: Experiment, undisturbed: Path
) -> None:
    lay(tmp_path, long_experiment)
    process = start(tmp_path)
    wait_until(lambda: last(tmp_path).exists())
    begun = time.monotonic()
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=120)
    assert time.monotonic() - begun < 30
    assert process.returncode == 128 + signal.SIGTERM, said
    assert "is saved in" in said
    assert (tmp_path / "model" / "checkpoints" / "best.ckpt").exists()
    assert not (tmp_path / "output" / "failure").exists()
    status, said = train(tmp_path)
    assert status == 0, said
    assert_same_run(tmp_path, undisturbed)


def test_a_job_told_to_end_before_it_trains_ends(tmp_path: Path, long_experiment: Experiment) -> None:
    lay(tmp_path, long_experiment)
    process = start(tmp_path)
    assert process.stdout
    next(line for line in process.stdout if line.startswith("+ "))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM


# two names of this machine
HOSTS = ("127.0.0.1", "localhost")


def start_two(folder: Path, experiment: Experiment) -> list[subprocess.Popen[str]]:
    """Start two machines whose folders have the same name and are not the same: no disk is shared there."""
    if os.getuid() != 0 or not shutil.which("unshare"):
        pytest.skip("folders of the same name need mount namespaces, and those need root")
    (folder / "ml").mkdir(exist_ok=True)
    processes, port = [], str(free_ports(1)[0])
    for host in HOSTS:
        lay(folder / host, experiment, HOSTS, host)
        script = f'mount --bind "{folder / host}" "{folder / "ml"}" && exec "$@"'
        processes.append(start(folder / "ml", "unshare", "--mount", "sh", "-c", script, "sh", MASTER_PORT=port))
    return processes


def test_two_machines_train_as_one(tmp_path: Path, tiny_experiment: Experiment) -> None:
    processes = start_two(tmp_path, tiny_experiment)
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    first, second = (tmp_path / host for host in HOSTS)
    assert json.loads((first / "model" / "results.json").read_text())["test/auroc"] > 0
    assert not (second / "model").exists()
    assert said[0].count("test/auroc=") == 1
    assert "test/auroc=" not in said[1]
    # an epoch has three steps on one machine, and one whole step on two
    assert torch.load(last(first), weights_only=True)["global_step"] == 2


def test_the_second_machine_judges_the_newest_checkpoint(tmp_path: Path, tiny_experiment: Experiment) -> None:
    # as after an interruption: each machine has what was saved before
    short = replace(tiny_experiment, hyperparameters={"config": "tiny", "trainer.max_epochs": "1"})
    for process in start_two(tmp_path, short):
        process.communicate(timeout=120)
    first, second = (tmp_path / host for host in HOSTS)
    shutil.copytree(first / "checkpoints", second / "checkpoints", dirs_exist_ok=True)
    old = (second / "checkpoints" / "checkpoints" / "best.ckpt").read_bytes()
    longer = replace(tiny_experiment, hyperparameters={"config": "tiny", "trainer.max_epochs": "8"})
    said = [process.communicate(timeout=120)[0] for process in start_two(tmp_path, longer)]
    best = [(machine / "checkpoints" / "checkpoints" / "best.ckpt").read_bytes() for machine in (first, second)]
    assert best[0] != old, said
    assert best[0] == best[1]


def test_files_that_come_and_go_are_not_delivered(tmp_path: Path) -> None:
    place = Place(tmp_path, ROOT)
    (place.run_folder / "checkpoints").mkdir(parents=True)
    for name in ("results.json", "results.json.sagemaker-uploading", ".config.yaml.partial", "checkpoints/best.ckpt"):
        (place.run_folder / name).write_text(name)
    (place.run_folder / "gone").symlink_to("nowhere")
    place.deliver()
    assert [path.name for path in (tmp_path / "output" / "data").rglob("*") if path.is_file()] == ["results.json"]
    assert (tmp_path / "model" / "checkpoints" / "best.ckpt").exists()


def test_two_machines_told_to_end_save_one_state(tmp_path: Path, long_experiment: Experiment) -> None:
    processes = start_two(tmp_path, long_experiment)
    wait_until(lambda: last(tmp_path / HOSTS[0]).exists())
    for process in processes:
        process.send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [143, 143], said
    assert "is saved in" in said[0]
    assert not list(tmp_path.rglob("failure"))


def test_two_machines_tell_why_they_failed(tmp_path: Path, tiny_experiment: Experiment) -> None:
    boring = {"model.class_path": "lightning.pytorch.demos.boring_classes.BoringModel"}
    processes = start_two(tmp_path, replace(tiny_experiment, hyperparameters={"config": "tiny", **boring}))
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert all(process.returncode == 1 for process in processes), said
    reasons = [(tmp_path / host / "output" / "failure").read_text().splitlines()[0] for host in HOSTS]
    assert all(re.match(r"[A-Za-z.]*Error: ", reason) for reason in reasons), reasons


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.parametrize(
    ("hyperparameters", "told"),
    [
        ({"config": "nope"}, "sagemaker: there is no nope.yaml in "),
        ({"config": "[tiny, demo]"}, "sagemaker: config is a name, or a list such as"),
        ({"config": "../config/x"}, "sagemaker: there is no ../config/x.yaml in "),
        ({"config": "tiny", "model.widhts": "3"}, "projection fit: .*model.*widhts"),
        ({"config": "tiny", "trainer.max_epochs": "$(touch pwned)"}, "projection fit: .*max_epochs"),
        ({"config": "tiny", "x;touch pwned": "1"}, "sagemaker: the hyperparameter 'x;touch pwned' is no setting"),
        ({"config": "tiny", "data.task": "nonsense"}, "projection fit: .*task"),
        ({"config": "tiny", "model.init_args.window": "-1"}, "projection fit: .*window"),
        (
            {"config": "tiny", "model.class_path": "lightning.pytorch.demos.boring_classes.BoringModel"},
            "[A-Za-z.]*Error",
        ),
    ],
)
def test_a_failure_is_told_in_its_first_line(
    tmp_path: Path, tiny_experiment: Experiment, hyperparameters: dict[str, str], told: str
) -> None:
    lay(tmp_path, replace(tiny_experiment, hyperparameters=hyperparameters))
    status, said = train(tmp_path)
    assert status not in (0, 143), said
    failure = (tmp_path / "output" / "failure").read_text()
    assert re.match(told, failure), failure
    assert len(failure) <= 1024
    assert not list(tmp_path.rglob("pwned"))
    assert not (ROOT / "pwned").exists()


@pytest.mark.parametrize(
    ("file", "text", "told"),
    [
        ("config/hyperparameters.json", "{", "hyperparameters.json is no JSON: "),
        ("config/resourceconfig.json", '{"current_host": "algo-3", "hosts": ["algo-1"]}', "names algo-3 as this host"),
        ("config/inputdataconfig.json", '{"train": {}}', "the channel train holds no HDF5 file (.h5), only: nothing"),
    ],
)
def test_what_is_not_as_the_platform_lays_it_is_named(
    tmp_path: Path, tiny_experiment: Experiment, file: str, text: str, told: str
) -> None:
    lay(tmp_path, tiny_experiment)
    (tmp_path / "input" / file).write_text(text)
    status, _ = train(tmp_path)
    assert status == 1
    assert told in (tmp_path / "output" / "failure").read_text().splitlines()[0]


def test_a_configuration_of_the_image_is_found_by_its_name(tmp_path: Path, tiny_experiment: Experiment) -> None:
    quick = {"trainer.max_epochs": "1", "data.task": "rhythm", "trainer.limit_train_batches": "1"}
    lay(tmp_path, replace(tiny_experiment, hyperparameters={"config": "demo", **quick}))
    for channel in ("config", "code"):
        for path in (tmp_path / "input" / "data" / channel).iterdir():
            path.unlink()
    status, said = train(tmp_path)
    assert status == 0, said
    assert f"--config {ROOT}/configs/demo.yaml" in said


def test_a_rehearsal_is_one_command(tmp_path: Path, corpus_file: Path) -> None:
    words = ["--data.path", str(corpus_file), "--trainer.max_epochs", "1"]
    environment = {**os.environ, "EXP": "demo", "SAGEMAKER_PREFIX": str(tmp_path / "ml"), "VENV": sys.prefix}
    command = [ROOT / "launchers" / "sagemaker" / "rehearse.sh", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"everything is in {tmp_path / 'ml'}" in done.stdout
    assert json.loads((tmp_path / "ml" / "model" / "results.json").read_text())["test/auroc"] > 0
