"""What a cell would be trained with now, and whether that is what its run was trained with."""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from projection import resolve
from projection.benchmark.grid import HOME, Cell, TableError

# where a run took place and what it showed: its result is the same
_IMMATERIAL = (
    *(f"trainer.{name}" for name in ("accelerator", "strategy", "devices", "num_nodes", "logger", "profiler")),
    *(f"trainer.{name}" for name in ("enable_progress_bar", "enable_model_summary", "log_every_n_steps")),
    *("trainer.default_root_dir", "data.init_args.residency", "progress_bar", "learning_rate_monitor", "predictions"),
    "ckpt_path",
)


def resolved(cell: Cell, arguments: Sequence[str]) -> dict[str, Any]:
    """Work out all settings of a cell, as `fit --print_config` does.

    Args:
        cell: The cell.
        arguments: The words of ARGS.

    Returns:
        The settings, as they would stand in the run's `config.yaml`.

    Raises:
        TableError: If ARGS set what distinguishes cells.
    """
    settings = resolve.resolved([*cell.configs, "--seed_everything", str(cell.seed), *arguments])
    _check_own(cell, settings)
    return settings


def _check_own(cell: Cell, settings: Mapping[str, Any]) -> None:
    config = yaml.safe_load((HOME / cell.configs[1]).read_text())
    task = ((config.get("data") or {}).get("init_args") or {}).get("labels")
    found = {
        "--seed_everything, by SEEDS": settings["seed_everything"] != cell.seed,
        "--data.labels, by TASKS": task not in (None, (settings["data"].get("init_args") or {}).get("labels")),
        "--trainer.default_root_dir, by RUNS_PATH and TABLE": settings["trainer"]["default_root_dir"] is not None,
        "--ckpt_path, so that interrupted cells go on": settings["ckpt_path"] is not None,
    }
    wrong = [how for how, is_wrong in found.items() if is_wrong]
    if wrong:
        raise TableError(f"ARGS set what a table sets itself: {wrong[0]}")


def changes(cell: Cell, settings: Mapping[str, Any]) -> str:
    """Compare a cell's settings with those that its run was trained with.

    A setting that only one of them knows is no difference: the run is of an older or newer version of the code.

    Args:
        cell: The cell.
        settings: Its settings now.

    Returns:
        The differences in words, or nothing.
    """
    config = cell.folder / "config.yaml"
    if not config.is_file():
        return ""
    found = differences(yaml.safe_load(config.read_text()), settings)
    return ", ".join(f"{name} {old}, not {new}" for name, old, new in found)


def differences(old: object, new: object, name: str = "") -> list[tuple[str, object, object]]:
    """List the settings that differ.

    Args:
        old: Settings, or a part of them.
        new: Others.
        name: Of the part.

    Returns:
        Names, old values and new ones.
    """
    if name in _IMMATERIAL or old == new:
        return []
    if not isinstance(old, dict) or not isinstance(new, dict):
        return [(name.replace(".init_args", ""), old, new)]
    below = ((f"{name}.{key}".lstrip("."), key) for key in old if key in new)
    return [found for path, key in below for found in differences(old[key], new[key], path)]
