import csv
import shutil
from pathlib import Path

import numpy as np
import pytest

from projection.data.statements import LabelSet, class_names
from projection.data.tables import read_tables
from projection.errors import ProjectionError


@pytest.fixture
def tables_folder(corpus: Path, tmp_path: Path) -> Path:
    for name in ("ptbxl_database.csv", "scp_statements.csv"):
        shutil.copy(corpus / name, tmp_path)
    return tmp_path


def edit(folder: Path, row: int, column: str, value: str) -> None:
    path = folder / "ptbxl_database.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows[row][column] = value
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize(("task", "count"), [("all", 21799), ("diagnostic", 21388), ("form", 8978), ("rhythm", 21030)])
def test_the_whole_of_ptbxl_has_the_published_number_of_records(
    ptbxl: Path, tmp_path: Path, task: LabelSet, count: int
) -> None:
    full = ptbxl / "ptbxl_database_full.csv"
    table = full if full.is_file() else ptbxl / "ptbxl_database.csv"
    shutil.copy(table, tmp_path / "ptbxl_database.csv")
    shutil.copy(ptbxl / "scp_statements.csv", tmp_path)
    tables = read_tables(tmp_path)
    if len(tables) != 21799:
        pytest.skip("only a part of PTB-XL's table is here")
    labels = tables.labels(task)
    assert labels.shape == (21799, len(class_names(task)))
    assert labels.any(axis=1).sum() == count


def test_labels_follow_the_statements(tables_folder: Path) -> None:
    edit(tables_folder, 0, "scp_codes", "{'IMI': 15.0, 'NDT': 0.0, 'AFIB': 0.0}")
    tables = read_tables(tables_folder)

    def named(task: LabelSet) -> set[str]:
        return {name for name, label in zip(class_names(task), tables.labels(task)[0], strict=True) if label}

    assert named("all") == {"IMI", "NDT", "AFIB"}
    assert named("diagnostic") == {"IMI", "NDT"}
    assert named("subdiagnostic") == {"IMI", "STTC"}
    assert named("superdiagnostic") == {"MI", "STTC"}
    assert named("form") == {"NDT"}
    assert named("rhythm") == {"AFIB"}


def test_holes_are_kept_as_such(tables_folder: Path) -> None:
    for column in ("age", "validated_by_human", "report"):
        edit(tables_folder, 3, column, "")
    records = read_tables(tables_folder).records
    assert np.isnan(records["age"][3])
    assert records["validated_by_human"][3] == -1
    assert records["report"][3] == ""


def test_the_fingerprint_depends_on_every_value(tables_folder: Path) -> None:
    before = read_tables(tables_folder).sha256()
    assert read_tables(tables_folder).sha256() == before
    edit(tables_folder, 5, "report", "other words")
    assert read_tables(tables_folder).sha256() != before


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("scp_codes", "NORM", r"row 2: scp_codes should look like .* found 'NORM'"),
        ("strat_fold", "ten", "column strat_fold"),
        ("validated_by_human", "perhaps", "neither true nor false"),
        ("ecg_id", "2", "ecg_id 2 more than once"),
    ],
)
def test_a_bad_value_is_named(tables_folder: Path, column: str, value: str, told: str) -> None:
    edit(tables_folder, 0, column, value)
    with pytest.raises(ProjectionError, match=told):
        read_tables(tables_folder)


def test_a_missing_column_is_named(tables_folder: Path) -> None:
    path = tables_folder / "ptbxl_database.csv"
    path.write_text(path.read_text().replace("strat_fold", "fold"))
    with pytest.raises(ProjectionError, match="lacks the column"):
        read_tables(tables_folder)


def test_a_missing_table_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ProjectionError, match="projection download"):
        read_tables(tmp_path)
