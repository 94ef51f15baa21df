"""What SageMaker lays before a training container, and what it takes from it.

Source: "How Amazon SageMaker AI Provides Training Information" and "How Amazon SageMaker AI Processes Training Output"
in the SageMaker developer guide.
"""

import contextlib
import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from launchers.sagemaker.hyperparameters import config_names
from projection.errors import ProjectionError
from projection.runs.folder import BEST, CHECKPOINTS, CONFIG, LAST, LOCK, PROVENANCE, RESULTS

# the channels of the uploaded configuration and code; all others hold data
CONFIG_CHANNEL = "config"
CODE_CHANNEL = "code"
CODE_ARCHIVE = "code.tar.gz"
# the variable that names the data files to take from channels that may hold others
DATA_NAMES = "PROJECTION_DATA"
# the variable that names an entry point of the user's own
ENTRYPOINT = "PROJECTION_ENTRYPOINT"
# files that come and go: those being written, the lock, and the marks of what copies checkpoints to S3
PASSING = ("*.partial", LOCK, "*.sagemaker-*")
# the longest reason of a failure that SageMaker shows, in characters
LONGEST_REASON = 1024


@dataclass(frozen=True)
class Place:
    """The files of one container.

    Args:
        prefix: Where they are; SageMaker's own place is /opt/ml.
        image: The folder of the image's own code.
    """

    prefix: Path
    image: Path

    @property
    def project(self) -> Path:
        """The folder of the code to run, whose configs/ a job can name: uploaded, or the image's own."""
        return self.prefix / "code" if self._archive.exists() else self.image

    @property
    def _archive(self) -> Path:
        return self.channel(CODE_CHANNEL) / CODE_ARCHIVE

    def unpack_code(self) -> None:
        """Unpack uploaded code, if there is any."""
        if self._archive.exists():
            shutil.rmtree(self.project, ignore_errors=True)
            self.project.mkdir(parents=True)
            unpack(self._archive, self.project)

    @property
    def run_folder(self) -> Path:
        """The run folder, which SageMaker keeps in S3 while the job runs and brings back after an interruption."""
        return self.prefix / "checkpoints"

    @property
    def failure(self) -> Path:
        """The file whose beginning SageMaker shows as the reason of a failure."""
        return self.prefix / "output" / "failure"

    def read(self, name: str) -> Any:
        """Read hyperparameters, inputdataconfig or resourceconfig; nothing, if it is missing."""
        file = self.prefix / "input" / "config" / f"{name}.json"
        try:
            return json.loads(file.read_text()) if file.exists() else {}
        except ValueError as error:
            raise ProjectionError(f"{file} is no JSON: {error}") from error

    def channel(self, name: str) -> Path:
        """Give the folder of a channel."""
        return self.prefix / "input" / "data" / name

    def configs(self) -> list[Path]:
        """Find the configurations that the job names, in order: each as uploaded, else as in the image."""
        names = config_names(self.read("hyperparameters"))
        uploaded = self.channel(CONFIG_CHANNEL)
        if not names:
            names = [str(path.relative_to(uploaded))[:-5] for path in sorted(uploaded.rglob("*.yaml"))]
        if not names:
            hint = "name one by the hyperparameter config, or upload one in a channel config"
            raise ProjectionError(f"no configuration: {hint}")
        return [self._config(name.removesuffix(".yaml")) for name in names]

    def _config(self, name: str) -> Path:
        folders = (self.channel(CONFIG_CHANNEL), self.project / "configs")
        for folder in folders:
            path = folder / f"{name}.yaml"
            if path.resolve().is_relative_to(folder.resolve()) and path.is_file():
                return path
        raise ProjectionError(f"there is no {name}.yaml in {folders[0]} (the channel config) or {folders[1]}")

    def data_files(self) -> list[Path]:
        """Find the HDF5 files of all channels, by channel and name, those that the request names if it names any."""
        found: list[Path] = []
        wanted = [name for name in os.environ.get(DATA_NAMES, "").split(",") if name]
        channels = set(self.read("inputdataconfig")) - {CONFIG_CHANNEL, CODE_CHANNEL}
        for name in sorted(channels, key=natural_order):
            files = sorted(path for path in self.channel(name).rglob("*") if path.suffix in (".h5", ".hdf5"))
            chosen = [path for path in files if path.name in wanted] if wanted else files
            if not chosen:
                there = ", ".join(sorted(path.name for path in self.channel(name).glob("*"))) or "nothing"
                what = " or ".join(wanted) or "HDF5 file (.h5)"
                raise ProjectionError(f"the channel {name} holds no {what}, only: {there}")
            found += chosen
        return found

    def entry_point(self) -> list[str]:
        """Find the user's own entry point, if one is named: of the code, or by an absolute path. It gets the command.

        It ends in `exec "$@"`.
        """
        named = os.environ.get(ENTRYPOINT)
        if not named:
            return []
        script = self.project / named
        if not os.access(script, os.X_OK):
            raise ProjectionError(f"the entry point {script} is not there, or cannot be executed (`chmod +x`)")
        return [str(script)]

    def deliver(self) -> None:
        """Put the best checkpoint where SageMaker takes the model from, and the run's records beside the outputs.

        Both are parts of the run folder, so that both unpacked in one place make it whole again.
        """
        model, output = self.prefix / "model", self.prefix / "output" / "data"
        best = [name for name in (BEST, LAST) if (self.run_folder / name).exists()][:1]
        (model / CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        for name in (*best, CONFIG, PROVENANCE, RESULTS):
            if (self.run_folder / name).exists():
                shutil.copy2(self.run_folder / name, model / name)
        passing = shutil.ignore_patterns("*.ckpt", *PASSING)
        shutil.copytree(self.run_folder, output, ignore=passing, copy_function=_copy_if_there, dirs_exist_ok=True)


def data_channel(position: int) -> str:
    """Name the channel of a job's data file, counted from 1: data, data-2, data-3 and so on."""
    return "data" if position == 1 else f"data-{position}"


def natural_order(name: str) -> list[tuple[int, str]]:
    """Give a key for sorting that puts algo-2 before algo-10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]


def _copy_if_there(source: str, target: str) -> None:
    """Copy a file that may vanish meanwhile: whatever synchronises the folder has files of its own there."""
    with contextlib.suppress(FileNotFoundError):
        shutil.copy2(source, target)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a .tar.gz by the system's tar: Python before 3.11.4 would let it write outside the folder."""
    command = ["tar", "--extract", "--gzip", "--file", str(archive), "--directory", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ProjectionError(f"{archive} cannot be unpacked: {' '.join(done.stderr.split())}")
