"""The command `evaluate`."""

import statistics
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from projection.errors import ProjectionError
from projection.evaluation.judge import Judgement, Protocol, compare, judge
from projection.evaluation.predictions import Predictions, mean_of, read_predictions
from projection.metrics.thresholds import Criterion
from projection.run_folder import write_json

_SUMMARY = {
    "average_precision": "average precision",
    "fmax": "Fmax",
    "f2": "F2",
    "g2": "G2",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
    "brier": "Brier score",
    "ece": "calibration error",
    "ece_with_temperature": "with temperature",
    "temperature": "temperature",
}

# short enough for a terminal of 80 columns
_CLASSES = {
    "positives": "n",
    "auroc": "AUROC",
    "average_precision": "AP",
    "brier": "Brier",
    "threshold": "thresh.",
    "sensitivity": "sens.",
    "specificity": "spec.",
    "ppv": "PPV",
    "npv": "NPV",
    "f1": "F1",
}


def evaluate(
    runs: list[Path],
    ensemble: bool = False,
    criterion: Criterion = "youden",
    sensitivity: float = 0.9,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> None:
    """Judge runs by the predictions that `fit` stored: intervals, thresholds, calibration, comparisons.

    Thresholds and temperature are fitted on the validation predictions (fold 9) only; all numbers are of the test
    predictions (fold 10). Each run's numbers go to evaluation.json in its folder. Two runs are compared by the paired
    bootstrap; several are summarised as mean and standard deviation.

    Args:
        runs: Run folders.
        ensemble: Judge the mean of the runs' probabilities as one more model.
        criterion: What thresholds are fitted for: youden, f1 or sensitivity.
        sensitivity: The sensitivity to reach, where criterion is sensitivity (0 to 1).
        resamples: Resamples of the bootstrap over test records (1 or more).
        seed: Of the bootstrap.
        confidence: Of the bootstrap's interval (0 to 1).

    Raises:
        ProjectionError: If a run has no predictions, or runs do not belong together.
    """
    if resamples < 1 or not 0 < confidence < 1 or not 0 < sensitivity <= 1:
        raise ProjectionError("resamples is 1 or more, confidence and sensitivity are between 0 and 1.")
    protocol = Protocol(criterion, sensitivity, resamples, seed, confidence)
    models = {str(run): (read_predictions(run, "val"), read_predictions(run, "test")) for run in runs}
    if ensemble:
        pairs = list(models.values())
        models["ensemble"] = (mean_of([pair[0] for pair in pairs]), mean_of([pair[1] for pair in pairs]))
    judged = {name: judge(validation, test, protocol) for name, (validation, test) in models.items()}
    for run in runs:
        write_json(run / "evaluation.json", _finite(judged[str(run)].as_json()))
    console = Console()
    console.print(_summary_table(judged, protocol))
    if len(judged) == 1:
        console.print(_class_table(next(iter(judged.values()))))
    tests = {name: test for name, (_, test) in models.items()}
    for line in _comparison(tests, judged):
        console.print(line, highlight=False, soft_wrap=True)


def _summary_table(judged: Mapping[str, Judgement], protocol: Protocol) -> Table:
    table = Table("metric (macro)", *judged, title="Test fold, thresholds from the validation fold")
    intervals = [f"{each['auroc']:.4f} [{each['auroc_low']:.4f}, {each['auroc_high']:.4f}]" for each in _all(judged)]
    table.add_row(f"AUROC [{protocol.confidence:.0%} interval]", *intervals)
    for key, title in _SUMMARY.items():
        table.add_row(title, *(f"{each[key]:.4f}" for each in _all(judged)))
    return table


def _all(judged: Mapping[str, Judgement]) -> list[dict[str, float]]:
    return [each.summary for each in judged.values()]


def _class_table(judgement: Judgement) -> Table:
    table = Table("class", *_CLASSES.values(), title="Classes", box=SIMPLE, padding=(0, 1, 0, 0))
    for name, row in judgement.classes.items():
        cells = (f"{row[key]:.0f}" if key == "positives" else f"{row[key]:.3f}" for key in _CLASSES)
        table.add_row(name, *cells)
    return table


def _comparison(tests: Mapping[str, Predictions], judged: Mapping[str, Judgement]) -> Sequence[str]:
    single = [name for name in judged if name != "ensemble"]
    if len(single) < 2:
        return []
    values = [judged[name].summary["auroc"] for name in single]
    lines = [f"AUROC of {len(single)} runs: {statistics.mean(values):.4f} (s.d. {statistics.stdev(values):.4f})"]
    if len(single) == 2:
        one, other = single
        found = compare(tests[one], tests[other], (judged[one], judged[other]))
        lines.append(
            f"Difference {found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}], p = {found['p']:.3f} "
            "(paired bootstrap)"
        )
    return lines


def _finite(values: Mapping[str, object]) -> dict[str, object]:
    """Write null where a number is undefined: JSON knows no NaN."""
    return {
        key: _finite(value)
        if isinstance(value, Mapping)
        else (None if isinstance(value, float) and not isfinite(value) else value)
        for key, value in values.items()
    }
