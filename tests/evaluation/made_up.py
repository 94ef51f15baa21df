"""Predictions and runs that nobody trained for."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import torch
import yaml

from projection.runs.predictions import Predictions


def made_up(skill: float, records: int = 400, seed: int = 0, first: int = 0) -> Predictions:
    """Predictions of records whose labels do not depend on skill."""
    generator = torch.Generator().manual_seed(1)
    labels = (torch.rand(records, 3, generator=generator) < 0.3).to(torch.uint8)
    noise = torch.randn(records, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Predictions(
        torch.arange(first, first + records), (skill * labels + noise).sigmoid(), labels, ("A", "B", "C")
    )


def write(run: Path, split: str, predictions: Predictions) -> None:
    """Write predictions as `fit` does."""
    table = pd.DataFrame(predictions.scores.numpy(), columns=list(predictions.class_names))
    table.insert(0, "ecg_id", predictions.ids.numpy())
    labels = pd.DataFrame(predictions.labels.numpy(), columns=[f"label_{name}" for name in predictions.class_names])
    (run / "predictions").mkdir(parents=True, exist_ok=True)
    table.join(labels).to_csv(run / "predictions" / f"{split}.csv", index=False)


def made_up_run(
    folder: Path, file: Path, train: Sequence[int] = (1,), validation: Sequence[int] = (2,), test: Sequence[int] = (3,)
) -> Path:
    """A run on the folds of a data file, its predictions in no order."""
    with h5py.File(file) as content:
        ids, folds = content["records/ecg_id"][...], content["records/strat_fold"][...]
        signals = str(content.attrs["signals_sha256"])
    generator = np.random.default_rng(0)
    for split, chosen in (("val", validation), ("test", test)):
        known = torch.from_numpy(generator.permutation(ids[np.isin(folds, chosen)]))
        write(folder, split, replace(made_up(1.0, len(known)), ids=known))
    configure(folder, path=str(file), labels="superdiagnostic", train_folds=list(train))
    facts = {"path": str(file), "signals_sha256": signals, "source": "demo"}
    (folder / "provenance.json").write_text(json.dumps({"data": facts}))
    return folder


def configure(run: Path, **arguments: object) -> None:
    """Set arguments of the data module in `config.yaml`."""
    path = run / "config.yaml"
    content = yaml.safe_load(path.read_text()) if path.exists() else {"data": {"init_args": {}}}
    content["data"]["init_args"] |= arguments
    path.write_text(yaml.safe_dump(content))
