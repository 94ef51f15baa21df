"""The experiment that a job runs: its configuration, its data, and what was changed on the command line."""

import contextlib
import io
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from launchers.sagemaker.hyperparameters import CONFIG, encode
from projection.errors import ProjectionError
from projection.experiment import experiment_files, experiment_name, with_configs
from projection.resolve import data_paths, resolved

PROJECT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Experiment:
    """An experiment, read and found in order.

    Args:
        name: As its folder below `runs`, such as benchmark/all+nets/s4.
        config: The resolved configuration, as YAML.
        hyperparameters: What a job shows of it, and a tuner may change: the settings of the command line.
        data: The data files it names.
    """

    name: str
    config: str
    hyperparameters: dict[str, str]
    data: tuple[Path, ...]


def read_experiment(experiment: str, words: Sequence[str], data_here: bool = True) -> Experiment:
    """Resolve EXP, a name below `configs/` or several joined by +, with more arguments, as `fit` would.

    Args:
        data_here: Whether its data files have to be on this machine.
    """
    files = experiment_files(experiment, PROJECT)
    given = _pairs(with_configs(words))
    stacked = [word for file in files for word in ("--config", str(file))]
    settings = _resolve(_named(experiment) + (" with these ARGS" if words else ""), [*stacked, *words])
    if (state := settings.get("ckpt_path")) not in (None, "last"):
        raise ProjectionError(f"ckpt_path names {state}, which the job would not see; leave it out")
    files += [Path(value) for name, value in given if name == CONFIG and _is_file(value)]
    name = experiment_name(files, settings["model"]["class_path"])
    shown = _shown({name: value for name, value in given if name != CONFIG})
    config = yaml.safe_dump(settings, sort_keys=False)
    named = f"which {_named(experiment)} with these ARGS names"
    if not words:
        named = f"which {_named(experiment)} names; `make data EXP={experiment}` makes it"
    return Experiment(name, config, encode({CONFIG: name, **shown}), _data_files(named, settings, data_here))


def changes(words: Sequence[str]) -> dict[str, str]:
    """Write settings of the command line as hyperparameters of a job that has its configuration already."""
    given = dict(_pairs(words))
    if CONFIG in given or any(_is_file(value) for value in given.values()):
        raise ProjectionError("a job that goes on has its files already; ARGS can only change settings")
    return encode(given)


def _named(experiment: str) -> str:
    return " + ".join(f"configs/{name}.yaml" for name in experiment.split("+"))


def _resolve(what: str, words: Sequence[str]) -> dict[str, Any]:
    errors = io.StringIO()
    try:
        with contextlib.redirect_stderr(errors):
            return resolved(words)
    except SystemExit as end:
        lines = [*errors.getvalue().splitlines(), *(end.code.splitlines() if isinstance(end.code, str) else [])]
        said = [line.strip() for line in lines if line and not line.startswith("All options")]
        told = re.sub(r"^projection \w+: ", "", " ".join(said[-5:]))  # by a command that nobody typed
        raise ProjectionError(f"{what} is not accepted: {told}") from end


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    """Read `--name value` and `--name=value`."""
    found: list[tuple[str, str]] = []
    rest = list(words)
    while rest:
        name, equals, value = rest.pop(0).partition("=")
        if not name.startswith("--"):
            raise ProjectionError(f"ARGS are pairs such as --trainer.max_epochs 5; found: {name}")
        if not equals:
            if not rest:
                raise ProjectionError(f"{name} has no value in ARGS")
            value = rest.pop(0)
        found.append((name[2:], value))
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


def _data_files(named: str, settings: Mapping[str, Any], here: bool) -> tuple[Path, ...]:
    files = tuple(PROJECT / path for path in data_paths(settings))
    if here and (missing := [file for file in files if not file.is_file()]):
        raise ProjectionError(f"there is no data file {missing[0]}, {named}")
    return files


def pack_code(archive: Path) -> str:
    """Pack the working tree without what git ignores into a .tar.gz; equal code makes equal bytes.

    Returns:
        What git calls the code: its commit, with -dirty where files differ from it.

    Raises:
        ProjectionError: If it is too large.
    """
    done = subprocess.run([PROJECT / "launchers" / "snapshot.sh", archive], capture_output=True, text=True)
    if done.returncode:
        raise ProjectionError(f"the code could not be packed: {done.stderr.strip()}")
    command = ["git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    return subprocess.run(command, capture_output=True, text=True).stdout.strip() or "unknown"
