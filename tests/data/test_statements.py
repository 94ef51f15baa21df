import csv
from pathlib import Path

import pytest

from projection.data.statements import LABEL_SETS, STATEMENTS, LabelSet, class_names


@pytest.mark.parametrize(
    ("task", "count"),
    [("all", 71), ("diagnostic", 44), ("subdiagnostic", 23), ("superdiagnostic", 5), ("form", 19), ("rhythm", 12)],
)
def test_each_task_has_the_published_number_of_classes(task: LabelSet, count: int) -> None:
    names = class_names(task)
    assert len(names) == count
    assert list(names) == sorted(names)


def test_superclasses() -> None:
    assert class_names("superdiagnostic") == ("CD", "HYP", "MI", "NORM", "STTC")


def test_every_statement_is_in_some_task() -> None:
    assert {statement.code for statement in STATEMENTS} == set().union(
        *(class_names(task) for task in LABEL_SETS if task in ("diagnostic", "form", "rhythm"))
    )


def test_the_table_equals_the_official_one(ptbxl: Path) -> None:
    with (ptbxl / "scp_statements.csv").open(newline="", encoding="utf-8") as file:
        official = {
            row[""]: (
                bool(row["diagnostic"]),
                bool(row["form"]),
                bool(row["rhythm"]),
                row["diagnostic_class"],
                row["diagnostic_subclass"],
            )
            for row in csv.DictReader(file)
        }
    ours = {s.code: (s.diagnostic, s.form, s.rhythm, s.superclass, s.subclass) for s in STATEMENTS}
    assert ours == official
