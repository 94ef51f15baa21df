"""Subgroups, against pandas and scikit-learn on the corpus's own table."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from projection.__main__ import main
from projection.evaluation.protocol import Protocol
from projection.evaluation.subgroups import divide, subgroups
from projection.runs.predictions import Predictions, read_predictions
from tests.evaluation import recomputed
from tests.evaluation.made_up import made_up, made_up_run

PROTOCOL = Protocol(resamples=10, seed=3, confidence=0.8)


def places(members: NDArray[np.bool_]) -> list[int]:
    return np.flatnonzero(members).tolist()


def test_groups_are_what_the_table_says() -> None:
    records = {
        "sex": np.array([0.0, 1.0, np.nan, 0.0]),
        "age": np.array([0, 39.9, 40, 59.9, 60, 79.9, 80, 300, np.nan]),
        "device": np.array(["CS-12   ", "", "AT-6", "CS-12"], object),
        "static_noise": np.array([" , I-V1,  ", "", " ", ""], object),
        "burst_noise": np.array(["", "alles", "", ""], object),
        "baseline_drift": np.array(["V1", "V1", "", ""], object),
        "electrodes_problems": np.array(["", "", "", "V6"], object),
        "validated_by_human": np.array([1, 0, -1, 1], np.int8),
    }
    found = {name: {group: places(each) for group, each in groups.items()} for name, groups in divide(records).items()}
    assert found == {
        "sex": {"male": [0, 3], "female": [1], "unknown": [2]},
        "age": {"under 40": [0, 1], "40 to 59": [2, 3], "60 to 79": [4, 5], "80 and over": [6, 7], "unknown": [8]},
        "device": {"CS-12": [0, 3], "AT-6": [2], "unknown": [1]},
        "signal quality": {
            "nothing noted": [2],
            "static noise": [0],
            "burst noise": [1],
            "baseline drift": [0, 1],
            "electrode problems": [3],
        },
        "human-validated": {"yes": [0, 3], "no": [1], "unknown": [2]},
    }
    assert divide({"height": np.ones(3)}) == {}


@pytest.mark.parametrize(
    ("with_it", "without", "counts"), [(5, 195, True), (4, 196, False), (195, 5, True), (196, 4, False)]
)
def test_a_class_counts_in_a_group_with_five_records_of_each_kind(with_it: int, without: int, counts: bool) -> None:
    test = made_up(1.0)
    labels = test.labels.clone()
    labels[::2, 2] = torch.tensor([1] * with_it + [0] * without, dtype=torch.uint8)
    records = {"sex": np.tile([0.0, 1.0], 200), "patient_id": np.arange(400)}
    male, female = subgroups(replace(test, labels=labels), records, PROTOCOL)
    kept = 2 + counts
    assert (male.classes, female.classes, male.records) == (kept, 3, 200)
    assert male.auroc == pytest.approx(roc_auc_score(labels[::2, :kept], test.scores[::2, :kept]), abs=1e-12)
    assert male.everyone == pytest.approx(roc_auc_score(labels[:, :kept], test.scores[:, :kept]), abs=1e-12)


def test_groups_too_small_are_shown_without_numbers_and_empty_ones_are_not() -> None:
    records = {"sex": np.array([0.0] * 9 + [1.0] * 391), "patient_id": np.arange(400)}
    male, female = subgroups(made_up(1.0), records, PROTOCOL)
    assert (male.group, male.records, male.classes, female.group) == ("male", 9, 0, "female")
    assert np.isnan([male.auroc, male.low, male.high, male.everyone]).all()


def groups(table: pd.DataFrame) -> Iterator[tuple[str, str, "pd.Series[bool]"]]:
    for code, sex in ((0, "male"), (1, "female")):
        yield "sex", sex, table.sex == code
    bands = pd.cut(table.age, [0, 40, 60, 80, 1000], right=False)
    for band, name in zip(bands.cat.categories, ("under 40", "40 to 59", "60 to 79", "80 and over"), strict=True):
        yield "age", name, bands == band
    devices = table.device.str.strip()
    for device in sorted(devices.unique()):
        yield "device", device, devices == device
    noted = table[["baseline_drift", "static_noise", "burst_noise", "electrodes_problems"]].notna()
    yield "signal quality", "nothing noted", ~noted.any(axis=1)
    for name in noted:
        yield "signal quality", str(name).replace("_", " ").replace("electrodes", "electrode"), noted[name]
    for value, name in ((True, "yes"), (False, "no")):
        yield "human-validated", name, table.validated_by_human == value


def expected(test: Predictions, table: pd.DataFrame, protocol: Protocol) -> Iterator[dict[str, object]]:
    for attribute, group, mask in groups(table):
        members = np.flatnonzero(mask)
        counts = test.labels[members].sum(dim=0)
        kept = np.flatnonzero((counts >= 5) & (len(members) - counts >= 5))
        if not len(members):
            continue
        found: dict[str, object] = {"attribute": attribute, "group": group, "records": len(members)}
        found |= {"classes": len(kept), "auroc": None, "low": None, "high": None, "everyone": None}
        if len(kept):
            whole = Predictions(test.ids, test.scores[:, kept], test.labels[:, kept], ())
            part = Predictions(test.ids[members], whole.scores[members], whole.labels[members], ())
            patients = table.patient_id.to_numpy(np.int64)[members] if protocol.by_patient else None
            low, high = recomputed.ends(recomputed.resampled_auroc(part, protocol, patients), protocol.confidence)
            values = [recomputed.macro_auroc(each.scores.numpy(), each.labels.numpy()) for each in (part, whole)]
            found |= {"auroc": values[0], "low": low, "high": high, "everyone": values[1]}
        yield found


@pytest.mark.thorough
@pytest.mark.parametrize("by_patient", [False, True])
def test_evaluate_judges_the_groups_of_the_corpus_s_table(
    tmp_path: Path, corpus: Path, corpus_file: Path, by_patient: bool
) -> None:
    run = made_up_run(tmp_path / "run", corpus_file, test=range(3, 11))
    options = ["--resamples", "10", "--seed", "3", "--confidence", "0.8", "--by_patient", str(by_patient).lower()]
    main(["evaluate", str(run), *options])
    found = json.loads((run / "evaluation.json").read_text())
    test, protocol = read_predictions(run, "test"), replace(PROTOCOL, by_patient=by_patient)
    table = pd.read_csv(corpus / "ptbxl_database.csv").set_index("ecg_id").loc[test.ids.numpy()]
    for one, other in zip(found["subgroups"], expected(test, table, protocol), strict=True):
        assert one == pytest.approx(other, abs=1e-12)
    patients = table.patient_id.to_numpy(np.int64) if by_patient else None
    low, high = recomputed.ends(recomputed.resampled_auroc(test, protocol, patients), 0.8)
    assert (found["summary"]["auroc_low"], found["summary"]["auroc_high"]) == pytest.approx((low, high), abs=1e-12)
