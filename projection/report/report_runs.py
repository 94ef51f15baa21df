"""The command `report`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from projection.errors import ProjectionError
from projection.evaluation.judge import judge_run
from projection.evaluation.protocol import Protocol
from projection.metrics.thresholds import Criterion
from projection.report.about import about_runs
from projection.report.page import check_output, write_page
from projection.report.results import Options, results_of
from projection.runs.differences import names_of
from projection.runs.folder import CONFIG, PREDICTIONS
from projection.runs.predictions import check_comparable
from projection.runs.run import read_run


def report(
    runs: list[Path],
    output: Path = Path("report.html"),
    cases: int = 1,
    classes: list[str] | None = None,
    attribution: bool = True,
    criterion: Criterion = "youden",
    sensitivity: float = 0.9,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    by_patient: bool = False,
    trust: bool = False,
) -> None:
    """Write one page about a run, or about several side by side, that opens in any browser without a network.

    It holds what `evaluate` prints with the same settings, learning curves, ROC and precision-recall curves,
    calibration, confusions, subgroups, and single records as twelve-lead electrocardiograms with what the model looked
    at; and the configuration and origin of everything. What is missing, such as the data file, is named there.

    Args:
        runs: Run folders of one label set; of several, the first one's records are shown.
        output: The page to write; an existing one is replaced. It holds patients' data: keep it like the data.
        cases: How many false positives, false negatives and hits of each class to draw (0 or more).
        classes: Whose records to draw; None takes all classes of small tasks and the most frequent ones of large tasks.
        attribution: Show what speaks for and against a statement by integrated gradients (Sundararajan, Taly and Yan,
            ICML 2017), which takes a few seconds for each record.
        criterion: What thresholds are fitted for: youden, f1, g2 or sensitivity.
        sensitivity: The sensitivity to reach, where criterion is sensitivity (0 to 1).
        resamples: Resamples of the bootstrap over test records (1 or more).
        seed: Of the bootstrap.
        confidence: Of the bootstrap's intervals and bands (0 to 1).
        by_patient: Draw patients with all of their records instead of single records; needs the run's data file.
        trust: Build networks and transforms of others as well, for attribution, which can run any code.

    Raises:
        ProjectionError: If a folder is no run, runs do not belong together, or the page cannot be written.
    """
    if cases < 0:
        raise ProjectionError(f"cases is 0 or more, found {cases}.")
    protocol = Protocol(criterion, sensitivity, resamples, seed, confidence, by_patient)
    check_output(output)
    content = _results(runs, Options(protocol, cases, classes, attribution, trust))
    write_page(output, {**about_runs(runs), **content})
    print(f"Report: {output.resolve()} ({output.stat().st_size / 1e6:.1f} MB)")


def _results(runs: list[Path], options: Options) -> Mapping[str, Any]:
    alone = runs[0] if len(runs) == 1 else None
    if alone and (alone / CONFIG).is_file() and not (alone / PREDICTIONS).is_dir():
        why = (
            f"There are no predictions in {alone}, so nothing could be judged. `python -m projection fit` writes them "
            "for models whose validation and test steps return probabilities (batch, classes)."
        )
        return {"results": None, "missing": why}
    read = [read_run(run) for run in runs]
    for other in read[1:]:
        check_comparable(read[0].test, other.test)
    judged = {name: judge_run(run, options.protocol) for name, run in zip(names_of(runs), read, strict=True)}
    return {"results": results_of(read, judged, options), "missing": ""}
