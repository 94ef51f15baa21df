"""The report's tables: the numbers of `evaluate`, to the same decimals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np

from projection.evaluation.judge import Judgement
from projection.evaluation.protocol import Protocol
from projection.evaluation.subgroups import Subgroup
from projection.report.matrices import Mistake

SUMMARY = {
    "validation_auroc": "AUROC of the validation records",
    "average_precision": "average precision",
    "fmax": "Fmax (best record-centred F1 over all thresholds)",
    "f2": "F2, votes shared by a record's statements",
    "g2": "G2, votes shared by a record's statements",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "positive predictive value",
    "npv": "negative predictive value",
    "f1": "F1",
    "brier": "Brier score",
    "ece": "expected calibration error",
    "ece_with_temperature": "expected calibration error with temperature",
    "temperature": "temperature",
}
CLASSES = {
    "positives": "records with it",
    "auroc": "AUROC",
    "average_precision": "average precision",
    "brier": "Brier score",
    "threshold": "threshold",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
}


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows.

    Args:
        caption: What it holds.
        head: Names of the columns.
        rows: The cells, as many in each row as there are columns.
    """

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def shown(value: float, decimals: int) -> str:
    """Write a number as `evaluate` does.

    Args:
        value: The number.
        decimals: After the point.

    Returns:
        Its text; a dash where it is undefined.
    """
    return f"{value:.{decimals}f}" if isfinite(value) else "-"


def summary_table(judged: Mapping[str, Judgement], protocol: Protocol) -> Table:
    """Lay the numbers over all classes side by side.

    Args:
        judged: The judgements, by name of the run.
        protocol: How they were made.

    Returns:
        The table, a column for each run.
    """
    rows = [[f"AUROC [{protocol.confidence:.0%} interval]", *(each.auroc for each in judged.values())]]
    rows += [[title, *(shown(each.summary[key], 4) for each in judged.values())] for key, title in SUMMARY.items()]
    return Table(
        "Means over classes, test folds; thresholds and temperature from the validation folds",
        ["metric", *judged],
        rows,
    )


def class_table(judgement: Judgement) -> Table:
    """List the numbers of each class.

    Args:
        judgement: Of one run.

    Returns:
        The table, a row for each class.
    """
    rows = [
        [name, f"{row['positives']:.0f}", *(shown(row[key], 3) for key in list(CLASSES)[1:])]
        for name, row in judgement.classes.items()
    ]
    return Table("Each class, test folds", ["class", *CLASSES.values()], rows)


def auroc_table(judged: Mapping[str, Judgement]) -> Table:
    """Lay the AUROC of each class side by side.

    Args:
        judged: The judgements of two or more runs, by name.

    Returns:
        The table: a row for each class, a column for each run, their mean and standard deviation.
    """
    first = next(iter(judged.values()))
    rows = []
    for name, row in first.classes.items():
        values = [each.classes[name]["auroc"] for each in judged.values()]
        # not by statistics, which takes no NaN: a class may be undefined
        spread = (float(np.mean(values)), float(np.std(values, ddof=1)))
        rows.append([name, f"{row['positives']:.0f}", *(shown(value, 3) for value in (*values, *spread))])
    return Table("AUROC of each class", ["class", "records with it", *judged, "mean", "s.d."], rows)


def subgroup_table(groups: Sequence[Subgroup], protocol: Protocol) -> Table:
    """List a model's AUROC in subgroups.

    Args:
        groups: The subgroups.
        protocol: How they were judged.

    Returns:
        The table, a row for each group.
    """
    rows = []
    for each in groups:
        interval = f"{each.low:.3f} to {each.high:.3f}" if isfinite(each.low) else "too few"
        values = [shown(each.auroc, 3), interval, shown(each.everyone, 3)] if each.classes else ["too few", "", ""]
        rows.append([f"{each.attribute}: {each.group}", f"{each.records:,}", str(each.classes), *values])
    head = ["group", "records", "classes", "AUROC", f"{protocol.confidence:.0%} interval", "all records, same classes"]
    return Table("AUROC in subgroups of the test records", head, rows)


def mistake_table(found: Sequence[Mistake]) -> Table:
    """List confusions.

    Args:
        found: The confusions.

    Returns:
        The table, a row for each.
    """
    rows = [
        [
            f"{each.predicted} where {each.true} is true",
            f"{each.count:,} of {each.records:,}",
            f"{each.count / each.records:.0%}",
            f"{each.elsewhere:.0%}",
        ]
        for each in found
    ]
    head = ["predicted, but not true", "records", "share", "share of all records without it"]
    return Table("The most frequent confusions", head, rows)


def differences(configs: Mapping[str, Mapping[str, Any]]) -> Table:
    """List the settings in which runs differ.

    Args:
        configs: The configurations, by name of the run.

    Returns:
        The table, a row for each setting.
    """
    flat = {name: _flat(config) for name, config in configs.items()}
    keys = dict.fromkeys(key for each in flat.values() for key in each)
    rows = [[key, *(each.get(key, "-") for each in flat.values())] for key in keys]
    return Table("Settings that differ", ["setting", *flat], [row for row in rows if len(set(row[1:])) > 1])


def _flat(value: object, prefix: str = "") -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {prefix: str(value)}
    inner = (_flat(each, f"{prefix}.{key}" if prefix else str(key)) for key, each in value.items())
    return {key: text for each in inner for key, text in each.items()}
