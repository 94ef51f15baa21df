"""What runs are: names, configuration, origin, and learning curves."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from projection.report.learning import learning_curves
from projection.report.tables import Table
from projection.runs.differences import ABSENT, differing, names_of
from projection.runs.folder import CONFIG, PROVENANCE
from projection.runs.run import read_settings


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
