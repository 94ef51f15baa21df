"""In which settings runs differ, and which of them say only where a run was computed."""

from collections.abc import Iterable, Mapping, Sequence
from os.path import commonpath
from pathlib import Path
from typing import Any

from projection.errors import ProjectionError
from projection.runs.run import Run, read_settings

SEED, PATH = "seed_everything", "data.init_args.path"
ABSENT = "-"
_LONGEST = 40  # letters of a name, if that tells runs apart
_LONGEST_VALUE = 24

# where and how a run was computed and shown, not what was trained
_PLACES = (
    *("trainer.accelerator", "trainer.default_root_dir", "trainer.logger", "trainer.profiler"),
    *("trainer.enable_progress_bar", "trainer.enable_model_summary", "trainer.log_every_n_steps"),
    *("learning_rate_monitor", "progress_bar", "model_summary", "predictions", "ckpt_path"),
    *("checkpoint.dirpath", "last_checkpoint"),
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


def names_of(runs: Sequence[Path]) -> list[str]:
    """Name runs by the settings in which they differ, such as `net S4 seed 1`, or else by their folders."""
    parts = [run.resolve().parts[1:] for run in runs]
    if len(set(parts)) < len(parts):
        raise ProjectionError("A run is given twice: name each one once.")
    if len(runs) == 1:
        return ["/".join(parts[0][-3:])]
    names = _by_settings([read_settings(run)[0] for run in runs])
    common = Path(commonpath([run.resolve() for run in runs])).parts[1:]
    shared = max(0, min(len(common), min(map(len, parts)) - 2))
    folders = ["/".join(each[shared:]) for each in parts]
    pairs = zip(names, folders, strict=True)
    return [name if name and names.count(name) == 1 else _joined(name, folder) for name, folder in pairs]


def _by_settings(configs: Sequence[Mapping[str, Any]]) -> list[str]:
    """Take what tells runs apart, and of other differences what fits; equal names remain where nothing does."""
    found = {key: values for key, values in differing(configs).items() if key != PATH and not is_place(key)}
    following = arguments_of_others(found)
    names = [""] * len(configs)
    # seeds last, and classes before their arguments, which differ with them
    for key in sorted(found, key=lambda key: (key == SEED, not key.endswith("class_path"))):
        values = [value.rpartition(".")[2] if key.endswith("class_path") else value for value in found[key]]
        if max(map(len, values)) > _LONGEST_VALUE:
            continue
        words = ["" if value == ABSENT else f"{short(key)} {value}" for value in values]
        longer = [_joined(name, word) for name, word in zip(names, words, strict=True)]
        if len(set(longer)) > len(set(names)) or (max(map(len, longer)) <= _LONGEST and key not in following):
            names = longer
    return names


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def _flat(value: object, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {prefix: str(value)}
    inner = (_flat(each, f"{prefix}.{key}" if prefix else str(key)) for key, each in value.items())
    return {key: text for each in inner for key, text in each.items()}
