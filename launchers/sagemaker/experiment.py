"""The experiment that a job runs: its configuration, its data, and what was changed on the command line."""

import contextlib
import io
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from launchers.sagemaker.hyperparameters import CONFIG, encode
from launchers.sagemaker.settings import SubmissionError
from projection.errors import ProjectionError
from projection.experiment import experiment_files
from projection.resolve import data_paths, resolved

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Experiment:
    """An experiment, read and found in order.

    Args:
        name: Its name.
        config: The resolved configuration, as YAML.
        hyperparameters: What a job shows of it, and a tuner may change: the settings of the command line.
        data: The data files it names.
    """

    name: str
    config: str
    hyperparameters: dict[str, str]
    data: tuple[Path, ...]


def read_experiment(name: str, words: Sequence[str]) -> Experiment:
    """Resolve a configuration, with all arguments, as `fit` would.

    Args:
        name: The experiment's name; several, joined by +, are stacked, and the first names the experiment.
        words: Arguments for `fit`.

    Returns:
        The experiment.

    Raises:
        SubmissionError: If the configuration is not there or not accepted, or data are missing.
    """
    try:
        files = experiment_files(name, PROJECT)
    except ProjectionError as error:
        raise SubmissionError(str(error)) from error
    stacked = [word for file in files for word in ("--config", str(file))]
    name = name.split("+")[0]
    settings = _settings(words)
    settings_of_job = _resolve(name, stacked, words)
    if (state := settings_of_job.get("ckpt_path")) not in (None, "last"):
        raise SubmissionError(f"ckpt_path names {state}, which the job would not see; leave it out")
    config = yaml.safe_dump(settings_of_job, sort_keys=False)
    return Experiment(name, config, encode({CONFIG: name, **_shown(settings)}), _data_files(name, settings_of_job))


def _resolve(name: str, configs: Sequence[str], words: Sequence[str]) -> dict[str, Any]:
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            return resolved([*configs, *words])
    except SystemExit as end:
        lines = [*told.getvalue().splitlines(), *(end.code.splitlines() if isinstance(end.code, str) else [])]
        said = [line.strip() for line in lines if line and not line.startswith("All options")]
        what = f"configs/{name}.yaml with these ARGS" if words else f"configs/{name}.yaml"
        raise SubmissionError(f"{what} is not accepted: {' '.join(said[-5:])}") from end


def _settings(words: Sequence[str]) -> dict[str, str]:
    """Read `--name value` and `--name=value`, but for --config."""
    found: dict[str, str] = {}
    rest = list(words)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("--"):
            raise SubmissionError(f"ARGS are pairs such as --trainer.max_epochs 5; found: {name}")
        if not equals:
            if not rest:
                raise SubmissionError(f"{name} has no value in ARGS")
            value = rest.pop(0)
        if name != "--config":
            found[name[2:]] = value
    return found


def _shown(settings: Mapping[str, str]) -> dict[str, str]:
    """Leave out what is in the configuration only: local files, and what would add to a list once more."""
    lists = [name.removesuffix("+") for name in settings if name.endswith("+")]
    return {
        name: value
        for name, value in settings.items()
        if not any(name.startswith((f"{each}.", f"{each}+")) for each in lists) and not _is_file(value)
    }


def _is_file(value: str) -> bool:
    try:
        return (PROJECT / value).is_file()
    except (OSError, ValueError):  # too long for a name, for example
        return False


def _data_files(name: str, config: Mapping[str, Any]) -> tuple[Path, ...]:
    files = [PROJECT / path for path in data_paths(config)]
    for file in files:
        if not file.is_file():
            raise SubmissionError(
                f"there is no data file {file}, which configs/{name}.yaml names; `make data EXP={name}` makes it"
            )
    return tuple(files)


def pack_code(archive: Path) -> str:
    """Pack the working tree without what git ignores; equal code makes equal bytes.

    Args:
        archive: The file to write, a .tar.gz.

    Returns:
        What git calls the code: its commit, with -dirty where files differ from it.

    Raises:
        SubmissionError: If it is too large.
    """
    done = subprocess.run([PROJECT / "launchers" / "snapshot.sh", archive], capture_output=True, text=True)
    if done.returncode:
        raise SubmissionError(f"the code could not be packed: {done.stderr.strip()}")
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"
