"""A run and its data: looked up by ids, the same as it learned from, and nothing of the test in training."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from projection.__main__ import main
from projection.data.data_set import DataSet, open_data_set
from projection.errors import ProjectionError
from projection.runs.run import check_run_for_leaks, columns, open_data, positions, read_run
from tests.evaluation.made_up import configure, made_up, made_up_run, write


def changed(file: Path, copy: Path, change: Callable[[h5py.File], None]) -> Path:
    shutil.copy(file, copy)
    with h5py.File(copy, "r+") as content:
        change(content)
    return copy


def renumber(content: h5py.File) -> None:
    content["records/ecg_id"][...] = 5000 - content["records/ecg_id"][...]
    content.attrs["signals_sha256"] = "another"


@pytest.fixture(scope="module")
def two_files(corpus_file: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two files, the ids of the second falling."""
    return [corpus_file, changed(corpus_file, tmp_path_factory.mktemp("second") / "second.h5", renumber)]


@pytest.fixture
def run(tmp_path: Path, corpus_file: Path) -> Path:
    return made_up_run(tmp_path / "run", corpus_file)


def evaluated(run: Path, *options: str) -> dict[str, list[str]]:
    main(["evaluate", str(run), "--resamples", "5", *options])
    found: dict[str, list[str]] = json.loads((run / "evaluation.json").read_text())
    return found


def test_records_are_looked_up_by_their_ids_in_all_files(two_files: list[Path], corpus_file: Path) -> None:
    data = open_data_set(two_files)
    ids = np.array([4990, 7, 160, 4999, 1])
    assert positions(data, ids).tolist() == [169, 6, 159, 160, 0]
    with h5py.File(corpus_file) as content:
        records = content["records"]
        for name in ("age", "sex", "patient_id", "validated_by_human"):
            np.testing.assert_array_equal(columns(data, ids)[name], records[name][...][[9, 6, 159, 0, 0]])
    np.testing.assert_array_equal(columns(data, ids)["ecg_id"], ids)


@pytest.mark.parametrize("unknown", [0, 161, 9999])
def test_predictions_of_records_that_the_data_lack_are_refused(run: Path, unknown: int) -> None:
    write(run, "test", made_up(1.0, first=unknown, records=1))
    with pytest.raises(SystemExit, match=rf"lacks 1 of the predicted records, such as {unknown}\."):
        evaluated(run)


def test_columns_that_one_file_lacks_are_left_out(tmp_path: Path, two_files: list[Path]) -> None:
    def forget(content: h5py.File) -> None:
        del content["records/sex"]

    data = open_data_set([two_files[0], changed(two_files[1], tmp_path / "less.h5", forget)])
    found = columns(data, np.array([1, 4999]))
    assert "sex" not in found
    assert "age" in found


def test_data_are_found_where_they_are_or_where_they_were(
    run: Path, tmp_path: Path, corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    configure(run, path="no/longer/here.h5")
    assert open_data(read_run(run)).name == str(corpus_file)
    shutil.copy(corpus_file, "moved.h5")
    configure(run, path="moved.h5")
    assert open_data(read_run(run)).name == "moved.h5"


def test_several_files_are_the_run_s_in_their_order(run: Path, two_files: list[Path]) -> None:
    facts = json.loads((run / "provenance.json").read_text())
    facts["data"]["path"] = list(map(str, two_files))
    facts["data"]["signals_sha256"] = [facts["data"]["signals_sha256"], "another"]
    (run / "provenance.json").write_text(json.dumps(facts))
    for paths in (list(map(str, two_files)), "gone.h5"):
        configure(run, path=paths)
        assert len(open_data(read_run(run)).ids) == 320
    configure(run, path=[*map(str, two_files[::-1])])
    with pytest.raises(ProjectionError, match="its SHA-256 is another one"):
        open_data(read_run(run))


def other_data(run: Path) -> None:
    facts = json.loads((run / "provenance.json").read_text())
    facts["data"]["signals_sha256"] = "another"
    (run / "provenance.json").write_text(json.dumps(facts))


def gone(run: Path) -> None:
    (run / "provenance.json").write_text(json.dumps({"data": {"path": ["gone.h5"], "signals_sha256": ["0"]}}))
    configure(run, path="gone.h5")


def own_module(run: Path) -> None:
    (run / "config.yaml").write_text("data: {class_path: mine.Data}")


def unknown(run: Path) -> None:
    for name in ("config.yaml", "provenance.json"):
        (run / name).unlink()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_data, "is not the file that .* learned from: its SHA-256 is another one"),
        (gone, r"There is no file gone\.h5"),
        (own_module, "does not name data in this project's format"),
        (unknown, "does not name data in this project's format"),
    ],
)
def test_without_its_data_a_run_is_judged_and_told_what_is_missing(
    run: Path, change: Callable[[Path], None], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = evaluated(run)
    assert whole["subgroups"]
    assert whole["notes"] == []
    change(run)
    found = evaluated(run)
    assert found["subgroups"] == []
    (note,) = found["notes"]
    assert note in capsys.readouterr().out
    with pytest.raises(SystemExit, match=message) as error:
        evaluated(run, "--by_patient", "true")
    assert note == f"No subgroups, and no check for patients in two splits: {str(error.value).split(': ', 1)[1]}"
    assert {key: found[key] for key in ("summary", "classes")} == {key: whole[key] for key in ("summary", "classes")}


def test_a_run_of_an_older_version_is_told_so(run: Path) -> None:
    configure(run, task="superdiagnostic")
    evaluated(run)  # another data module may mean something else by it
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["data"]["class_path"] = "projection.data.datamodule.PTBXLDataModule"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.raises(SystemExit, match=r"is a run of a version before 0\.2"):
        evaluated(run)


@pytest.mark.parametrize("name", ["config.yaml", "provenance.json"])
@pytest.mark.parametrize(("content", "message"), [("{", "is damaged"), ("[1]", "is not what `fit` wrote")])
def test_damaged_settings_are_told(run: Path, name: str, content: str, message: str) -> None:
    (run / name).write_text(content)
    with pytest.raises(SystemExit, match=message):
        evaluated(run)


@pytest.mark.parametrize(
    ("train", "validation", "test", "message"),
    [
        ([1, 3], [2], [3], "ecg_id of .* are in both training and test"),
        ([1, 2], [2], [3], "ecg_id of .* are in both training and validation"),
    ],
)
def test_a_record_in_training_and_in_what_it_is_judged_on_stops_evaluation(
    tmp_path: Path, corpus_file: Path, train: list[int], validation: list[int], test: list[int], message: str
) -> None:
    run = made_up_run(tmp_path / "run", corpus_file, train, validation, test)
    with pytest.raises(SystemExit, match=message):
        evaluated(run)


def shared_patient(one: int, other: int) -> Callable[[h5py.File], None]:
    """Give the first record of one fold and the first of another to one patient."""

    def share(content: h5py.File) -> None:
        first, second = (np.flatnonzero(content["records/strat_fold"][...] == fold)[0] for fold in (one, other))
        content["records/patient_id"][first] = content["records/patient_id"][second]

    return share


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        ((1, 3), "both training and test"),
        ((1, 2), "both training and validation"),
        ((2, 3), "both validation and test"),
        # in none of the run's splits
        ((4, 3), ""),
        ((1, 4), ""),
    ],
)
def test_a_patient_in_two_splits_of_the_run_stops_its_evaluation(
    tmp_path: Path, corpus_file: Path, folds: tuple[int, int], message: str
) -> None:
    leaky = changed(corpus_file, tmp_path / "leaky.h5", shared_patient(*folds))
    run = made_up_run(tmp_path / "run", leaky)
    if message:
        with pytest.raises(SystemExit, match=rf"1 patient_id of .*leaky\.h5 are in {message}, such as \d+"):
            evaluated(run)
    else:
        assert evaluated(run)["notes"] == []


def test_a_patient_in_training_and_test_stops_training(
    tiny: list[str], tmp_path: Path, corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["projection"])
    leaky = changed(corpus_file, tmp_path / "leaky.h5", shared_patient(1, 10))
    place = ["--trainer.default_root_dir", str(tmp_path / "leaky")]
    with pytest.raises(SystemExit, match=r"1 patient_id of .*leaky\.h5 are in both training and test, such as \d+"):
        main(["fit", *tiny, "--data.path", str(leaky), *place])


def test_records_that_the_run_s_task_leaves_out_are_not_in_its_training(tmp_path: Path, corpus_file: Path) -> None:
    def only_form_lacks(data: DataSet) -> int:
        lacking = data.labels("superdiagnostic").any(axis=1) & ~data.labels("form").any(axis=1)
        return int(np.flatnonzero(lacking & (data.folds == 1))[0])

    place = only_form_lacks(open_data_set([corpus_file]))

    def share(content: h5py.File) -> None:
        tested = np.flatnonzero(content["records/strat_fold"][...] == 3)[0]
        content["records/patient_id"][place] = content["records/patient_id"][tested]

    run = made_up_run(tmp_path / "run", changed(corpus_file, tmp_path / "leaky.h5", share))
    with pytest.raises(ProjectionError, match="both training and test"):
        check_run_for_leaks(read_run(run), open_data(read_run(run)))
    configure(run, labels="form")
    check_run_for_leaks(read_run(run), open_data(read_run(run)))
