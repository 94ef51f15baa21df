"""What the container's entry point makes of SageMaker's files and signals; a stand-in trains."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from launchers.sagemaker.container import Place
from launchers.sagemaker.train import Cluster, find_cluster, main, trainer_command, trainer_environment
from projection.errors import ProjectionError
from tests.conftest import ROOT
from tests.engines.daemons import wait_until
from tests.launchers.conftest import executable
from tests.launchers.sagemaker.containers import start, train

# tells what it was given, then does what a test wants
_STAND_IN = """\
import json, os, signal, sys, time
from pathlib import Path

said = {"words": sys.argv[1:], "environment": dict(os.environ), "folder": os.getcwd()}
(Path(os.environ["SAGEMAKER_PREFIX"]) / "said.json").write_text(json.dumps(said))
"""
# ends at the signal, with its number and after a moment's work
_WAITING = """\
def end(number, _):
    (Path(os.environ["SAGEMAKER_PREFIX"]) / "told").write_text(str(number))
    sys.exit({status})

signal.signal(signal.SIGTERM, end)
sys.stdout.write("ready\\n")  # at once, where print would write twice
sys.stdout.flush()
for _ in range(2400):  # two minutes; a signal just before one long wait would be missed
    time.sleep(0.05)
"""
# in torchrun's place: two processes that train, and itself ended by any signal
_TORCHRUN = """\
import subprocess, sys

words = sys.argv[sys.argv.index("-m"):]
children = [subprocess.Popen([sys.executable, *words]) for _ in range(2)]
sys.exit(max(child.wait() for child in children))
"""


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """What SageMaker lays before a container, with two channels of data."""
    lay(tmp_path, "hyperparameters", {"config": "mine"})
    lay(tmp_path, "inputdataconfig", {"config": {}, "code": {}, "data": {}})
    lay(tmp_path, "resourceconfig", {"current_host": "algo-1", "hosts": ["algo-1"], "network_interface_name": "eth0"})
    for name in ("config/mine.yaml", "data/one.h5", "outside.yaml"):
        file = tmp_path / "input" / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    return tmp_path


def lay(prefix: Path, name: str, content: Any) -> None:
    file = prefix / "input" / "config" / f"{name}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(content))


Upload = Callable[..., None]


@pytest.fixture
def upload(prefix: Path) -> Upload:
    """Put a stand-in for projection into the channel of the code."""

    def pack(then: str = "", **modules: str) -> None:
        source, archive = prefix / "source", prefix / "input" / "data" / "code" / "code.tar.gz"
        for name, text in {"projection/__main__": _STAND_IN + then, **modules}.items():
            for package in reversed(Path(name).parents[:-1]):
                (source / package).mkdir(parents=True, exist_ok=True)
                (source / package / "__init__.py").touch()
            (source / f"{name}.py").write_text(text)
        archive.parent.mkdir(exist_ok=True)
        with tarfile.open(archive, "w:gz") as tar:
            tar.add(source, arcname=".")

    return pack


@pytest.fixture
def ended(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """Run the entry point in this process, which is quicker; gives the exit status."""
    monkeypatch.setenv("SAGEMAKER_PREFIX", str(prefix))
    before = signal.getsignal(signal.SIGTERM)

    def run() -> int:
        with pytest.raises(SystemExit) as end:
            main()
        return int(end.value.code or 0)

    yield run
    signal.signal(signal.SIGTERM, before)


def said(prefix: Path) -> Any:
    return json.loads((prefix / "said.json").read_text())


def failure(prefix: Path) -> str:
    file = prefix / "output" / "failure"
    return file.read_text() if file.exists() else ""


def test_a_container_does_not_wait_for_pytorch_before_it_starts_the_training() -> None:
    light = "import launchers.sagemaker.train, sys; assert not {'torch', 'lightning', 'h5py'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", light], cwd=ROOT, check=True)


def test_the_command_says_what_the_platform_laid(prefix: Path, upload: Upload) -> None:
    lay(prefix, "hyperparameters", {"trainer.max_epochs": "3", "config": '["mine", "demo"]', "data.labels": '"form"'})
    upload()
    (prefix / "output").mkdir()
    (prefix / "output" / "failure").write_text("of an earlier start")
    (prefix / "source" / "configs").mkdir()
    (prefix / "source" / "configs" / "demo.yaml").touch()
    upload()
    status, told = train(prefix)
    assert (status, failure(prefix)) == (0, ""), told
    found = said(prefix)
    assert found["words"] == [
        *("fit", "--config", f"{prefix}/input/data/config/mine.yaml", "--config", f"{prefix}/code/configs/demo.yaml"),
        *("--data.labels=form", "--trainer.max_epochs=3", f"--data.path={prefix}/input/data/data/one.h5"),
        *("--trainer.enable_progress_bar", "false"),
        *("--trainer.num_nodes", "1", "--trainer.devices", "1", "--trainer.default_root_dir", f"{prefix}/checkpoints"),
        *("--ckpt_path", "last"),
    ]
    assert found["folder"] == f"{prefix}/code"


def test_several_files_of_data_are_one_set_in_the_order_of_their_channels(prefix: Path) -> None:
    channels = ["data", "data-10", "data-2"]
    lay(prefix, "inputdataconfig", {name: {} for name in [*channels, "config", "code"]})
    for name in channels[1:]:
        (prefix / "input" / "data" / name).mkdir()
        (prefix / "input" / "data" / name / f"{name}.hdf5").touch()
    place = Place(prefix, ROOT)
    (word,) = [word for word in trainer_command(place, find_cluster(place)) if word.startswith("--data.path=")]
    files = ["data/one.h5", "data-2/data-2.hdf5", "data-10/data-10.hdf5"]
    assert json.loads(word.removeprefix("--data.path=")) == [f"{prefix}/input/data/{file}" for file in files]


def test_of_a_folder_that_holds_more_only_the_named_files_are_taken(
    prefix: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = prefix / "input" / "data" / "data"
    for name in ("mine.h5", "other.h5", "below/mine2.h5"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    (prefix / "input" / "config" / "inputdataconfig.json").write_text(json.dumps({"data": {}}))
    place = Place(prefix, ROOT)
    monkeypatch.setenv("PROJECTION_DATA", "mine.h5,mine2.h5")
    assert place.data_files() == [folder / "below" / "mine2.h5", folder / "mine.h5"]
    monkeypatch.setenv("PROJECTION_DATA", "absent.h5")
    with pytest.raises(ProjectionError, match=r"the channel data holds no absent\.h5, only: below, .*"):
        place.data_files()


@pytest.mark.parametrize(
    ("own", "begun", "expected"),
    [
        (None, False, ["last"]),
        (None, True, ["last"]),
        ("x.ckpt", False, ["x.ckpt"]),
        ("x.ckpt", True, ["x.ckpt", "last"]),
    ],
)
def test_a_job_goes_on_from_its_own_state_if_it_has_one(
    prefix: Path, own: str | None, begun: bool, expected: list[str]
) -> None:
    lay(prefix, "hyperparameters", {"config": "mine", **({"ckpt_path": own} if own else {})})
    (prefix / "checkpoints" / "checkpoints").mkdir(parents=True)
    (prefix / "checkpoints" / "checkpoints" / "best.ckpt").touch()
    if begun:
        (prefix / "checkpoints" / "checkpoints" / "last.ckpt").touch()
    place = Place(prefix, ROOT)
    command = " ".join(trainer_command(place, find_cluster(place)))
    # of several, the command line takes the last one
    assert re.findall(r"--ckpt_path[ =](\S+)", command) == expected


@pytest.mark.parametrize("order", list(itertools.permutations(("algo-1", "algo-2", "algo-10"))))
def test_all_machines_agree_on_their_order(prefix: Path, order: tuple[str, ...]) -> None:
    for rank, host in enumerate(("algo-1", "algo-2", "algo-10")):
        lay(prefix, "resourceconfig", {"current_host": host, "hosts": order, "network_interface_name": "eth0"})
        found = find_cluster(Place(prefix, ROOT))
        cluster = Cluster(found.hosts, found.current, found.interface, devices=4)
        command = trainer_command(Place(prefix, ROOT), cluster)
        assert command[: command.index("fit")] == [
            *(sys.executable, "-m", "torch.distributed.run", "--nnodes", "3", "--node-rank", str(rank)),
            *("--nproc-per-node", "4", "--master-addr", "algo-1", "--master-port", "29500", "-m", "projection"),
        ]
        words = command[command.index("--trainer.num_nodes") :]
        assert words[:4] == ["--trainer.num_nodes", "3", "--trainer.devices", "4"]


def test_each_gpu_has_a_process(prefix: Path, upload: Upload) -> None:
    upload(**{"torch/distributed/run": _TORCHRUN})
    listing = "".join(f"echo 'GPU {number}: NVIDIA A10G'\n" for number in range(4))
    executable(prefix / "bin" / "nvidia-smi", f'#!/bin/sh\n[ "$1" = --list-gpus ] || exit 1\n{listing}echo "  MIG"\n')
    status, told = train(prefix, PATH=f"{prefix}/bin:{os.environ['PATH']}")
    assert status == 0, told
    command = told.splitlines()[0].split()
    assert command[command.index("--nproc-per-node") + 1] == "4"
    assert command[command.index("--nnodes") + 1] == "1"
    assert said(prefix)["words"][said(prefix)["words"].index("--trainer.devices") + 1] == "4"


def test_the_training_knows_its_surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "PYTHONUNBUFFERED", "WANDB_API_KEY", "WANDB_MODE", "PROJECTION_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    monkeypatch.setenv("TRAINING_JOB_NAME", "second")
    before = dict(os.environ)
    cluster = Cluster(("algo-1", "algo-2"), "algo-2", "eth7", devices=4)
    added = {name: value for name, value in trainer_environment(cluster).items() if name not in before}
    sockets = {"NCCL_SOCKET_IFNAME": "eth7", "GLOO_SOCKET_IFNAME": "eth7"}
    names = {"WANDB_NAME": "second", "WANDB_RUN_ID": "second"}
    assert added == {"OMP_NUM_THREADS": "2", "PYTHONUNBUFFERED": "1", "WANDB_MODE": "offline", **names, **sockets}

    given = {"PROJECTION_RUN_ID": "first", "WANDB_API_KEY": "key", "OMP_NUM_THREADS": "3", "NCCL_SOCKET_IFNAME": "ib0"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    found = trainer_environment(Cluster(("algo-1",), "algo-1", None, devices=1))
    assert (found["WANDB_NAME"], found["WANDB_RUN_ID"]) == ("first", "first")
    assert "WANDB_MODE" not in found
    assert {name: found[name] for name in given} == given


@pytest.mark.parametrize(
    ("then", "status", "told"),
    [
        ("sys.exit(0)", 0, ""),
        ("sys.exit(3)", 3, "exit status 3"),
        ("print('projection fit: no such task', file=sys.stderr)\nsys.exit(1)", 1, "projection fit: no such task"),
        ("{}['name']", 1, "KeyError: 'name'"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 137, "the training was killed (SIGKILL), as happens when memory is"),
        ("print('[rank1]: RuntimeError: odd', file=sys.stderr)\nsys.exit(1)", 1, "RuntimeError: odd"),
        ("sys.exit('ValueError: ' + 5000 * 'x')", 1, "ValueError: xxx"),
    ],
)
def test_the_exit_status_and_the_reason_are_those_of_the_training(
    prefix: Path, upload: Upload, ended: Callable[[], int], then: str, status: int, told: str
) -> None:
    upload(then)
    assert ended() == status
    assert failure(prefix).startswith(told)
    assert bool(failure(prefix)) is bool(told)
    assert len(failure(prefix)) <= 1024


def test_an_entry_point_of_ones_own_comes_first(
    prefix: Path, upload: Upload, ended: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    executable(prefix / "source" / "own.sh", '#!/bin/sh\necho "$PWD" >"$SAGEMAKER_PREFIX/mine"\nMINE=1 exec "$@"\n')
    upload()
    monkeypatch.setenv("PROJECTION_ENTRYPOINT", "own.sh")
    assert ended() == 0
    assert (prefix / "mine").read_text().strip() == f"{prefix}/code"
    assert said(prefix)["environment"]["MINE"] == "1"
    monkeypatch.setenv("PROJECTION_ENTRYPOINT", f"{prefix}/code/missing.sh")
    assert ended() == 1
    assert failure(prefix).startswith(f"sagemaker: the entry point {prefix}/code/missing.sh is not there")


@pytest.mark.parametrize(("ending", "status"), [(143, 143), (1, 143), (0, 0)])
def test_a_job_told_to_end_hands_that_on_and_names_no_failure(
    prefix: Path, upload: Upload, ending: int, status: int
) -> None:
    upload(_WAITING.format(status=ending))
    process = start(prefix)
    assert process.stdout
    next(line for line in process.stdout if line == "ready\n")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == status
    assert (prefix / "told").read_text() == str(int(signal.SIGTERM))
    assert not failure(prefix)
    assert (prefix / "output" / "data").exists()


def test_with_several_processes_those_that_train_are_told(prefix: Path, upload: Upload) -> None:
    upload(_WAITING.format(status=143), **{"torch/distributed/run": _TORCHRUN})
    hosts = {"current_host": "algo-1", "hosts": ["algo-1", "algo-2"], "network_interface_name": "lo"}
    lay(prefix, "resourceconfig", hosts)
    process = start(prefix)
    assert process.stdout
    for _ in range(2):
        next(line for line in process.stdout if line == "ready\n")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    # torchrun's stand-in was not: the signal would have ended it, and those that train with no time to save
    assert process.returncode == 143
    wait_until((prefix / "told").exists)


@pytest.mark.parametrize(("current", "delivered"), [("algo-1", True), ("algo-2", False)])
def test_the_first_machine_alone_delivers(
    prefix: Path, upload: Upload, ended: Callable[[], int], current: str, delivered: bool
) -> None:
    hosts = {"current_host": current, "hosts": ["algo-2", "algo-1"], "network_interface_name": "lo"}
    lay(prefix, "resourceconfig", hosts)
    upload(**{"torch/distributed/run": _TORCHRUN})
    assert ended() == 0
    assert (prefix / "model").exists() is delivered
    assert (prefix / "output" / "data").exists() is delivered


@pytest.mark.parametrize("best", [True, False])
def test_what_is_delivered_makes_the_run_folder_whole(tmp_path: Path, best: bool) -> None:
    place = Place(tmp_path, ROOT)
    names = {"results.json", "config.yaml", "provenance.json", "metrics/metrics.csv", "predictions/test.csv"}
    passing = {"results.json.sagemaker-uploading", ".config.yaml.partial"}
    kept = {"checkpoints/last.ckpt"} | ({"checkpoints/best.ckpt"} if best else set())
    for name in names | passing | kept:
        (place.run_folder / name).parent.mkdir(parents=True, exist_ok=True)
        (place.run_folder / name).write_text(name)
    (place.run_folder / "gone").symlink_to("nowhere")
    place.deliver()

    def files(folder: Path) -> set[str]:
        return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}

    assert files(tmp_path / "output" / "data") == names
    checkpoint = f"checkpoints/{'best' if best else 'last'}.ckpt"
    assert files(tmp_path / "model") == {"results.json", "config.yaml", "provenance.json", checkpoint}


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("hyperparameters", "{", "hyperparameters.json is no JSON: "),
        ("hyperparameters", '{"config": "nope"}', "sagemaker: there is no nope.yaml in "),
        ("hyperparameters", '{"config": "[mine, demo]"}', "sagemaker: config is a name, or a list such as"),
        ("hyperparameters", '{"config": "../outside"}', "sagemaker: there is no ../outside.yaml in "),
        ("hyperparameters", '{"config": "mine", "x;touch pwned": "1"}', "the hyperparameter 'x;touch pwned' is no set"),
        ("resourceconfig", '{"current_host": "algo-3", "hosts": ["algo-1"]}', "names algo-3 as this host"),
        ("inputdataconfig", '{"train": {}}', "the channel train holds no HDF5 file (.h5), only: nothing"),
    ],
)
def test_what_is_not_as_the_platform_lays_it_is_named(
    prefix: Path, upload: Upload, ended: Callable[[], int], file: str, content: str, told: str
) -> None:
    upload()
    (prefix / "input" / "config" / f"{file}.json").write_text(content)
    assert ended() == 1
    assert told in failure(prefix).splitlines()[0]
    assert not (prefix / "said.json").exists()
    assert not list(prefix.rglob("pwned"))
