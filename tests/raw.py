"""What a corpus's files say, read without the package: by csv and NumPy alone."""

import ast
import csv
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LEADS = ["I", "II", "III", "AVR", "AVL", "AVF", "V1", "V2", "V3", "V4", "V5", "V6"]


@dataclass(frozen=True, eq=False)
class Raw:
    """A corpus, one entry per record in the order of its table."""

    table: list[dict[str, str]]
    meanings: dict[str, dict[str, str]]
    """The rows of scp_statements.csv by their codes."""
    stems: list[Path]
    """Where the samples are, less the suffix."""

    @cached_property
    def counts(self) -> NDArray[np.int16]:
        """Microvolts `(records, 12, T)`."""
        return np.stack([read_counts(stem) for stem in self.stems])

    @cached_property
    def ids(self) -> NDArray[np.int64]:
        return np.array([int(row["ecg_id"]) for row in self.table])

    @cached_property
    def patients(self) -> NDArray[np.int64]:
        return np.array([int(float(row["patient_id"])) for row in self.table])

    @cached_property
    def folds(self) -> NDArray[np.int64]:
        return np.array([int(row["strat_fold"]) for row in self.table])

    @cached_property
    def millivolts(self) -> NDArray[np.float32]:
        return self.counts.astype(np.float32) / np.float32(1000)

    @cached_property
    def statements(self) -> list[dict[str, float]]:
        return [ast.literal_eval(row["scp_codes"]) for row in self.table]

    def labels(self, task: str) -> NDArray[np.float32]:
        """Give 0 or 1 for each record and each class of a task, classes in alphabetical order."""
        classes = sorted({self._named(code, task) for code in self.meanings} - {""})
        named = [{self._named(code, task) for code in codes} for codes in self.statements]
        return np.array([[name in of_record for name in classes] for of_record in named], np.float32)

    def rows(self, task: str, *folds: int) -> NDArray[np.int64]:
        """Find the records of some folds that have a label of a task."""
        return np.flatnonzero(np.isin(self.folds, folds) & self.labels(task).any(axis=1))

    def _named(self, code: str, task: str) -> str:
        meaning = self.meanings[code]
        if task in ("diagnostic", "form", "rhythm"):
            return code if meaning[task] else ""
        groups = {"superdiagnostic": "diagnostic_class", "subdiagnostic": "diagnostic_subclass", "all": ""}
        return meaning[groups[task]] if task != "all" else code


def read_raw(folder: Path, column: str = "filename_lr") -> Raw:
    """Read a corpus whose signals are in microvolts."""
    with (folder / "ptbxl_database.csv").open(newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    with (folder / "scp_statements.csv").open(newline="", encoding="utf-8") as file:
        meanings = {row[""]: row for row in csv.DictReader(file)}
    return Raw(table, meanings, [folder / row[column] for row in table])


def read_counts(stem: Path) -> NDArray[np.int16]:
    """Read a record as microvolts `(12, T)`, leads in standard order."""
    signals = [line.split() for line in stem.with_suffix(".hea").read_text().splitlines()[1:] if line[0] != "#"]
    assert {tuple(words[1:3]) for words in signals} <= {("16", "1000.0(0)/mV"), ("16", "1000(0)/mV")}, "microvolts"
    order = [[words[-1].upper() for words in signals].index(lead) for lead in LEADS]
    return np.fromfile(stem.with_suffix(".dat"), "<i2").reshape(-1, len(LEADS))[:, order].T
