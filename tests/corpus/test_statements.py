import csv
import hashlib
from pathlib import Path

import pytest

from projection.corpus.statements import LEADS, STATEMENTS, LabelSet, class_names

OFFICIAL = "4d57a1d5cf767de99a56c1b13e797973109defa67c50b78ffd9d8d9f2678b4e4"


def grouped() -> list[str]:
    """The official table, as far as label sets depend on it: code, kinds, superclass and subclass."""
    return [
        ",".join([s.code, *map(str, map(int, (s.diagnostic, s.form, s.rhythm))), s.superclass, s.subclass])
        for s in STATEMENTS
    ]


@pytest.mark.parametrize(
    ("task", "count"),
    [("all", 71), ("diagnostic", 44), ("subdiagnostic", 23), ("superdiagnostic", 5), ("form", 19), ("rhythm", 12)],
)
def test_each_task_has_the_published_number_of_classes(task: LabelSet, count: int) -> None:
    names = class_names(task)
    assert len(set(names)) == len(names) == count
    assert list(names) == sorted(names)


def test_superclasses() -> None:
    assert class_names("superdiagnostic") == ("CD", "HYP", "MI", "NORM", "STTC")


def test_leads_are_in_the_order_of_ptbxl() -> None:
    assert " ".join(LEADS) == "I II III aVR aVL aVF V1 V2 V3 V4 V5 V6"


def test_every_statement_is_in_some_task() -> None:
    in_a_kind = {name for kind in ("diagnostic", "form", "rhythm") for name in class_names(kind)}
    assert {statement.code for statement in STATEMENTS} == in_a_kind == set(class_names("all"))


def test_no_statement_has_moved_to_another_group() -> None:
    # of PTB-XL 1.0.3's scp_statements.csv, with which the next test compares where it is at hand
    digest = hashlib.sha256("\n".join(sorted(grouped())).encode()).hexdigest()
    assert digest == OFFICIAL, "compare projection/corpus/statements.py with PTB-XL's scp_statements.csv"


def test_the_table_equals_the_official_one(ptbxl: Path) -> None:
    with (ptbxl / "scp_statements.csv").open(newline="", encoding="utf-8") as file:
        rows = [
            ",".join(
                [
                    row[""],
                    *("1" if row[kind] else "0" for kind in ("diagnostic", "form", "rhythm")),
                    row["diagnostic_class"],
                    row["diagnostic_subclass"],
                ]
            )
            for row in csv.DictReader(file)
        ]
    assert sorted(grouped()) == sorted(rows)
    assert hashlib.sha256("\n".join(sorted(rows)).encode()).hexdigest() == OFFICIAL
