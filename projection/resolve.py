"""What a training would be, told before it begins: `python -m projection resolve EXP [OPTIONS OF FIT]`."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from typing_extensions import override

from projection.cli import ProjectionCLI
from projection.errors import ProjectionError
from projection.experiment import experiment_files, experiment_name
from projection.messages import keep_quiet, readable_errors

# data files that anybody can make, and the commands of projection that do
_RECIPES = {
    r"data/demo_100hz\.h5": (
        "synthesize --output data/demo --records 2000 --overwrite true",
        "convert --source data/demo --output data/demo_100hz.h5",
    ),
    r"data/ptbxl_(\d+)hz\.h5": (
        r"download --output data/ptbxl --sampling_rates \1",
        r"convert --source data/ptbxl --output data/ptbxl_\1hz.h5 --sampling_rate \1 --source_version 1.0.3",
    ),
}


def resolve(words: Sequence[str]) -> None:
    """Print an experiment as JSON: its name, configurations, folder, data files and how to make them, and all settings.

    Args:
        words: The experiment, then options of `fit`.

    Raises:
        ProjectionError: If it is none, or an option is not accepted.
    """
    if not words or words[0].startswith("-"):
        raise ProjectionError("Name an experiment first, as in `projection resolve demo --trainer.max_epochs 3`.")
    files = experiment_files(words[0])
    settings = resolved([word for file in files for word in ("--config", str(file))] + list(words[1:]))
    name = experiment_name(files, settings["model"]["class_path"])
    content = {
        "name": name,
        "configs": [str(file) for file in files],
        "folder": str(Path("runs") / name),
        "data": [_data_file(path) for path in data_paths(settings)],
        "config": settings,
    }
    print(json.dumps(content, indent=2))


def resolved(words: Sequence[str]) -> dict[str, Any]:
    """Work out all settings of a training, as they would stand in its `config.yaml`; nothing is built.

    Args:
        words: Arguments of `fit`. What is wrong with them ends the process with a message, as there.
    """
    keep_quiet()
    try:
        with readable_errors():
            cli = _Resolver("fit", words)
    except ProjectionError as error:
        sys.exit(f"projection fit: {error}")
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
    """List the data files that settings name; none where a data module of a user's own names none.

    Args:
        settings: Of a training.
    """
    path = ((settings.get("data") or {}).get("init_args") or {}).get("path") or []
    return [str(each) for each in (path if isinstance(path, list) else [path])]


def _data_file(path: str) -> dict[str, Any]:
    found = next(((how, match) for name, how in _RECIPES.items() if (match := re.fullmatch(name, path))), None)
    commands = [f"python -m projection {found[1].expand(how)}" for how in found[0]] if found else []
    return {"path": path, "exists": Path(path).is_file(), "commands": commands}
