"""The predictions of runs, as `fit` stores them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from projection.errors import ProjectionError
from projection.runs.folder import CONFIG, PREDICTIONS

ID, PLACE = "ecg_id", "row"
"""The column that tells which record a row is of, and the one where records have no ids: its place in the split."""

_LABEL = "label_"
_WRITERS = {"val": "validate", "test": "test"}


@dataclass(frozen=True)
class Predictions:
    """Probabilities and labels of a split.

    Args:
        ids: ecg_id of every record, or, where records have none, their place in the split; int64 `(records,)`.
        scores: Probabilities, float64 `(records, classes)`.
        labels: 0 or 1, uint8 `(records, classes)`.
        numbered: Whether ids are places, which say nothing across splits.
    """

    ids: Tensor
    scores: Tensor
    labels: Tensor
    class_names: tuple[str, ...]
    numbered: bool = False


def read_predictions(run: Path, split: str) -> Predictions:
    """Read a run's predictions of a split, val or test."""
    path, table = _read_table(run, split)
    record = ID if ID in table.columns else PLACE
    names = _class_names(path, list(table.columns))
    try:
        ids = torch.tensor(table[record].to_numpy(np.int64))
        scores = torch.tensor(table[list(names)].to_numpy(np.float64))
        labels = torch.tensor(table[[_LABEL + name for name in names]].to_numpy(np.float64))
    except ValueError as error:
        raise ProjectionError(f"{path} is damaged: {error}") from error
    for problem, found in (
        ("is empty", len(ids) == 0),
        ("holds NaN: the model has diverged", scores.isnan().any()),
        ("holds numbers beyond 0 and 1: steps are to return probabilities", ((scores < 0) | (scores > 1)).any()),
        ("is damaged: it holds labels other than 0 and 1", ((labels != 0) & (labels != 1)).any()),
        ("is damaged: it holds a record more than once", table[record].duplicated().any()),
    ):
        if found:
            raise ProjectionError(f"{path} {problem}.")
    return Predictions(ids, scores, labels.to(torch.uint8), names, record == PLACE)


def mean_of(runs: Sequence[Predictions]) -> Predictions:
    """Average the probabilities of several runs: an ensemble."""
    first = runs[0]
    for other in runs[1:]:
        check_comparable(first, other)
    return replace(first, scores=torch.stack([run.scores for run in runs]).mean(dim=0))


def check_comparable(one: Predictions, other: Predictions) -> None:
    """Make sure that two runs were judged on the same records and labels."""
    if one.class_names != other.class_names:
        raise ProjectionError(
            f"The runs have different classes: {', '.join(one.class_names[:5])} ... ({len(one.class_names)}) and "
            f"{', '.join(other.class_names[:5])} ... ({len(other.class_names)}). Compare runs of one label set."
        )
    same = one.numbered == other.numbered and torch.equal(one.ids, other.ids) and torch.equal(one.labels, other.labels)
    if not same:
        raise ProjectionError(
            f"The runs were judged on different records or labels ({len(one.ids):,} and {len(other.ids):,} records). "
            "Compare runs on the same data file and folds."
        )


def _class_names(path: Path, columns: Sequence[str]) -> tuple[str, ...]:
    """Find the classes: every column but the record's is one's probabilities or labels, and each class has both."""
    names = [column for column in columns if column not in (ID, PLACE) and not column.startswith(_LABEL)]
    named = [column.removeprefix(_LABEL) for column in columns if column.startswith(_LABEL)]
    if not named:
        raise ProjectionError(f"{path} lacks labels: only the predictions of validations and tests have them.")
    lost = [name for name in named if name not in names] + [_LABEL + name for name in names if name not in named]
    if lost or not {ID, PLACE} & set(columns):
        raise ProjectionError(
            f"{path} lacks the column {', '.join(lost or [ID])}: every class has its probabilities in the column "
            "of its name, and its labels in another, which begins with label_. Bring the file back; "
            f"`python -m projection {_WRITERS[path.stem]} --config {path.parents[1] / CONFIG} --ckpt_path best` "
            "writes it again, in a folder beside."
        )
    return tuple(names)


def _read_table(run: Path, split: str) -> tuple[Path, pd.DataFrame]:
    for suffix, read in ((".csv", pd.read_csv), (".parquet", pd.read_parquet)):
        path = run / PREDICTIONS / f"{split}{suffix}"
        if path.exists():
            try:
                return path, read(path)
            except ValueError as error:
                raise ProjectionError(f"{path} is damaged: {error}") from error
    how = "`fit` has not finished, or said why it stored none" if (run / CONFIG).exists() else "it is no run folder"
    raise ProjectionError(f"There are no {PREDICTIONS}/{split}.csv in {run}: {how}.")
