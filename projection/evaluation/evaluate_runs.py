"""The command `evaluate`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from math import isfinite
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from projection.evaluation.judge import Judgement, comparison, judge_run
from projection.evaluation.protocol import Protocol
from projection.evaluation.wording import CLASSES, SUMMARY, percent, shown
from projection.files import write_json
from projection.metrics.thresholds import Criterion
from projection.runs.differences import names_of
from projection.runs.folder import EVALUATION
from projection.runs.predictions import mean_of
from projection.runs.run import Run, read_run

_TITLE = "Test fold, thresholds from the validation fold"
_SIDE_BY_SIDE = 3  # more runs than this are listed, with less of each


def evaluate(
    runs: list[Path],
    ensemble: bool = False,
    criterion: Criterion = "youden",
    sensitivity: float = 0.9,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    by_patient: bool = False,
) -> None:
    """Judge runs by the predictions that `fit` stored: intervals, thresholds, calibration, comparisons.

    Thresholds and temperature are fitted on the validation predictions (fold 9) only; all numbers are of the test
    predictions (fold 10). Each run's numbers go to evaluation.json in its folder. Two runs are compared by the paired
    bootstrap; several that differ by nothing but their seeds are summarised as mean and standard deviation. Where the
    run's data file is at hand, patients in two splits are an error, and subgroups are judged.

    Args:
        runs: Run folders.
        ensemble: Judge the mean of the runs' probabilities as one more model.
        criterion: What thresholds are fitted for: youden, f1, g2 or sensitivity. F2 and G2 have thresholds of their
            own, fitted for g2.
        sensitivity: The sensitivity to reach, where criterion is sensitivity (0 to 1).
        resamples: Resamples of the bootstrap over test records, in each of which every class keeps a positive and a
            negative (1 or more).
        seed: Of the bootstrap.
        confidence: Of the bootstrap's interval (0 to 1).
        by_patient: Draw patients with all of their records instead of single records; needs the run's data file.

    Raises:
        ProjectionError: If a run has no predictions, was tested on what it learned from, or runs do not belong
            together.
    """
    protocol = Protocol(criterion, sensitivity, resamples, seed, confidence, by_patient)
    names = names_of(runs)
    models = {name: read_run(run) for name, run in zip(names, runs, strict=True)}
    if ensemble:
        models["ensemble"] = joined(list(models.values()))
    judged = {name: judge_run(run, protocol) for name, run in models.items()}
    for name, run in zip(names, runs, strict=True):
        content = {"protocol": asdict(protocol), **judged[name].as_json()}
        write_json(run / EVALUATION, _finite(content))
    _print(judged, protocol)
    for line in comparison([models[name] for name in names], [judged[name] for name in names]):
        print(line)
    for note in sorted({note for each in judged.values() for note in each.notes}):
        print(note)


def joined(runs: Sequence[Run]) -> Run:
    """Give the first run with the mean of all runs' probabilities: an ensemble, to be judged like a run."""
    validation, test = mean_of([run.validation for run in runs]), mean_of([run.test for run in runs])
    return replace(runs[0], validation=validation, test=test)


def _print(judged: Mapping[str, Judgement], protocol: Protocol) -> None:
    console = Console()
    console.print(_summary_table(judged, protocol))
    if len(judged) == 1:
        (judgement,) = judged.values()
        console.print(_class_table(judgement))
        if judgement.subgroups:
            console.print(_subgroup_table(judgement, protocol))


def _summary_table(judged: Mapping[str, Judgement], protocol: Protocol) -> Table:
    if len(judged) > _SIDE_BY_SIDE:
        return _list_of_runs(judged, protocol)
    table = Table("metric (macro)", *judged, title=_TITLE)
    table.add_row(f"AUROC [{percent(protocol.confidence)} interval]", *(each.auroc for each in judged.values()))
    for key, (title, _) in SUMMARY.items():
        table.add_row(title, *(shown(each.summary[key], 4) for each in judged.values()))
    return table


def _list_of_runs(judged: Mapping[str, Judgement], protocol: Protocol) -> Table:
    keys = {"validation_auroc": "val.", "average_precision": "AP", "fmax": "Fmax", "ece": "ECE"}
    table = Table("run", f"AUROC [{percent(protocol.confidence)} interval]", *keys.values(), title=_TITLE, box=SIMPLE)
    table.columns[0].overflow = "fold"
    table.columns[1].no_wrap = True
    for name, each in judged.items():
        table.add_row(name, each.auroc, *(shown(each.summary[key], 3) for key in keys))
    return table


def _class_table(judgement: Judgement) -> Table:
    confidence = percent(judgement.confidence)
    titles = ("class", "n", "AUROC", confidence, *(short for short, _ in CLASSES.values()))
    table = Table(*titles, title=f"Classes (after the AUROC its {confidence} interval)", box=SIMPLE, padding=0)
    for name, row in judgement.classes.items():
        area = (shown(row["auroc"], 3), _interval(row["auroc_low"], row["auroc_high"]))
        table.add_row(name, f"{row['positives']:.0f}", *area, *(shown(row[key], 3) for key in CLASSES))
    return table


def _interval(low: float, high: float) -> str:
    # as short as it goes: .871-.934
    return "-".join(f"{end:.3f}".removeprefix("0") for end in (low, high)) if isfinite(low) else "-"


def _subgroup_table(judgement: Judgement, protocol: Protocol) -> Table:
    titles = ("", "group", "records", "AUROC", f"{percent(protocol.confidence)} interval", "classes", "everyone")
    table = Table(*titles, title="Subgroups", box=SIMPLE, padding=(0, 1, 0, 0))
    table.columns[4].no_wrap = True
    last = ""
    for each in judgement.subgroups:
        interval = f"[{each.low:.3f}, {each.high:.3f}]" if isfinite(each.low) else "too few"
        values = (f"{each.auroc:.3f}", interval, str(each.classes), f"{each.everyone:.3f}")
        attribute, last = (each.attribute if each.attribute != last else ""), each.attribute
        table.add_row(
            attribute, each.group, f"{each.records:,}", *(values if each.classes else ("", "too few", "", ""))
        )
    return table


def _finite(value: object) -> Any:
    """Write null where a number is undefined: JSON knows no NaN."""
    if isinstance(value, Mapping):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not isfinite(value) else value
