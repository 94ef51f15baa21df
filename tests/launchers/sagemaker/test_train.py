"""Real trainings in the container's place: whole, interrupted, and on two machines."""

import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from launchers.sagemaker.experiment import Experiment
from launchers.sagemaker.rehearsal import lay
from launchers.sagemaker.request import metric_definitions
from launchers.sagemaker.settings import METRICS
from tests.conftest import ROOT
from tests.engines.daemons import free_ports, wait_until
from tests.launchers.pausing import PAUSED
from tests.launchers.sagemaker.conftest import experiment
from tests.launchers.sagemaker.containers import LONGEST, last, results, start, state, train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, few_records: Path) -> tuple[Path, str]:
    """A job of four epochs that nobody interrupted, and what it said."""
    prefix = tmp_path_factory.mktemp("whole")
    lay(prefix, experiment("long", few_records))
    (prefix / "checkpoints").mkdir()
    (prefix / "checkpoints" / PAUSED).touch()
    status, said = train(prefix)
    assert status == 0, said
    return prefix, said


def test_a_job_trains_and_leaves_what_the_platform_takes(whole: tuple[Path, str]) -> None:
    prefix, said = whole
    assert not (prefix / "output" / "failure").exists()
    found = results(prefix)
    assert 0 < found["test/auroc"] <= 1
    assert torch.load(prefix / "model" / "checkpoints" / "best.ckpt", weights_only=True)["epoch"] < 4
    for name in ("results.json", "predictions/test.csv", "metrics/metrics.csv", "config.yaml"):
        assert (prefix / "output" / "data" / name).exists()
    assert not list((prefix / "output").rglob("*.ckpt"))

    shown = {each["Name"]: re.findall(each["Regex"], said) for each in metric_definitions(METRICS)}
    assert [len(values) for values in shown.values()] == [4, 4, 4, 4, 1, 1, 1]
    assert float(shown["test/auroc"][0]) == pytest.approx(found["test/auroc"], abs=1e-5)


def test_an_interrupted_job_ends_like_one_that_was_not(
    tmp_path: Path, long_experiment: Experiment, whole: tuple[Path, str]
) -> None:
    lay(tmp_path, long_experiment)
    paused = tmp_path / "checkpoints" / PAUSED
    killed = start(tmp_path)
    wait_until(paused.exists, LONGEST)
    (trainer,) = children(killed.pid)
    killed.kill()
    os.kill(trainer, signal.SIGKILL)
    killed.communicate(timeout=LONGEST)
    assert state(tmp_path)["global_step"] == 5  # of the first epoch's end

    paused.unlink()
    told = start(tmp_path)
    wait_until(paused.exists, LONGEST)
    told.send_signal(signal.SIGTERM)
    said, _ = told.communicate(timeout=LONGEST)
    assert told.returncode == 128 + signal.SIGTERM, said
    assert "Restored all states" in said
    assert "is saved in" in said
    assert (tmp_path / "model" / "checkpoints" / "best.ckpt").exists()
    assert not (tmp_path / "output" / "failure").exists()
    assert state(tmp_path)["global_step"] == 9  # the step that it was in

    status, said = train(tmp_path)
    assert status == 0, said
    for name, value in state(whole[0])["state_dict"].items():
        assert torch.equal(value, state(tmp_path)["state_dict"][name]), name
    assert results(tmp_path) == results(whole[0])


def test_a_job_told_to_end_before_it_trains_ends(tmp_path: Path, long_experiment: Experiment) -> None:
    lay(tmp_path, long_experiment)
    process = start(tmp_path)
    assert process.stdout
    next(line for line in process.stdout if line.startswith("+ "))
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LONGEST)
    assert process.returncode == 128 + signal.SIGTERM
    assert not (tmp_path / "output" / "failure").exists()


# two names of this machine
HOSTS = ("127.0.0.1", "localhost")


def start_two(folder: Path, experiment: Experiment) -> list["subprocess.Popen[str]"]:
    """Start two machines whose folders have the same name and are not the same: no disk is shared there."""
    if os.getuid() != 0 or not shutil.which("unshare"):
        pytest.skip("folders of the same name need mount namespaces, and those need root")
    (folder / "ml").mkdir(exist_ok=True)
    processes, port = [], str(free_ports(1)[0])
    for host in HOSTS:
        # the platform may list them differently on each
        lay(folder / host, experiment, sorted(HOSTS, key=lambda each: each != host), host)
        script = f'mount --bind "{folder / host}" "{folder / "ml"}" && exec "$@"'
        processes.append(start(folder / "ml", "unshare", "--mount", "sh", "-c", script, "sh", MASTER_PORT=port))
    return processes


def ended(processes: list["subprocess.Popen[str]"]) -> list[tuple[int, str]]:
    return [
        (process.wait(LONGEST), said) for process in processes for said in [process.communicate(timeout=LONGEST)[0]]
    ]


def test_two_machines_train_as_one_and_go_on_as_one(tmp_path: Path, few_records: Path) -> None:
    both = replace(experiment("long", few_records), hyperparameters={"config": "long", "data.batch_size": "4"})
    first, second = (tmp_path / host for host in HOSTS)
    processes = start_two(tmp_path, both)
    wait_until((first / "checkpoints" / PAUSED).exists, LONGEST)
    for process in processes:
        process.send_signal(signal.SIGTERM)
    told = ended(processes)
    assert [status for status, _ in told] == [143, 143], told
    assert "is saved in" in told[0][1]
    assert not list(tmp_path.rglob("failure"))
    # five steps an epoch, as on one machine with batches twice as large; both agree at the end of the second
    assert state(first)["global_step"] == 10

    # the platform restores what was saved to both; the second's best one is not the newest
    shutil.copytree(first / "checkpoints", second / "checkpoints", dirs_exist_ok=True)
    shutil.copy(last(second), last(second).with_name("best.ckpt"))
    whole = ended(start_two(tmp_path, both))
    assert [status for status, _ in whole] == [0, 0], whole
    best = [last(machine).with_name("best.ckpt").read_bytes() for machine in (first, second)]
    assert best[0] == best[1]
    assert results(first)["test/auroc"] > 0
    assert not (second / "model").exists()
    assert [said.count("test/auroc=") for _, said in whole] == [1, 0]
    assert state(first)["global_step"] == 20


def test_two_machines_tell_why_they_failed(tmp_path: Path, tiny_experiment: Experiment) -> None:
    boring = {"model.class_path": "lightning.pytorch.demos.boring_classes.BoringModel"}
    found = ended(start_two(tmp_path, replace(tiny_experiment, hyperparameters={"config": "tiny", **boring})))
    assert [status for status, _ in found] == [1, 1], found
    reasons = [(tmp_path / host / "output" / "failure").read_text().splitlines()[0] for host in HOSTS]
    assert all(re.match(r"[A-Za-z.]*Error: ", reason) for reason in reasons), reasons


def children(process: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


@pytest.mark.parametrize(
    ("hyperparameters", "told"),
    [
        ({"trainer.max_epochs": "$(touch pwned)", "model.widhts": "3"}, "projection fit: .*(widhts|max_epochs)"),
        ({"model.init_args.window": "-1"}, "projection fit: .*window"),
    ],
)
def test_a_failure_is_told_in_its_first_line(
    tmp_path: Path, tiny_experiment: Experiment, hyperparameters: dict[str, str], told: str
) -> None:
    lay(tmp_path, replace(tiny_experiment, hyperparameters={"config": "tiny", **hyperparameters}))
    status, said = train(tmp_path)
    assert status not in (0, 143), said
    failure = (tmp_path / "output" / "failure").read_text()
    assert re.match(told, failure), failure
    assert not list(tmp_path.rglob("pwned"))
    assert not (ROOT / "pwned").exists()


def test_a_configuration_of_the_image_is_found_by_its_name(tmp_path: Path, tiny_experiment: Experiment) -> None:
    quick = {"trainer.max_epochs": "1", "data.labels": "superdiagnostic", "trainer.limit_train_batches": "1"}
    lay(tmp_path, replace(tiny_experiment, hyperparameters={"config": "demo", **quick}))
    for channel in ("config", "code"):
        for path in (tmp_path / "input" / "data" / channel).iterdir():
            path.unlink()
    status, said = train(tmp_path)
    assert status == 0, said
    assert f"--config {ROOT}/configs/demo.yaml" in said


def test_a_rehearsal_is_one_command(tmp_path: Path, few_records: Path) -> None:
    words = ["--data.path", str(few_records), "--trainer.max_epochs", "1", "--data.labels", "superdiagnostic"]
    environment = {**os.environ, "EXP": "demo+nets/fcn_wang", "VENV": sys.prefix}
    environment["SAGEMAKER_PREFIX"] = str(tmp_path / "ml")
    command = [ROOT / "launchers" / "sagemaker" / "rehearse.sh", *words]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"everything is in {tmp_path / 'ml'}" in done.stdout
    assert f"--config {tmp_path}/ml/input/data/config/demo+nets/fcn_wang.yaml --" in done.stdout
    assert results(tmp_path / "ml")["test/auroc"] > 0
