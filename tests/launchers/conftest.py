import contextlib
import gzip
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from projection.corpus.convert import convert
from projection.synthetic import synthesize
from tests.conftest import ROOT
from tests.engines import images
from tests.engines.cluster import Cluster, running_cluster
from tests.engines.images import Builder
from tests.engines.people import NAME, Person, find_person
from tests.launchers.pausing import Pause

# the demo in a second, and without dropout, so that an interrupted run can be compared bit by bit
TINY = """\
# Goal: run in a test.
trainer:
  max_epochs: {epochs}
  accelerator: cpu
  enable_progress_bar: false
  log_every_n_steps: 1
data:
  init_args: {{path: data/corpus.h5, labels: superdiagnostic, batch_size: {batch_size}}}
model:
  class_path: projection.tasks.ClassificationTask
  init_args:
    net: {{class_path: projection.nets.CNN1d, init_args: {{widths: [4, 8], dropout: 0.0}}}}
    optimizer: {{class_path: torch.optim.AdamW, init_args: {{lr: 0.01}}}}
    window: 2.5
"""
SECRET = "5ec4e7" * 6 + "cafe"  # shaped like a key of Weights & Biases
CONFIGS = {"tiny": (2, 32), "other": (1, 32), "third/deep": (1, 16), "long": (4, 8)}
# in the second of four epochs, each of five steps
PAUSING = f"  callbacks: [{{class_path: {Pause.__module__}.Pause, init_args: {{step: 8}}}}]\n"


def config_text(name: str) -> str:
    """Write the YAML file of an experiment; `long` waits once until it is interrupted."""
    epochs, batch_size = CONFIGS[name]
    text = TINY.format(epochs=epochs, batch_size=batch_size)
    return text.replace("data:", PAUSING + "data:", 1) if name == "long" else text


# resolves every experiment to the one data file that matters here
QUICK_PYTHON = """\
#!/bin/bash
path=data/corpus.h5
for word in "$@"; do
    case $word in
    *nope) echo "projection resolve: there is no configs/${word##*+}.yaml; experiments: tiny" >&2 && exit 1 ;;
    exp) path=data/ptbxl_100hz.h5 ;;
    --data.path=*) path=${word#*=} ;;
    esac
done
printf '%s\\n' "$4" "$path"
"""


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with running_cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def few_records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data for trainings that prove how they are started, not what they learn."""
    folder = tmp_path_factory.mktemp("few")
    synthesize(folder / "corpus", records=60, workers=1)
    convert(folder / "corpus", folder / "few_100hz.h5", workers=1)
    return folder / "few_100hz.h5"


@pytest.fixture(scope="session")
def home(few_records: Path) -> Iterator[Path]:
    """A user's checkout with experiments of their own, on a disk that all nodes see."""
    home = Path(tempfile.mkdtemp(prefix="projection-", dir="/var/tmp"))
    try:
        subprocess.run([ROOT / "launchers" / "snapshot.sh", home / "code.tar.gz"], check=True)
        subprocess.run(["tar", "-xzf", home / "code.tar.gz", "-C", home], check=True)
        (home / "code.tar.gz").unlink()
        for name in CONFIGS:
            config = home / "configs" / f"{name}.yaml"
            config.parent.mkdir(exist_ok=True)
            config.write_text(config_text(name))
        (home / "data").mkdir()
        for name in ("corpus", "demo_100hz"):
            shutil.copy(few_records, home / "data" / f"{name}.h5")
        identity = ["-c", "user.name=A User", "-c", "user.email=user@example.org"]
        (home / ".env").write_text(f"WANDB_API_KEY={SECRET}\n")  # git ignores it, and so must all others
        for command in (["init", "-q"], ["add", "-A"], [*identity, "commit", "-qm", "Mine"]):
            subprocess.run(["git", *command], cwd=home, check=True)
        yield home
    finally:
        shutil.rmtree(home)


@contextmanager
def watched(secret: str) -> Iterator[set[str]]:
    """Look at the command lines of all processes, over and over; collect those that show a secret."""
    seen: set[str] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            for file in Path("/proc").glob("[0-9]*/cmdline"):
                with contextlib.suppress(OSError):
                    if secret.encode() in (words := file.read_bytes()):
                        seen.add(words.decode())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def files_with(secret: str, *folders: Path) -> list[Path]:
    """Find the files that hold a secret, also packed ones."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    found = []
    for path in files:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            if secret.encode() in file.read():
                found.append(path)
    return found


class User:
    """Someone on the login node.

    Args:
        home: The checkout.
        environment: What the login shell exports.
        identity: Whose account it is, as `subprocess` is told; nothing is that of the tests.
    """

    def __init__(self, home: Path, environment: dict[str, str], identity: dict[str, Any] | None = None) -> None:
        self.home = home
        self.environment = environment
        self.identity = identity or {}

    def surroundings(self) -> dict[str, str]:
        """Give the whole environment, without what a make that runs the tests hands down."""
        outer = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
        return {**outer, **self.environment}

    def run(self, *command: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout."""
        environment = {**self.surroundings(), **variables}
        return subprocess.run(command, cwd=self.home, env=environment, capture_output=True, text=True, **self.identity)

    def make(self, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a make target."""
        return self.run("make", "--no-print-directory", *words, **variables)

    def submit(self, *words: str, **variables: str) -> str:
        """Run `make slurm`, and give the number of the job."""
        done = self.make("slurm", *words, **variables)
        assert done.returncode == 0, done.stderr
        found = re.search(r"Submitted job (\d+)", done.stdout)
        assert found, done.stdout
        return found[1]

    def log(self, job: str, kind: str = "out") -> str:
        """Read what a job said."""
        return (self.home / "logs" / f"projection_train_{job}.{kind}").read_text()


@contextmanager
def at_work(home: Path, person: Person | None = None) -> Iterator[User]:
    """Someone who submits small jobs in the environment that runs the tests, on disks of their own."""
    options = {"CONTAINER": "none", "VENV": sys.prefix, "MEM": "2G", "CPUS": "1", "TIME": "30"}
    if person:
        options |= {**person.environment, "VENV": str(person.python)}
    scratch = Path(tempfile.mkdtemp(prefix="disk-", dir="/var/tmp"))
    runs = Path(tempfile.mkdtemp(prefix="runs-", dir="/var/tmp"))
    places = {"SCRATCH": str(scratch), "RUNS_PATH": str(runs)}
    try:
        if person:
            for folder in (scratch, runs):
                shutil.chown(folder, NAME, NAME)
        yield User(home, {**options, **places, "WANDB_MODE": "offline"}, person and person.identity)
        left = list(scratch.iterdir())
    finally:
        for folder in (scratch, runs):
            shutil.rmtree(folder, ignore_errors=True)
    assert not left, "the workspace stayed behind"


@pytest.fixture
def visitor(home: Path) -> Iterator[User]:
    """Whoever runs the tests; for what needs no Slurm."""
    with at_work(home) as user:
        yield user


@pytest.fixture(scope="session")
def person() -> Iterator[Person | None]:
    with tempfile.TemporaryDirectory(prefix="venv-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        if (found := find_person(Path(folder))) is None:
            warnings.warn(f"No account {NAME} can run the packages here, so jobs are root's.", stacklevel=1)
        yield found


@pytest.fixture(scope="session")
def own_home(home: Path, person: Person | None) -> Iterator[Path]:
    """The same checkout, of an ordinary account where there is one."""
    if person is None:
        yield home
        return
    with tempfile.TemporaryDirectory(prefix="projection-", dir="/var/tmp") as folder:
        subprocess.run(["cp", "-a", f"{home}/.", folder], check=True)
        subprocess.run(["chown", "-R", f"{NAME}:{NAME}", folder], check=True)
        yield Path(folder)


@pytest.fixture
def researcher(own_home: Path, person: Person | None, cluster: Cluster) -> Iterator[User]:
    """Someone with an ordinary account on a cluster."""
    with at_work(own_home, person) as user:
        # its GPUS are files that lead nowhere
        user.environment |= {**cluster.environment, "DEVICE": "cpu"}
        yield user
        cluster.clear()


@pytest.fixture
def user(visitor: User, cluster: Cluster) -> Iterator[User]:
    """The same where there is Slurm."""
    # its GPUS are files that lead nowhere
    visitor.environment |= {**cluster.environment, "DEVICE": "cpu"}
    yield visitor
    cluster.clear()


def executable(file: Path, script: str) -> None:
    """Write a program, often one that stands in for another."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(script)
    file.chmod(0o755)


@pytest.fixture
def quick_user(visitor: User, tmp_path: Path) -> User:
    """A user whose virtual environment accepts all settings at once."""
    executable(tmp_path / "venv" / "bin" / "python", QUICK_PYTHON)
    (tmp_path / "venv" / ".installed").touch()
    visitor.environment["VENV"] = str(tmp_path / "venv")
    return visitor


@pytest.fixture(scope="session")
def builder(home: Path) -> Iterator[Builder]:
    base = Path(tempfile.mkdtemp(prefix="images-", dir="/var/tmp"))
    base.chmod(0o755)
    try:
        with images.engines(base) as (environment, address):
            yield Builder(home, {**environment, "WANDB_API_KEY": SECRET}, address, base)
    finally:
        shutil.rmtree(base)


@pytest.fixture(scope="session")
def image(builder: Builder) -> str:
    """The image, in podman's store and in the registry."""
    builder.build("--registry", builder.address, "--push")
    return f"{builder.address}/projection:latest"
