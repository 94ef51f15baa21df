"""What training and test must not share: records, and patients."""

from collections.abc import Mapping
from itertools import combinations

import numpy as np

from projection.data.data_set import DataSet
from projection.data.signals import Positions
from projection.errors import ProjectionError


def check_leaks(data: DataSet, splits: Mapping[str, Positions]) -> None:
    """Make sure that no record and no patient is in two splits, given by the positions of their records in the data."""
    for (one, first), (other, second) in combinations(splits.items(), 2):
        for name, column in (("ecg_id", data.ids), ("patient_id", data.patients)):
            shared = np.intersect1d(column[first], column[second])
            if len(shared):
                raise ProjectionError(
                    f"{len(shared):,} {name} of {data.name} are in both {one} and {other}, such as {shared[0]}: the "
                    "model would be judged on what it learned from. Give all records of a patient one strat_fold and "
                    "convert again (where patients are unknown, each record needs a patient_id of its own)."
                )
