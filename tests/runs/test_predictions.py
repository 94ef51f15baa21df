"""What is read from a run folder, and what is refused."""

import shutil
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch

from projection.__main__ import main
from projection.errors import ProjectionError
from projection.runs.predictions import Predictions, check_comparable, mean_of, read_predictions
from projection.runs.run import read_run
from tests.evaluation.made_up import made_up, write


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of the classes A, B and C."""
    write(tmp_path, "val", made_up(1.0))
    write(tmp_path, "test", made_up(1.0, first=1000))
    return tmp_path


def change(run: Path, split: str, **columns: object) -> None:
    path = run / "predictions" / f"{split}.csv"
    pd.read_csv(path).assign(**columns).to_csv(path, index=False)


def drop(run: Path, split: str, *columns: str) -> None:
    path = run / "predictions" / f"{split}.csv"
    pd.read_csv(path).drop(columns=list(columns)).to_csv(path, index=False)


def refused(run: Path, message: str) -> None:
    with pytest.raises(SystemExit, match=message):
        main(["evaluate", str(run), "--resamples", "5"])
    assert not (run / "evaluation.json").exists()


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_columns_are_found_by_their_names(tmp_path: Path, file_format: str) -> None:
    labels = torch.tensor([[1, 0], [0, 0], [1, 1]], dtype=torch.uint8)
    scores = torch.tensor([[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], dtype=torch.float64)
    write(tmp_path, "val", Predictions(torch.tensor([30, 10, 20]), scores, labels, ("B", "A")))
    path = tmp_path / "predictions" / "val.csv"
    table = pd.read_csv(path)[["label_A", "B", "ecg_id", "label_B", "A"]]
    path.unlink()
    getattr(table, f"to_{file_format}")(path.with_suffix(f".{file_format}"), index=False)
    found = read_predictions(tmp_path, "val")
    assert found.class_names == ("B", "A")
    assert found.ids.tolist() == [30, 10, 20]
    assert torch.equal(found.scores, scores)
    assert torch.equal(found.labels, labels)


@pytest.mark.parametrize("splits", [("val",), ("test",), ("val", "test")])
@pytest.mark.parametrize("column", ["label_B", "B"])
def test_a_class_without_its_labels_or_probabilities_is_refused(
    run: Path, splits: tuple[str, ...], column: str
) -> None:
    for split in splits:
        drop(run, split, column)
    command = {"val": "validate", "test": "test"}[splits[0]]
    refused(run, rf"predictions/{splits[0]}\.csv lacks the column {column}: .*projection {command} --config .*again")


@pytest.mark.parametrize("split", ["val", "test"])
def test_validation_and_test_have_the_same_classes_in_the_same_order(run: Path, split: str) -> None:
    path = run / "predictions" / f"{split}.csv"
    whole = pd.read_csv(path)
    whole[["ecg_id", "B", "A", "C", "label_A", "label_B", "label_C"]].to_csv(path, index=False)
    refused(run, "are of different classes, or in different order: .*B, A, C")
    whole.drop(columns=["B", "label_B"]).to_csv(path, index=False)
    refused(run, "are of different classes, or in different order: B in one of them only")


def test_a_class_of_the_run_s_task_that_is_in_no_table_is_missed(fitted: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(fitted, tmp_path / "run"))
    assert read_run(run).test.class_names == ("CD", "HYP", "MI", "NORM", "STTC")
    for split in ("val", "test"):
        drop(run, split, "MI", "label_MI")
    refused(run, r"The predictions of .*run lack MI, which the run learned")


def test_what_no_prediction_and_no_label_is_gets_refused(run: Path) -> None:
    half = [0.5] * 400
    for columns, message in (
        ({"A": torch.nan}, "holds NaN: the model has diverged"),
        ({"A": [1.01, *half[1:]]}, "beyond 0 and 1: steps are to return probabilities"),
        ({"A": [-0.01, *half[1:]]}, "beyond 0 and 1"),
        ({"A": ["much", *half[1:]]}, "is damaged: could not convert string to float"),
        ({"label_A": [0.5, *half[1:]]}, "labels other than 0 and 1"),
        ({"label_A": [torch.nan, *half[1:]]}, "labels other than 0 and 1"),
        ({"ecg_id": [1001, *range(1001, 1400)]}, "a record more than once"),
    ):
        write(run, "test", made_up(1.0, first=1000))
        change(run, "test", **columns)
        refused(run, rf"predictions/test\.csv .*{message}")
    drop(run, "test", "ecg_id")
    refused(run, r"predictions/test\.csv lacks the column ecg_id")
    drop(run, "test", "label_A", "label_B", "label_C")
    refused(run, r"predictions/test\.csv lacks labels")
    for content in ("", '"', "ecg_id,A,label_A\n"):
        (run / "predictions" / "test.csv").write_text(content)
        refused(run, r"predictions/test\.csv is (damaged|empty)")


def test_what_is_no_run_is_told_so(tmp_path: Path) -> None:
    refused(tmp_path, r"There are no predictions/val.csv in .*: it is no run folder")
    (tmp_path / "config.yaml").touch()
    refused(tmp_path, r"There are no predictions/val.csv in .*: `fit` has not finished, or said why it stored none")


def test_validation_and_test_must_not_share_records(run: Path) -> None:
    write(run, "test", made_up(1.0, first=399))
    refused(run, r"The validation and test predictions of .* share records")


def test_the_ensemble_is_the_mean_of_probabilities() -> None:
    one, other = made_up(1.0), made_up(2.0, seed=1)
    joined = mean_of([one, other])
    assert torch.equal(joined.scores, (one.scores + other.scores) / 2)
    assert torch.equal(joined.ids, one.ids)
    assert torch.equal(joined.labels, one.labels)
    assert joined.class_names == one.class_names


def test_records_without_ids_are_counted_in_each_split_by_itself(tmp_path: Path) -> None:
    for run in ("a", "b"):
        for split in ("val", "test"):
            write(tmp_path / run, split, made_up(1.0))
            path = tmp_path / run / "predictions" / f"{split}.csv"
            path.write_text(path.read_text().replace("ecg_id", "row", 1))
    # also of their mean
    main(["evaluate", str(tmp_path / "a"), str(tmp_path / "b"), "--ensemble", "true", "--resamples", "5"])
    known = replace(read_predictions(tmp_path / "a", "val"), numbered=False)
    with pytest.raises(ProjectionError, match="different records"):
        mean_of([known, read_predictions(tmp_path / "b", "val")])


def test_runs_that_do_not_belong_together_are_refused() -> None:
    one = made_up(1.0)
    check_comparable(one, made_up(2.0, seed=1))
    different = r"different records or labels \(400 and 400 records\)"
    for other, message in (
        (made_up(1.0, records=300), r"different records or labels \(400 and 300 records\)"),
        (made_up(1.0, first=1), different),
        (replace(one, labels=1 - one.labels), different),
        (replace(one, class_names=("A", "B", "D")), "different classes"),
        (replace(one, class_names=("B", "A", "C")), "different classes"),
    ):
        with pytest.raises(ProjectionError, match=message):
            mean_of([one, one, other])
