"""In which settings runs differ, and which of them say only where a run was computed."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from projection.runs.run import Run

SEED, PATH = "seed_everything", "data.init_args.path"
ABSENT = "-"

# where and how a run was computed and shown, not what was trained
_PLACES = (
    *("trainer.accelerator", "trainer.default_root_dir", "trainer.logger", "trainer.profiler"),
    *("trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.log_every_n_steps"),
    *("learning_rate_monitor", "progress_bar", "predictions", "ckpt_path", "checkpoint.dirpath", "last_checkpoint"),
    "data.init_args.residency",
)


def differing(configs: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """List the settings in which configurations differ, with the value in each, or `ABSENT` where it has none."""
    flat = [_flat(config) for config in configs]
    keys = dict.fromkeys(key for each in flat for key in each)
    every = {key: [each.get(key, ABSENT) for each in flat] for key in keys}
    return {key: values for key, values in every.items() if len(set(values)) > 1}


def is_place(key: str) -> bool:
    """Tell whether a setting says where a run was computed."""
    return any(key == place or key.startswith(f"{place}.") for place in _PLACES)


def short(key: str) -> str:
    """Give the part of a setting's name that people call it by, such as `net` or `lr`."""
    parts = [part for part in key.split(".") if part not in ("class_path", "init_args")]
    return parts[-1] if parts and key != SEED else "seed"


def arguments_of_others(found: Iterable[str]) -> set[str]:
    """Tell which of differing settings are arguments of a class that differs itself, so that they follow from it."""
    classes = tuple(f"{key.removesuffix('class_path')}init_args." for key in found if key.endswith(".class_path"))
    return {key for key in found if key.startswith(classes)}


def unlike(runs: Sequence[Run]) -> list[str]:
    """Name what keeps runs from being the same training with other seeds: settings, or other data."""
    found = differing([run.config for run in runs])
    follow = {SEED, PATH, *arguments_of_others(found)}  # the data's fingerprint says more than where they are
    kept = [short(key) for key in found if key not in follow and not is_place(key)]
    data = {tuple(run.data_facts("signals_sha256")) for run in runs}
    return [*dict.fromkeys(kept), *(["data"] if len(data) > 1 else [])]


def _flat(value: object, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {prefix: str(value)}
    inner = (_flat(each, f"{prefix}.{key}" if prefix else str(key)) for key, each in value.items())
    return {key: text for each in inner for key, text in each.items()}
