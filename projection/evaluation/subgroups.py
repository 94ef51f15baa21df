"""Whom a model serves worse: AUROC by sex, age, device, signal quality and origin of the labels."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from projection.errors import ProjectionError
from projection.evaluation.protocol import Protocol, interval
from projection.metrics import auroc, bootstrap_auroc
from projection.runs.predictions import Predictions

# a class counts in a group that has this many records with and without it
FEWEST = 5

_AGES = {"under 40": (0, 40), "40 to 59": (40, 60), "60 to 79": (60, 80), "80 and over": (80, np.inf)}
_QUALITY = {
    "baseline_drift": "baseline drift",
    "static_noise": "static noise",
    "burst_noise": "burst noise",
    "electrodes_problems": "electrode problems",
}


@dataclass(frozen=True)
class Subgroup:
    """A model's AUROC in a part of the test records.

    Args:
        attribute: What divides the records, such as sex.
        group: The part, such as female.
        classes: How many classes have at least five records with and five without them in the group.
        auroc: Macro over these classes; NaN where there is none.
        low: Lower end of its bootstrap interval; NaN, like `high`, where classes are too rare for it.
        everyone: The same classes' macro AUROC over all test records, to compare with.
    """

    attribute: str
    group: str
    records: int
    classes: int
    auroc: float
    low: float
    high: float
    everyone: float


def subgroups(test: Predictions, records: Mapping[str, NDArray[Any]], protocol: Protocol) -> list[Subgroup]:
    """Judge a model in every subgroup that has any record, by attribute."""
    return [
        _judge(test, torch.from_numpy(members), (attribute, group), protocol, torch.from_numpy(records["patient_id"]))
        for attribute, groups in divide(records).items()
        for group, members in groups.items()
        if members.any()
    ]


def divide(records: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[np.bool_]]]:
    """Divide records by what the table says of them; columns that it lacks are left out.

    Args:
        records: Columns of the table of records (sex is 0 for male and 1 for female; ages above 89 are 300).

    Returns:
        For each attribute its groups, each bool `(records,)`.
    """
    divided: dict[str, dict[str, NDArray[np.bool_]]] = {}
    if "sex" in records:
        sex = records["sex"]
        divided["sex"] = {"male": sex == 0, "female": sex == 1, "unknown": ~np.isin(sex, (0, 1))}
    if "age" in records:
        age = records["age"]
        bands = {name: (age >= low) & (age < high) for name, (low, high) in _AGES.items()}
        divided["age"] = {**bands, "unknown": np.isnan(age)}
    if "device" in records:
        device = np.array([str(name).strip() or "unknown" for name in records["device"]])
        divided["device"] = {str(name): device == name for name in np.unique(device)}
    flagged = {title: _stated(records[name]) for name, title in _QUALITY.items() if name in records}
    if flagged:
        clean = ~np.any(list(flagged.values()), axis=0)
        divided["signal quality"] = {"nothing noted": clean, **flagged}
    if "validated_by_human" in records:
        validated = records["validated_by_human"]
        divided["human-validated"] = {"yes": validated == 1, "no": validated == 0, "unknown": validated < 0}
    return divided


def _stated(column: NDArray[Any]) -> NDArray[np.bool_]:
    return np.array([bool(str(value).strip()) for value in column], bool)


def _judge(test: Predictions, members: Tensor, name: tuple[str, str], protocol: Protocol, patients: Tensor) -> Subgroup:
    positives = (test.labels[members] > 0).sum(dim=0)
    count = int(members.sum())
    kept = (positives >= FEWEST) & (count - positives >= FEWEST)
    if not kept.any():
        return Subgroup(*name, count, 0, *[float("nan")] * 4)
    scores, labels = test.scores[:, kept], test.labels[:, kept]
    low, high = _interval(scores[members], labels[members], protocol, patients[members])
    inside, everyone = (float(auroc(*pair).mean()) for pair in ((scores[members], labels[members]), (scores, labels)))
    return Subgroup(*name, count, int(kept.sum()), inside, low, high, everyone)


def _interval(scores: Tensor, labels: Tensor, protocol: Protocol, patients: Tensor) -> tuple[float, float]:
    units = patients if protocol.by_patient else None
    try:
        resampled = bootstrap_auroc(scores, labels, protocol.resamples, protocol.seed, units)
    except ProjectionError:  # no resample keeps all of the classes
        return float("nan"), float("nan")
    return interval(resampled, protocol.confidence)
