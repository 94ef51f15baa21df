"""What runs are: names, configuration, origin, and learning curves."""

from collections.abc import Mapping, Sequence
from os.path import commonpath
from pathlib import Path
from typing import Any

from projection.errors import ProjectionError
from projection.report.learning import learning_curves
from projection.report.tables import Table
from projection.runs.differences import ABSENT, PATH, SEED, arguments_of_others, differing, is_place, short
from projection.runs.folder import CONFIG, PROVENANCE
from projection.runs.run import read_settings

_LONGEST = 40  # letters of a name, if that tells runs apart
_LONGEST_VALUE = 24


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


def about_runs(runs: Sequence[Path]) -> dict[str, Any]:
    """Collect what the page says of runs before any number, as variables of the template."""
    names = names_of(runs)
    named = dict(zip(names, runs, strict=True))
    configs = {name: read_settings(run)[0] for name, run in named.items()}
    checkpoint = _mapping(next(iter(configs.values())).get("checkpoint"))
    monitored = checkpoint.get("monitor")
    charts, series = learning_curves(named, monitored, checkpoint.get("mode") == "min")
    rows = [[key, *values] for key, values in differing(list(configs.values())).items()]
    return {
        "names": names,
        "configs": {name: _text(run / CONFIG) for name, run in named.items()},
        "differences": Table("Settings that differ", ["setting", *names], rows) if len(runs) > 1 else None,
        "origin": _origin(names, runs),
        "learning": [chart.svg() for chart in charts],
        "series": series,
        "monitored": monitored,
    }


def _origin(names: Sequence[str], runs: Sequence[Path]) -> Table:
    columns = [_facts(run) for run in runs]
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [[key, *(column.get(key, ABSENT) for column in columns)] for key in keys]
    return Table(f"Where the results come from ({PROVENANCE})", ["", *names], rows)


def _facts(run: Path) -> dict[str, str]:
    known = read_settings(run)[1]
    command = " ".join(str(word) for word in known.get("command") or [])
    facts = {"folder": str(run.resolve()), "command": command}
    facts |= {key: str(known[key]) for key in ("started", "git", "python") if known.get(key)}
    facts |= {f"version of {name}": str(value) for name, value in _mapping(known.get("versions")).items()}
    # of each of several data files
    data = {name: value if isinstance(value, list) else [value] for name, value in _mapping(known.get("data")).items()}
    facts |= {f"data: {name}": ", ".join(map(str, values)) for name, values in data.items()}
    return {name: value for name, value in facts.items() if value}


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
