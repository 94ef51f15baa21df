"""What runs are: configuration, origin, and learning curves."""

from collections.abc import Mapping, Sequence
from os.path import commonpath
from pathlib import Path
from typing import Any

from projection.errors import ProjectionError
from projection.report.learning import learning_curves
from projection.report.tables import Table, differences
from projection.runs.run import read_settings


def names_of(runs: Sequence[Path]) -> list[str]:
    """Name runs by the part of their folders that tells them apart.

    Args:
        runs: Run folders.

    Returns:
        A name for each: the last three parts of a single one's path; of several what follows their common folder, but
        two parts at least.

    Raises:
        ProjectionError: If a folder is given twice.
    """
    parts = [run.resolve().parts[1:] for run in runs]
    if len(set(parts)) < len(parts):
        raise ProjectionError("A run is given twice: name each one once.")
    if len(runs) == 1:
        return ["/".join(parts[0][-3:])]
    common = Path(commonpath([run.resolve() for run in runs])).parts[1:]
    shared = max(0, min(len(common), min(map(len, parts)) - 2))
    return ["/".join(each[shared:]) for each in parts]


def about_runs(runs: Sequence[Path]) -> dict[str, Any]:
    """Collect what the page says of runs before any number.

    Args:
        runs: Run folders.

    Returns:
        The template's `names`, `configs`, `differences`, `origin`, `learning`, `series` and `monitored`.
    """
    names = names_of(runs)
    named = dict(zip(names, runs, strict=True))
    configs = {name: read_settings(run)[0] for name, run in named.items()}
    checkpoint = _mapping(next(iter(configs.values())).get("checkpoint"))
    monitored = checkpoint.get("monitor")
    charts, series = learning_curves(named, monitored, checkpoint.get("mode") == "min")
    return {
        "names": names,
        "configs": {name: _text(run / "config.yaml") for name, run in named.items()},
        "differences": differences(configs) if len(runs) > 1 else None,
        "origin": _origin(names, runs),
        "learning": [chart.svg() for chart in charts],
        "series": series,
        "monitored": monitored,
    }


def _origin(names: Sequence[str], runs: Sequence[Path]) -> Table:
    columns = [_facts(run) for run in runs]
    keys = dict.fromkeys(key for column in columns for key in column)
    rows = [[key, *(column.get(key, "-") for column in columns)] for key in keys]
    return Table("Where the results come from (provenance.json)", ["", *names], rows)


def _facts(run: Path) -> dict[str, str]:
    known = read_settings(run)[1]
    command = " ".join(str(word) for word in known.get("command") or [])
    facts = {"folder": str(run.resolve()), "command": command}
    facts |= {key: str(known[key]) for key in ("started", "git", "python") if known.get(key)}
    facts |= {f"version of {name}": str(value) for name, value in _mapping(known.get("versions")).items()}
    facts |= {f"data: {name}": str(value) for name, value in _mapping(known.get("data")).items()}
    return {name: value for name, value in facts.items() if value}


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.is_file() else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
