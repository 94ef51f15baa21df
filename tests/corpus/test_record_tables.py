import csv
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projection.corpus.record_tables import Tables, read_tables
from projection.corpus.statements import LabelSet, class_names
from projection.errors import ProjectionError
from tests.raw import Raw


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


def test_the_whole_of_ptbxl_has_the_published_number_of_records(ptbxl: Path, tmp_path: Path) -> None:
    full = ptbxl / "ptbxl_database_full.csv"
    table = full if full.is_file() else ptbxl / "ptbxl_database.csv"
    shutil.copy(table, tmp_path / "ptbxl_database.csv")
    shutil.copy(ptbxl / "scp_statements.csv", tmp_path)
    tables = read_tables(tmp_path)
    if len(tables) != 21799:
        pytest.skip("only a part of PTB-XL's table is here")
    published: dict[LabelSet, int] = {"all": 21799, "diagnostic": 21388, "form": 8978, "rhythm": 21030}
    published |= {"subdiagnostic": 21388, "superdiagnostic": 21388}
    found = {task: tables.labels(task) for task in published}
    assert {task: int(labels.any(axis=1).sum()) for task, labels in found.items()} == published
    # of Wagner et al., Scientific Data 7:154 (2020), table 5, as of version 1.0.3
    superclasses = dict(zip(class_names("superdiagnostic"), found["superdiagnostic"].sum(axis=0), strict=True))
    assert superclasses == {"NORM": 9514, "MI": 5469, "STTC": 5235, "CD": 4898, "HYP": 2649}


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


def test_records_without_any_statement_have_no_label(tables_folder: Path) -> None:
    path = tables_folder / "ptbxl_database.csv"
    pd.read_csv(path).assign(scp_codes="{}").to_csv(path, index=False)
    tables = read_tables(tables_folder)
    assert (tables.labels("all").shape, tables.labels("all").any()) == ((len(tables), 71), False)


def test_holes_are_kept_as_such(tables_folder: Path) -> None:
    for column in ("age", "validated_by_human", "report"):
        edit(tables_folder, 3, column, "")
    records = read_tables(tables_folder).records
    assert np.isnan(records["age"][3])
    assert records["validated_by_human"][3] == -1
    assert records["report"][3] == ""


def changed(tables: Tables) -> Iterator[tuple[str, Tables]]:
    """The tables with one value changed, and with two in the other order, for each column."""
    for group in ("records", "scp_statements"):
        for name, values in getattr(tables, group).items():
            other, turned = values.copy(), values[::-1].copy()
            other[-1] = f"{other[-1]} " if other.dtype == object else np.nan_to_num(other[-1]) + 1
            for what, column in (("value", other), ("order", turned)):
                if what == "value" or not np.array_equal(column.astype(str), values.astype(str)):
                    yield f"{group} {name} {what}", replace(tables, **{group: {**getattr(tables, group), name: column}})
    for name in ("indptr", "codes", "likelihoods"):
        other = getattr(tables, name).copy()
        other[1] += 1
        yield name, replace(tables, **{name: other})
    yield "names", replace(tables, names=[*tables.names[1:], tables.names[0]])
    yield (
        "name of a column",
        replace(tables, records={"other": tables.records["age"], **without(tables.records, "age")}),
    )
    yield "a column less", replace(tables, records=without(tables.records, "nurse"))


def without(columns: dict[str, Any], name: str) -> dict[str, Any]:
    return {other: values for other, values in columns.items() if other != name}


def test_the_fingerprint_depends_on_every_value_and_on_their_order(corpus: Path, tables: Tables) -> None:
    found = {"unchanged": tables.sha256(), **{what: other.sha256() for what, other in changed(tables)}}
    assert read_tables(corpus).sha256() == found["unchanged"]
    assert len(set(found.values())) == len(found) > 75


@pytest.fixture(scope="module")
def tables(corpus: Path) -> Tables:
    return read_tables(corpus)


@settings(max_examples=20)
@given(st.lists(st.booleans(), min_size=160, max_size=160))
def test_chosen_records_keep_their_own_values_and_statements(tables: Tables, raw: Raw, chosen: list[bool]) -> None:
    kept = tables.select(np.array(chosen))
    rows = np.flatnonzero(chosen)
    assert len(kept) == len(rows)
    for name in ("ecg_id", "report", "filename_lr"):
        assert [str(value) for value in kept.records[name]] == [raw.table[row][name] for row in rows]
    assert all(len(values) == len(rows) for values in kept.records.values())
    assert statements_of(kept) == [raw.statements[row] for row in rows]
    np.testing.assert_array_equal(kept.labels("subdiagnostic"), raw.labels("subdiagnostic")[rows])


def statements_of(tables: Tables) -> list[dict[str, float]]:
    bounds = zip(tables.indptr[:-1], tables.indptr[1:], strict=True)
    named = [tables.names[code] for code in tables.codes]
    return [dict(zip(named[a:b], tables.likelihoods[a:b].tolist(), strict=True)) for a, b in bounds]


def test_every_value_of_the_table_is_kept(tables: Tables, raw: Raw) -> None:
    assert list(tables.records) == [name for name in raw.table[0] if name != "scp_codes"]
    flags = {"": -1, "False": 0, "True": 1}
    for name, values in tables.records.items():
        written = [row[name] for row in raw.table]
        if values.dtype == object:
            assert values.tolist() == written, name
        elif values.dtype == np.int8:
            assert values.tolist() == [flags[value] for value in written], name
        else:
            np.testing.assert_array_equal(values, [float(value or "nan") for value in written], name)
    assert statements_of(tables) == raw.statements
    for name, column in tables.scp_statements.items():
        assert column.tolist() == [row["" if name == "code" else name] for row in raw.meanings.values()]


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("scp_codes", "NORM", r"row 2: scp_codes should look like .* found 'NORM'"),
        ("strat_fold", "ten", "column strat_fold"),
        ("strat_fold", "", "column strat_fold"),
        ("strat_fold", "8.5", "column strat_fold: 8.5 is no whole number"),
        ("patient_id", "nan", "column patient_id: a number is missing"),
        ("age", "old", "column age"),
        ("validated_by_human", "perhaps", "neither true nor false"),
        ("ecg_id", "2", "ecg_id 2 more than once"),
    ],
)
def test_a_bad_value_is_named(tables_folder: Path, column: str, value: str, told: str) -> None:
    edit(tables_folder, 0, column, value)
    with pytest.raises(ProjectionError, match=rf"ptbxl_database\.csv.*{told}"):
        read_tables(tables_folder)


def test_a_report_keeps_its_line_ends(tables_folder: Path) -> None:
    written = "first line\r\nsecond\rthird\nfourth"
    edit(tables_folder, 0, "report", written)
    assert read_tables(tables_folder).records["report"][0] == written


def test_a_missing_column_is_named(tables_folder: Path) -> None:
    path = tables_folder / "ptbxl_database.csv"
    path.write_text(path.read_text().replace("strat_fold", "fold"))
    with pytest.raises(ProjectionError, match="lacks the column"):
        read_tables(tables_folder)


def test_a_missing_table_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ProjectionError, match="projection download"):
        read_tables(tmp_path)
