"""What others published on PTB-XL, and how our intervals stand to it."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Literal

Verdict = Literal["overlap", "above", "below", "unknown"]

# records with a label of the set in fold 10 of PTB-XL 1.0.3: fewer are not what the published numbers stand on
TEST_RECORDS = {
    "all": 2198,
    "diagnostic": 2158,
    "subdiagnostic": 2158,
    "superdiagnostic": 2158,
    "form": 880,
    "rhythm": 2098,
}
_TABLE = Path(__file__).with_name("published.csv")


@dataclass(frozen=True)
class Published:
    """A published macro AUROC.

    Args:
        model: As its authors call it.
        net: Our name of the same network, or empty.
        uncertainty: Half the width of its interval; 0 where none was published.
    """

    model: str
    net: str
    label_set: str
    auroc: float
    uncertainty: float
    source: str


def read_published() -> Sequence[Published]:
    """Read the published numbers, in the order of `published.csv`."""
    with _TABLE.open(newline="") as file:
        return [
            Published(
                row["model"],
                row["net"],
                row["label_set"],
                float(row["auroc"]),
                float(row["uncertainty"] or 0),
                row["source"],
            )
            for row in csv.DictReader(file)
        ]


def verdict(low: float, high: float, published: Published) -> Verdict:
    """Tell whether our interval and the published one overlap; touching counts.

    Ours lies above or below; where it has no ends (NaN) the answer is unknown. A published number without an
    uncertainty is a point.
    """
    if isnan(low) or isnan(high):
        return "unknown"
    # published ends have three digits, which binary numbers miss by a hair
    if low > round(published.auroc + published.uncertainty, 6):
        return "above"
    return "below" if high < round(published.auroc - published.uncertainty, 6) else "overlap"
