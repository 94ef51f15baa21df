"""What a training would be, told before it begins, and the data that it needs, made.

- `projection resolve EXP [OPTIONS OF fit]` prints name, configurations, folder, files and settings as JSON; with
  `--field=name`, `--field=data.path` and others, as often as wanted, these alone, one a line.
- `projection data EXP [OPTIONS OF fit]` makes the data files that are missing.
"""

import json
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import override

from projection.cli import ProjectionCLI
from projection.corpus.recipes import recipe
from projection.errors import ProjectionError, file_did_you_mean
from projection.experiment import RUNS, experiment_files, experiment_name
from projection.messages import keep_quiet, readable_errors
from projection.places import config_files

_FIELD = "--field="


def resolve(words: Sequence[str]) -> None:
    """Print an experiment as JSON: name, configurations, folder, data and how to make them, other files, settings.

    Args:
        words: The experiment, then options of `fit`. With `--field=name` or another key, as often as wanted and with
            dots for those within, these values alone are printed, one a line, for shells.
    """
    fields = [word.removeprefix(_FIELD) for word in words if word.startswith(_FIELD)]
    content = _described([word for word in words if not word.startswith(_FIELD)])
    if not fields:
        print(json.dumps(content, indent=2))
    for field in fields:
        for value in _values(content, field.split(".")):
            print(value)


def make_data(words: Sequence[str]) -> None:
    """Make the data files of an experiment that are missing.

    Args:
        words: The experiment, then options of `fit`.
    """
    make_files([file["path"] for file in _described(words)["data"]])


def make_files(paths: Iterable[str]) -> None:
    """Make data files that are missing, by the commands of `projection.corpus.recipes`."""
    for path in dict.fromkeys(paths):
        if Path(path).is_file():
            continue
        commands = recipe(path)
        if not commands:
            how = " `projection convert --help` tells how to make one." if Path(path).suffix == ".h5" else ""
            told = f"There is no data file {path}, which the experiment names.{how} {file_did_you_mean(Path(path))}"
            raise ProjectionError(told.rstrip())
        print(f"{path} is not here yet, and made now.", flush=True)
        for command in commands:
            # the words behind `python`
            if subprocess.run([sys.executable, *shlex.split(command)[1:]]).returncode:
                raise ProjectionError(f"{path} could not be made: `{command}` failed.")


def _described(words: Sequence[str]) -> dict[str, Any]:
    if {"-h", "--help"} & {*words}:
        print(__doc__)
        sys.exit()
    if not words or words[0].startswith("-"):
        raise ProjectionError("Name an experiment first, as in `projection resolve demo --trainer.max_epochs 3`.")
    stacked = [word for file in experiment_files(words[0]) for word in ("--config", str(file))]
    cli = _parsed([*stacked, *words[1:]])
    configs, settings = config_files(cli.config.fit), _settings(cli)
    name = experiment_name(configs, settings["model"]["class_path"])
    data = data_paths(settings)
    return {
        "name": name,
        "configs": [str(file) for file in configs],
        "folder": str(Path(RUNS) / name),
        "data": [{"path": path, "exists": Path(path).is_file(), "commands": recipe(path)} for path in data],
        "files": _checkpoints(settings),
        "config": settings,
    }


def _checkpoints(settings: Mapping[str, Any]) -> list[str]:
    """List the files that a training begins with or continues from; words such as `last` name none."""
    named = [settings.get("ckpt_path"), settings["model"].get("init_args", {}).get("init_from")]
    return [str(each) for each in named if each and each not in ("last", "best", "hpc") and "://" not in str(each)]


def _values(content: object, keys: Sequence[str]) -> list[object]:
    """Look a field up; a list gives what is found in each of its parts."""
    if isinstance(content, list):
        return [value for part in content for value in _values(part, keys)]
    if not keys:
        return [content]
    if not isinstance(content, Mapping) or keys[0] not in content:
        raise ProjectionError(f"An experiment has no field {keys[0]!r}.")
    return _values(content[keys[0]], keys[1:])


def resolved(words: Sequence[str]) -> dict[str, Any]:
    """Work out all settings of a training, as they would stand in its `config.yaml`; nothing is built.

    Args:
        words: Arguments of `fit`. What is wrong with them ends the process with a message, as there.
    """
    return _settings(_parsed(words))


def _parsed(words: Sequence[str]) -> "_Resolver":
    keep_quiet()
    try:
        # what a user's module says when it is imported is no part of the answer
        with readable_errors(), redirect_stdout(sys.stderr):
            return _Resolver("fit", words)
    except ProjectionError as error:
        sys.exit(f"projection fit: {error}")


def _settings(cli: "_Resolver") -> dict[str, Any]:
    settings: dict[str, Any] = yaml.safe_load(cli._parser("fit").dump(cli.config.fit, skip_unset=False))
    return settings


class _Resolver(ProjectionCLI):
    """Parses the command line, and does nothing else."""

    @override
    def instantiate_classes(self) -> None:
        pass

    @override
    def _run_subcommand(self, subcommand: str) -> None:
        pass

    @override
    def _set_seed(self) -> None:
        pass


def data_paths(settings: Mapping[str, Any]) -> list[str]:
    """List the data files that settings name; none where a data module of a user's own names none."""
    path = ((settings.get("data") or {}).get("init_args") or {}).get("path") or []
    return [str(each) for each in (path if isinstance(path, list) else [path])]
