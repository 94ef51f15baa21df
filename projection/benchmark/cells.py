"""The cells of a table: runs in `FOLDER/<label set>/<net>/<seed>/`, joined to a row for each label set and net."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path

import torch

from projection.errors import ProjectionError
from projection.evaluation.protocol import Protocol, interval
from projection.metrics import auroc, bootstrap_auroc
from projection.runs.folder import CONFIG
from projection.runs.predictions import Predictions, check_comparable
from projection.runs.run import Run, read_run


@dataclass(frozen=True)
class Row:
    """What is known of a net on a label set.

    Args:
        label_set: Its name.
        net: Its name.
        aurocs: The macro AUROC of each seed's best checkpoint on the test fold.
        low: Lower end of the interval of their mean; NaN where there is none.
        high: Its upper end.
        records: How many test records.
        classes: How many classes.
        epochs: What the runs were trained for, as in their configuration.
        data: Name and fingerprint of the data set.
        note: Why there is no interval, or empty.
    """

    label_set: str
    net: str
    aurocs: Mapping[int, float]
    low: float
    high: float
    records: int
    classes: int
    epochs: str
    data: tuple[str, str]
    note: str

    @property
    def mean(self) -> float:
        """The mean over seeds."""
        return statistics.mean(self.aurocs.values())

    @property
    def deviation(self) -> float:
        """The standard deviation over seeds; NaN for one."""
        return statistics.stdev(self.aurocs.values()) if len(self.aurocs) > 1 else nan


def find_runs(folder: Path) -> dict[tuple[str, str], dict[int, Path]]:
    """Find the run folders of a table by seed, for each label set and net; also of runs that have not finished."""
    found: dict[tuple[str, str], dict[int, Path]] = {}
    for run in sorted(folder.glob(f"*/*/*/{CONFIG}"), key=lambda path: (path.parts[:-2], path.parts[-2].zfill(20))):
        label_set, net, seed = run.parts[-4:-1]
        # `latest`, beside the runs, points at one of them
        if seed.isdecimal():
            found.setdefault((label_set, net), {})[int(seed)] = run.parent
    return found


def read_row(label_set: str, net: str, runs: Mapping[int, Path], protocol: Protocol) -> tuple[Row | None, list[str]]:
    """Judge the finished runs of a net on a label set; gives None if none can be judged, and what could not be.

    The interval is that of the seeds' mean: a resample of the test records judges all seeds on the same records, and
    their mean is one value. So it tells how far the mean depends on the choice of test records.
    """
    judged: dict[int, Run] = {}
    problems = []
    for seed, folder in runs.items():
        try:
            judged[seed] = _read_run(folder, next(iter(judged.values()), None))
        except ProjectionError as error:
            problems.append(f"{label_set} {net} {seed}: {error}")
    return _row(label_set, net, judged, protocol) if judged else None, problems


def _read_run(folder: Path, first: Run | None) -> Run:
    run = read_run(folder)
    if first is not None:
        check_comparable(first.test, run.test)
    if isnan(_macro_auroc(run.test)):
        raise ProjectionError(f"No class has both positives and negatives in the predictions of {folder}.")
    return run


def _row(label_set: str, net: str, runs: Mapping[int, Run], protocol: Protocol) -> Row:
    low, high, note = nan, nan, ""
    try:
        low, high = _interval([run.test for run in runs.values()], protocol)
    except ProjectionError as error:
        note = f"{net} has no interval. {error}"
    first = next(iter(runs.values()))
    aurocs = {seed: _macro_auroc(run.test) for seed, run in runs.items()}
    epochs = "/".join(sorted({str(run.config["trainer"]["max_epochs"]) for run in runs.values()}))
    records, classes = first.test.scores.shape
    return Row(label_set, net, aurocs, low, high, records, classes, epochs, _data(first), note)


def _macro_auroc(test: Predictions) -> float:
    return float(auroc(test.scores, test.labels).nanmean())


def _interval(tests: Sequence[Predictions], protocol: Protocol) -> tuple[float, float]:
    # equal labels and an equal seed draw equal resamples
    each = [bootstrap_auroc(test.scores, test.labels, protocol.resamples, protocol.seed) for test in tests]
    return interval(torch.stack(each).mean(dim=0), protocol.confidence)


def _data(run: Run) -> tuple[str, str]:
    sources = sorted(set(run.data_facts("source"))) or ["unknown"]
    return ", ".join(sources), ", ".join(run.data_facts("signals_sha256"))
