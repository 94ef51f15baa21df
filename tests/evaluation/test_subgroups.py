"""Subgroups, leaks and the bootstrap by patient."""

import json
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import sklearn.metrics
import yaml

from projection.__main__ import main
from projection.evaluation.protocol import Protocol
from projection.evaluation.subgroups import FEWEST, divide, subgroups
from tests.conftest import Run
from tests.evaluation.made_up import made_up

RECORDS = {
    "sex": np.array([0.0, 1.0, np.nan, 0.0]),
    "age": np.array([39.9, 40.0, np.nan, 300.0]),
    "device": np.array(["CS-12   ", "", "AT-6", "CS-12"], object),
    "static_noise": np.array([" , I-V1,  ", "", " ", ""], object),
    "burst_noise": np.array(["", "alles", "", ""], object),
    "validated_by_human": np.array([1, 0, -1, 1], np.int8),
}


def test_every_record_is_in_one_group_of_each_attribute_but_signal_quality() -> None:
    divided = divide(RECORDS)
    for attribute in ("sex", "age", "device", "human-validated"):
        assert (np.sum(list(divided[attribute].values()), axis=0) == 1).all()
    assert divided["age"]["40 to 59"].tolist() == [False, True, False, False]
    assert divided["age"]["80 and over"].tolist() == [False, False, False, True]
    assert divided["device"]["CS-12"].tolist() == [True, False, False, True]
    assert divided["signal quality"]["nothing noted"].tolist() == [False, False, True, True]
    assert divided["signal quality"]["burst noise"].tolist() == [False, True, False, False]
    assert "height" not in divided
    assert "age" not in divide({"sex": RECORDS["sex"]})


def test_a_group_s_auroc_is_that_of_its_records_and_of_the_classes_it_has() -> None:
    test = made_up(1.0)
    labels = test.labels.clone()
    labels[::2, 2] = 0
    labels[0:8:2, 2] = 1  # four in the group, one too few
    test = type(test)(test.ids, test.scores, labels, test.class_names)
    sex = np.tile([0.0, 1.0], 200)
    records = {"sex": sex, "patient_id": np.arange(400)}
    male, female = subgroups(test, records, Protocol("youden", 0.9, 100, 0, 0.95))
    assert (male.classes, female.classes, male.records) == (2, 3, 200)
    assert FEWEST == 5
    expected = sklearn.metrics.roc_auc_score(labels[::2, :2], test.scores[::2, :2])
    assert male.auroc == pytest.approx(expected, abs=1e-12)
    assert male.everyone == pytest.approx(sklearn.metrics.roc_auc_score(labels[:, :2], test.scores[:, :2]), abs=1e-12)
    assert male.low < male.auroc < male.high


def test_intervals_by_patient_need_the_data_and_use_them(run: Run, tiny: list[str], tmp_path: Path) -> None:
    folder = run("fit", *tiny, "--data.task", "superdiagnostic", "--trainer.max_epochs", "1")
    found = []
    for options in ([], ["--by_patient", "true"]):
        main(["evaluate", str(folder), "--resamples", "100", *options])
        found.append(json.loads((folder / "evaluation.json").read_text()))
    assert found[0]["summary"]["auroc"] == found[1]["summary"]["auroc"]
    assert found[0]["summary"]["auroc_low"] != found[1]["summary"]["auroc_low"]
    assert found[1]["protocol"]["by_patient"]

    moved = tmp_path / "moved"
    shutil.copytree(folder, moved)
    change(moved / "config.yaml", "no/such/file.h5")
    facts = json.loads((moved / "provenance.json").read_text())
    facts["data"]["path"] = "gone.h5"
    (moved / "provenance.json").write_text(json.dumps(facts))
    main(["evaluate", str(moved), "--resamples", "10"])
    found = json.loads((moved / "evaluation.json").read_text())
    assert found["subgroups"] == []
    assert "There is no file gone.h5" in found["notes"][0]
    with pytest.raises(SystemExit, match=r"There is no file gone\.h5"):
        main(["evaluate", str(moved), "--resamples", "10", "--by_patient", "true"])


def change(config: Path, path: str) -> None:
    content = yaml.safe_load(config.read_text())
    content["data"]["init_args"]["path"] = path
    config.write_text(yaml.safe_dump(content))


def test_a_patient_in_two_splits_stops_training_and_evaluation(
    run: Run, tiny: list[str], tmp_path: Path, corpus_file: Path
) -> None:
    folder = run("fit", *tiny, "--data.task", "superdiagnostic", "--trainer.max_epochs", "1")
    leaky = tmp_path / "leaky.h5"
    shutil.copy(corpus_file, leaky)
    with h5py.File(leaky, "r+") as file:
        folds, patients = file["records/strat_fold"][...], file["records/patient_id"][...]
        tested = np.flatnonzero(folds == 10)
        patients[np.flatnonzero(folds == 1)[0]] = patients[tested[0]]
        file["records/patient_id"][...] = patients
    said = r"1 patient_id of .*leaky.h5 are in both training and test, such as \d+"
    with pytest.raises(SystemExit, match=said):
        main(["fit", *tiny, "--data.path", str(leaky), "--trainer.default_root_dir", "leaky"])
    change(folder / "config.yaml", str(leaky))
    with pytest.raises(SystemExit, match=said):
        main(["evaluate", str(folder)])


def test_a_test_record_in_training_stops_evaluation(run: Run, tiny: list[str]) -> None:
    folder = run("fit", *tiny, "--data.task", "superdiagnostic", "--trainer.max_epochs", "1")
    content = yaml.safe_load((folder / "config.yaml").read_text())
    content["data"]["init_args"]["train_folds"] = [1, 2, 10]
    (folder / "config.yaml").write_text(yaml.safe_dump(content))
    with pytest.raises(SystemExit, match=r"ecg_id of .* are in both training and test"):
        main(["evaluate", str(folder)])


def test_another_data_file_than_the_run_s_is_not_taken_for_it(run: Run, tiny: list[str], ptbxl_file: Path) -> None:
    folder = run("fit", *tiny, "--data.task", "superdiagnostic", "--trainer.max_epochs", "1")
    change(folder / "config.yaml", str(ptbxl_file))
    main(["evaluate", str(folder), "--resamples", "10"])
    assert "its SHA-256 is another one" in json.loads((folder / "evaluation.json").read_text())["notes"][0]
