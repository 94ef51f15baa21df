"""What a cell would be trained with now, and whether that is what its run was trained with."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from projection import resolve
from projection.benchmark.grid import HOME, Cell, TableError
from projection.experiment import experiment_files
from projection.runs.differences import ABSENT, PATH, differing, is_place
from projection.runs.folder import CONFIG

# a cell may go on elsewhere
_CONTAINER = "/opt/ml/"
_MACHINES = ("trainer.strategy", "trainer.devices", "trainer.num_nodes")


def resolved(cell: Cell, arguments: Sequence[str]) -> dict[str, Any]:
    """Work out all settings of a cell, as they would stand in its run's `config.yaml`."""
    settings = resolve.resolved(["--config", cell.experiment, "--seed_everything", str(cell.seed), *arguments])
    _check_own(cell, settings)
    return settings


def _in_a_container(paths: Sequence[str]) -> bool:
    """Tell whether the same file stood elsewhere in a container of SageMaker."""
    return len({path.rpartition("/")[2] for path in paths}) == 1 and any(path.startswith(_CONTAINER) for path in paths)


def _same_number(values: Sequence[str]) -> bool:
    """Tell whether values differ in their writing alone, as 2 and 2.0 do."""
    try:
        return len({float(value) for value in values}) == 1
    except ValueError:
        return False


def _check_own(cell: Cell, settings: Mapping[str, Any]) -> None:
    config = yaml.safe_load(experiment_files(cell.experiment, HOME)[0].read_text())
    labels = ((config.get("data") or {}).get("init_args") or {}).get("labels")
    found = {
        "--seed_everything, by SEEDS": settings["seed_everything"] != cell.seed,
        "--data.labels, by LABELS": labels not in (None, (settings["data"].get("init_args") or {}).get("labels")),
        "--trainer.default_root_dir, by RUNS_PATH and TABLE": settings["trainer"]["default_root_dir"] is not None,
        "--ckpt_path, so that interrupted cells go on": settings["ckpt_path"] is not None,
    }
    wrong = [how for how, is_wrong in found.items() if is_wrong]
    if wrong:
        raise TableError(f"ARGS set what a table sets itself: {wrong[0]}")


def changes(cell: Cell, settings: Mapping[str, Any]) -> str:
    """Tell in words how a cell's settings differ from those that its run was trained with; nothing where they do not.

    A setting that only one of them knows is no difference: the run is of an older or newer version of the code.
    """
    config = cell.folder / CONFIG
    if not config.is_file():
        return ""
    found = differing([yaml.safe_load(config.read_text()), settings])
    told = []
    for key, values in found.items():
        if key in _MACHINES or is_place(key) or (key == PATH and _in_a_container(values)):
            continue
        if ABSENT in values:
            # null there and a class here, or the other way round: not merely unknown to one of both
            below = next((found[other] for other in found if other.startswith(f"{key}.")), None)
            if below is None:
                continue
            values = [one if other == ABSENT else other for one, other in zip(values, below, strict=True)]
        if _same_number(values):
            continue
        told.append(f"{key.replace('.init_args', '')} {values[0]}, not {values[1]}")
    return ", ".join(told)
