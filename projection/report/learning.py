"""Learning curves: the metrics that a run logged, of all of its parts where it was resumed."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from projection.report.svg import Axis, Chart
from projection.runs.folder import METRICS

_STAGES = {"train": "training, or the only series of a chart", "val": "validation"}

# of logged values, more than a screen has pixels
_MOST_POINTS = 600


def read_metrics(folder: Path) -> pd.DataFrame:
    """Read what a run logged while it learned.

    A resumed run goes on in `metrics-2`, `metrics-3`, ...; where it took up from before the earlier part's end, the
    later part counts. A row per logged step has the columns `step`, `epoch` and one for each value.
    """
    parts: list[pd.DataFrame] = []
    for place in sorted(folder.glob(f"{METRICS}*/metrics.csv"), key=_part):
        try:
            later = pd.read_csv(place)
        except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError):
            continue  # a run that was killed before it logged anything
        if "step" in later and len(later):
            parts = [part[part["step"] < later["step"].min()] for part in parts] + [later]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"step": []})


def learning_curves(runs: Mapping[str, Path], monitored: str | None, lowest: bool) -> tuple[list[Chart], list[str]]:
    """Draw what runs, by their names, logged: a chart for each metric, with training and validation together.

    The best step of the `monitored` value is marked, by which the checkpoint was chosen.

    Returns:
        The charts, losses first, and the names of their series: the stages of a single run, or several runs, with a
        chart for each stage.
    """
    tables = [read_metrics(run) for run in runs.values()]
    logged = {str(name) for table in tables for name in table} - {"step", "epoch"}
    # the test follows the training, and is no part of a curve
    names = sorted((name for name in logged if not name.startswith("test/")), key=_order)
    if len(runs) > 1:
        charts = {name: {style: (table, name) for style, table in enumerate(tables)} for name in names}
        legend = list(runs)
    else:
        metrics = dict.fromkeys(_metric(name) for name in names)
        charts = {
            metric: {style: (tables[0], name) for style, name in _stages(metric, names).items()} for metric in metrics
        }
        legend = list(_STAGES.values())[: 1 + max((style for each in charts.values() for style in each), default=0)]
    return [_chart(title, series, monitored, lowest) for title, series in charts.items()], legend


def _chart(title: str, series: Mapping[int, tuple[pd.DataFrame, str]], monitored: str | None, lowest: bool) -> Chart:
    curves = {style: _values(table, name) for style, (table, name) in series.items()}
    steps, values = (np.concatenate([curve[i] for curve in curves.values()]) for i in (0, 1))
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 0.5
    across = Axis("optimiser steps", 0, float(steps.max(initial=1)))
    chart = Chart(f"Learning curve: {title}", across, Axis(title, low - margin, high + margin), 340, 250)
    for style, (where, what) in curves.items():
        every = max(1, len(where) // _MOST_POINTS)
        chart.line(where[::every].tolist(), what[::every].tolist(), style)
        if len(what) and (series[style][1] == monitored or len(what) == 1):
            best = int(what.argmin() if lowest else what.argmax())
            chart.dots([float(where[best])], [float(what[best])], style)
    return chart


def _values(table: pd.DataFrame, name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if name not in table:
        return np.zeros(0), np.zeros(0)
    numbers = table[["step", name]].apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    kept = numbers[np.isfinite(numbers).all(axis=1)]
    return kept[:, 0], kept[:, 1]


def _metric(name: str) -> str:
    stage, _, metric = name.partition("/")
    return metric if stage in _STAGES and metric else name


def _stages(metric: str, names: Sequence[str]) -> dict[int, str]:
    found = {index: f"{stage}/{metric}" for index, stage in enumerate(_STAGES) if f"{stage}/{metric}" in names}
    return found or {0: metric}


def _order(name: str) -> tuple[bool, bool, str]:
    return not name.endswith("loss"), name.startswith("lr-"), name


def _part(place: Path) -> int:
    found = re.fullmatch(rf"{METRICS}-(\d+)", place.parent.name)
    return int(found.group(1)) if found else 1
