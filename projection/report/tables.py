"""The report's tables: the numbers of `evaluate`, to the same decimals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np

from projection.evaluation.judge import Judgement
from projection.evaluation.protocol import Protocol
from projection.evaluation.subgroups import Subgroup
from projection.evaluation.wording import CLASSES, SUMMARY, percent, shown
from projection.report.matrices import Mistake


@dataclass(frozen=True)
class Table:
    """A table whose first column names its rows."""

    caption: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def between(numbers: Mapping[str, float], key: str) -> str:
    """Write the interval of a number; a dash where it is undefined."""
    low, high = numbers[f"{key}_low"], numbers[f"{key}_high"]
    return f"{low:.3f} to {high:.3f}" if isfinite(low) else "-"


def summary_table(judged: Mapping[str, Judgement], protocol: Protocol) -> Table:
    """Lay the numbers over all classes side by side, a column for each run."""
    rows = [[f"AUROC [{percent(protocol.confidence)} interval]", *(each.auroc for each in judged.values())]]
    rows += [[title, *(shown(each.summary[key], 4) for each in judged.values())] for key, (_, title) in SUMMARY.items()]
    return Table(
        "Means over classes, test folds; thresholds and temperature from the validation folds",
        ["metric", *judged],
        rows,
    )


def class_table(judgement: Judgement) -> Table:
    """List the numbers of each class."""
    rows = [
        [name, f"{row['positives']:.0f}", shown(row["auroc"], 3), between(row, "auroc")]
        + [shown(row[key], 3) for key in CLASSES]
        for name, row in judgement.classes.items()
    ]
    interval, titles = f"{percent(judgement.confidence)} interval", [title for _, title in CLASSES.values()]
    return Table("Each class, test folds", ["class", "records with it", "AUROC", interval, *titles], rows)


def auroc_table(judged: Mapping[str, Judgement], alike: bool) -> Table:
    """Lay the AUROC of each class of two or more runs side by side.

    Mean and standard deviation are only of runs that are `alike`, but for their seeds.
    """
    first = next(iter(judged.values()))
    rows = []
    for name, row in first.classes.items():
        values = [each.classes[name]["auroc"] for each in judged.values()]
        if alike:  # not by statistics, which takes no NaN: a class may be undefined
            values += [float(np.mean(values)), float(np.std(values, ddof=1))]
        rows.append([name, f"{row['positives']:.0f}", *(shown(value, 3) for value in values)])
    spread = ["mean", "s.d."] if alike else []
    return Table("AUROC of each class", ["class", "records with it", *judged, *spread], rows)


def subgroup_table(groups: Sequence[Subgroup], protocol: Protocol) -> Table:
    """List a model's AUROC in subgroups."""
    rows = []
    for each in groups:
        interval = f"{each.low:.3f} to {each.high:.3f}" if isfinite(each.low) else "too few"
        values = [shown(each.auroc, 3), interval, shown(each.everyone, 3)] if each.classes else ["too few", "", ""]
        rows.append([f"{each.attribute}: {each.group}", f"{each.records:,}", str(each.classes), *values])
    interval = f"{percent(protocol.confidence)} interval"
    head = ["group", "records", "classes", "AUROC", interval, "all records, same classes"]
    return Table("AUROC in subgroups of the test records", head, rows)


def mistake_table(found: Sequence[Mistake]) -> Table:
    """List confusions."""
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
