"""No patient and no record is in two splits, within a file or across files."""

import shutil
from itertools import permutations
from pathlib import Path

import h5py
import numpy as np
import pytest

from projection.data.data_set import open_data_set
from projection.data.datamodule import PTBXLDataModule
from projection.data.leaks import check_leaks
from projection.errors import ProjectionError
from tests.data.files import rewrite
from tests.raw import Raw

FOLDS = {"training": range(1, 9), "validation": [9], "test": [10]}


def with_patient_of(source: Path, path: Path, row: int, other: int) -> Path:
    """Copy a file; let one record be of another record's patient."""
    shutil.copy(source, path)
    with h5py.File(path, "r+") as file:
        file["records/patient_id"][row] = file["records/patient_id"][other]
    return path


@pytest.mark.parametrize(("one", "other"), list(permutations(FOLDS, 2)))
def test_a_patient_in_two_splits_is_refused(corpus_file: Path, raw: Raw, tmp_path: Path, one: str, other: str) -> None:
    first, last = raw.rows("all", *FOLDS[one])[0], raw.rows("all", *FOLDS[other])[-1]
    path = with_patient_of(corpus_file, tmp_path / "file.h5", first, last)
    earlier, later = sorted((one, other), key=list(FOLDS).index)
    told = rf"1 patient_id of .* are in both {earlier} and {later}, such as {raw.patients[last]}"
    with pytest.raises(ProjectionError, match=told):
        PTBXLDataModule(path).setup("fit")


def test_a_patient_may_have_many_records_in_one_split(corpus_file: Path, raw: Raw, tmp_path: Path) -> None:
    first, last = raw.rows("all", 10)[[0, -1]]
    PTBXLDataModule(with_patient_of(corpus_file, tmp_path / "file.h5", first, last)).setup("fit")


def test_records_that_the_task_leaves_out_are_in_no_split(corpus_file: Path, raw: Raw, tmp_path: Path) -> None:
    formless = np.setdiff1d(np.flatnonzero(raw.folds == 9), raw.rows("form", 9))[0]
    path = with_patient_of(corpus_file, tmp_path / "file.h5", formless, raw.rows("form", 1)[0])
    PTBXLDataModule(path, labels="form").setup("fit")
    with pytest.raises(ProjectionError, match="in both training and validation"):
        PTBXLDataModule(path, labels="all").setup("fit")


def test_a_patient_in_two_files_is_found(corpus_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    rewrite(corpus_file, other, slice(None))
    with h5py.File(other, "r+") as file:
        file["records/ecg_id"][...] += 1000
        file["records/strat_fold"][...] = file["records/strat_fold"][...] % 10 + 1  # each patient in the next fold
    with pytest.raises(ProjectionError, match=r"patient_id of .*file.*other.* are in both training and validation"):
        PTBXLDataModule([corpus_file, other]).setup("fit")


def test_a_record_in_two_splits_is_refused(corpus_file: Path) -> None:
    data = open_data_set([corpus_file])
    with pytest.raises(ProjectionError, match=r"2 ecg_id of .* are in both b and c, such as 4:"):
        check_leaks(data, {"a": np.array([0]), "b": np.array([2, 3, 4]), "c": np.array([3, 4, 7])})
