"""The predictions of runs, as `fit` stores them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor

from projection.errors import ProjectionError

_LABEL = "label_"


@dataclass(frozen=True)
class Predictions:
    """Probabilities and labels of a split.

    Args:
        ids: ecg_id of every record, int64 `(records,)`.
        scores: Probabilities, float64 `(records, classes)`.
        labels: 0 or 1, uint8 `(records, classes)`.
        class_names: Names of the classes.
    """

    ids: Tensor
    scores: Tensor
    labels: Tensor
    class_names: tuple[str, ...]


def read_predictions(run: Path, split: str) -> Predictions:
    """Read a table of a run.

    Args:
        run: The run folder.
        split: val or test.

    Returns:
        The predictions.

    Raises:
        ProjectionError: If there is no such table, or it is not one of predictions and labels.
    """
    table = _read_table(run, split)
    names = tuple(column.removeprefix(_LABEL) for column in table.columns if column.startswith(_LABEL))
    wanted = ["ecg_id", *names, *(_LABEL + name for name in names)]
    if not names or not set(wanted) <= set(table.columns):
        raise ProjectionError(
            f"The predictions of {run} ({split}) lack labels: only those of tests and validations do."
        )
    values = {name: torch.tensor(table[columns].to_numpy()) for name, columns in _columns(names).items()}
    if values["scores"].isnan().any():
        raise ProjectionError(f"The predictions of {run} ({split}) hold NaN: the model has diverged.")
    ids = torch.tensor(table["ecg_id"].to_numpy())
    return Predictions(ids, values["scores"].double(), values["labels"].to(torch.uint8), names)


def mean_of(runs: Sequence[Predictions]) -> Predictions:
    """Average the probabilities of several runs: an ensemble.

    Args:
        runs: Predictions of the same records and classes.

    Returns:
        The ensemble's predictions.

    Raises:
        ProjectionError: If records, labels or classes differ.
    """
    first = runs[0]
    for other in runs[1:]:
        check_comparable(first, other)
    return Predictions(
        first.ids, torch.stack([run.scores for run in runs]).mean(dim=0), first.labels, first.class_names
    )


def check_comparable(one: Predictions, other: Predictions) -> None:
    """Make sure that two runs were judged on the same records and labels.

    Args:
        one: Predictions.
        other: Predictions.

    Raises:
        ProjectionError: If records, labels or classes differ.
    """
    if one.class_names != other.class_names:
        raise ProjectionError(
            f"The runs have different classes: {', '.join(one.class_names[:5])} ... ({len(one.class_names)}) and "
            f"{', '.join(other.class_names[:5])} ... ({len(other.class_names)}). Compare runs of one task."
        )
    if not torch.equal(one.ids, other.ids) or not torch.equal(one.labels, other.labels):
        raise ProjectionError(
            f"The runs were judged on different records or labels ({len(one.ids):,} and {len(other.ids):,} records). "
            "Compare runs on the same data file and folds."
        )


def _columns(names: Sequence[str]) -> dict[str, list[str]]:
    return {"scores": list(names), "labels": [_LABEL + name for name in names]}


def _read_table(run: Path, split: str) -> pd.DataFrame:
    for suffix, read in ((".csv", pd.read_csv), (".parquet", pd.read_parquet)):
        path = run / "predictions" / f"{split}{suffix}"
        if path.exists():
            return read(path)
    how = "`python -m projection fit` writes them" if (run / "config.yaml").exists() else "it is no run folder"
    raise ProjectionError(f"There are no predictions/{split}.csv in {run}: {how}.")
