"""A model from its checkpoint alone."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from projection.corpus.store import open_store
from projection.errors import ProjectionError
from projection.metrics import fit_temperature, fit_thresholds
from projection.runs.load import load
from projection.runs.predictions import read_predictions
from tests.conftest import Run
from tests.own_module import MeanNet  # noqa: F401 - named by a checkpoint

STEPS = [("BandPass", {"low": 1.0, "high": 30.0}), ("Resample", {"hertz": 60}), ("Normalise", {"over": "lead"})]
PREPROCESS = json.dumps([{"class_path": f"projection.transforms.{kind}", "init_args": args} for kind, args in STEPS])


@pytest.mark.thorough
def test_a_model_gives_the_predictions_of_its_run_after_the_run_is_gone(
    run: Run, tiny: list[str], corpus_file: Path, tmp_path: Path
) -> None:
    folder = run("fit", *tiny, "--model.init_args.preprocess", PREPROCESS, "--model.init_args.stride", "1.5")
    expected = pd.read_csv(folder / "predictions" / "test.csv").set_index("ecg_id")
    shutil.copy(folder / "checkpoints" / "best.ckpt", tmp_path / "alone.ckpt")
    shutil.rmtree(folder)
    task = load(tmp_path / "alone.ckpt")
    assert not task.training
    store = open_store(corpus_file)
    rows = {int(ecg_id): row for row, ecg_id in enumerate(store.tables.records["ecg_id"])}
    x = torch.from_numpy(store.signals()[[rows[ecg_id] for ecg_id in expected.index]].astype(np.float32)) / store.gain
    with torch.no_grad():
        found = task(x).sigmoid()
    np.testing.assert_allclose(found, expected[list(task.class_names)], atol=1e-6)


def test_a_checkpoint_states_all_that_its_use_needs(fitted: Path, corpus_file: Path) -> None:
    stated = load(fitted / "checkpoints" / "best.ckpt").learned
    assert stated is not None
    assert stated["lead_names"] == ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    assert stated["class_names"] == ["CD", "HYP", "MI", "NORM", "STTC"]
    assert (stated["sampling_rate"], stated["unit"]) == (100, "mV")
    assert (stated["window"], stated["stride"], stated["aggregation"], stated["preprocess"]) == (5.0, None, "max", [])
    attributes = open_store(corpus_file).attributes
    assert stated["data"]["signals_sha256"] == [attributes["signals_sha256"]]
    assert "path" not in stated["data"]
    validation = read_predictions(fitted, "val")
    thresholds = fit_thresholds(validation.scores, validation.labels)
    point = stated["operating_point"]
    assert point["thresholds"] == dict(zip(validation.class_names, thresholds.tolist(), strict=True))
    assert point["temperature"] == pytest.approx(float(fit_temperature(validation.scores, validation.labels)))


def changed(checkpoint: Path, place: Path, **values: Any) -> Path:
    """Copy a checkpoint with other values."""
    content = torch.load(checkpoint, weights_only=True)
    torch.save({**content, **values}, place)
    return place


@pytest.mark.parametrize(
    ("described", "told"),
    [
        ({"class_path": "os.system", "init_args": {"command": "touch pwned"}}, "os.system is no torch.nn.Module"),
        ({"class_path": "tests.own_module.torch"}, "is no torch.nn.Module"),
        ("tests.own_module.make_net", "tests.own_module.make_net is no torch.nn.Module"),
        ({"class_path": "nowhere.Net"}, "No module named 'nowhere'"),
        ({"class_path": "projection.nets.CNN1d", "init_args": {"widths": [4, 8, 8]}}, "are of another network"),
        ({"class_path": "projection.nets.CNN1d", "init_args": {"depth": 3}}, "cannot be built here .*depth"),
    ],
)
def test_what_a_checkpoint_names_is_a_network_or_refused(
    fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, described: Any, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    whole = torch.load(fitted / "checkpoints" / "best.ckpt", weights_only=True)
    arguments = {**whole["hyper_parameters"], "net": described}
    place = changed(fitted / "checkpoints" / "best.ckpt", tmp_path / "a.ckpt", hyper_parameters=arguments)
    with pytest.raises(ProjectionError, match=told):
        load(place, trust=True)
    assert list(tmp_path.iterdir()) == [place]


def test_a_checkpoint_that_holds_more_or_states_nothing_is_refused(fitted: Path, tmp_path: Path) -> None:
    best = fitted / "checkpoints" / "best.ckpt"
    with pytest.raises(ProjectionError, match="holds more than tensors and plain values, and could run code"):
        load(changed(best, tmp_path / "code.ckpt", more=Path("/")))
    with pytest.raises(ProjectionError, match="does not describe its model"):
        load(changed(best, tmp_path / "other.ckpt", hyper_parameters={}))
    contract = torch.load(best, weights_only=True)["contract"]
    del contract["preprocess"]
    with pytest.raises(ProjectionError, match="does not state its preprocess: it is damaged"):
        load(changed(best, tmp_path / "less.ckpt", contract=contract))
    with pytest.raises(ProjectionError, match="are of another network"):
        load(changed(best, tmp_path / "empty.ckpt", state_dict={}))
    with pytest.raises(ProjectionError, match="There is no checkpoint"):
        load(tmp_path / "none.ckpt")
