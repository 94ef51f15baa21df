"""A finished run, and the records it was judged on."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray

from projection.corpus.statements import class_names
from projection.data.data_set import DataSet, open_data_set
from projection.data.leaks import check_leaks
from projection.errors import ProjectionError
from projection.runs.folder import CONFIG, PROVENANCE
from projection.runs.predictions import Predictions, read_predictions


@dataclass(frozen=True)
class Run:
    """What a run folder holds.

    Args:
        folder: The run folder.
        config: `config.yaml` as it stands there; empty where there is none.
        provenance: `provenance.json`; empty where there is none.
        validation: Predictions of the validation folds.
        test: Of the test folds.
    """

    folder: Path
    config: Mapping[str, Any]
    provenance: Mapping[str, Any]
    validation: Predictions
    test: Predictions

    def data_arguments(self) -> Mapping[str, Any]:
        """Give the arguments of the data module, empty where it had none."""
        data = self.config.get("data") or {}
        return data.get("init_args") or {}

    def data_facts(self, name: str) -> list[str]:
        """Give what provenance says of each data file under a name, such as path or signals_sha256."""
        found = (self.provenance.get("data") or {}).get(name) or []
        return [found] if isinstance(found, str) else [str(each) for each in found]

    def label_set(self) -> tuple[str, ...]:
        """Name the classes of the run's label set; none where the data module is not this project's."""
        data = self.config.get("data") or {}
        if not str(data.get("class_path")).endswith("PTBXLDataModule"):
            return ()
        if "task" in self.data_arguments():
            raise ProjectionError(
                f"{self.folder} is a run of a version before 0.2, whose settings are called otherwise: train it again, "
                f"or judge it with the version in its {PROVENANCE}."
            )
        return class_names(self.data_arguments().get("labels", "all"))


def read_run(folder: Path) -> Run:
    """Read a run folder.

    Raises:
        ProjectionError: If it has no predictions of validation and test, theirs are of different classes or lack some
            of the run's, or a file is damaged.
    """
    validation, test = read_predictions(folder, "val"), read_predictions(folder, "test")
    if validation.class_names != test.class_names:
        raise ProjectionError(
            f"The validation and test predictions of {folder} are of different classes, or in different order: "
            f"{_differing(validation.class_names, test.class_names)}. Bring both files of the same run together."
        )
    run = Run(folder, *read_settings(folder), validation, test)
    if missing := [name for name in run.label_set() if name not in test.class_names]:
        raise ProjectionError(
            f"The predictions of {folder} lack {', '.join(missing)}, which the run learned by its {CONFIG}: bring "
            "predictions/val and predictions/test of the same run back."
        )
    return run


def _differing(validation: Sequence[str], test: Sequence[str]) -> str:
    only = [f"{name} in one of them only" for name in sorted({*validation} ^ {*test})]
    return ", ".join(only) or f"{', '.join(validation)} and {', '.join(test)}"


def read_settings(folder: Path) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Read `config.yaml` and `provenance.json` of a run folder, each empty where there is none."""
    config, provenance = folder / CONFIG, folder / PROVENANCE
    try:
        settings = yaml.safe_load(config.read_text()) if config.exists() else {}
        origin = json.loads(provenance.read_text()) if provenance.exists() else {}
    except (yaml.YAMLError, ValueError) as error:
        raise ProjectionError(f"{CONFIG} or {PROVENANCE} of {folder} is damaged: {error}") from error
    if not isinstance(settings, Mapping) or not isinstance(origin, Mapping):
        raise ProjectionError(f"{CONFIG} or {PROVENANCE} of {folder} is not what `fit` wrote: no names in it.")
    return settings, origin


def open_data(run: Run) -> DataSet:
    """Open the data that a run learned from, and make sure that they are still the same.

    Raises:
        ProjectionError: If the files are not there, are others than the run's, or its data module was another one.
    """
    given = run.data_arguments().get("path")
    fingerprints = run.data_facts("signals_sha256")
    if given is None or not fingerprints or not {"labels", "train_folds"} <= run.data_arguments().keys():
        raise ProjectionError(f"{run.folder} does not name data in this project's format.")
    named = [Path(path) for path in (given if isinstance(given, list) else [given])]
    recorded = [Path(path) for path in run.data_facts("path")]
    # the configuration's paths are relative to where the run was started
    paths = named if all(path.is_file() for path in named) else recorded
    data = open_data_set(paths)
    if [str(store.attributes["signals_sha256"]) for store in data.stores] != fingerprints:
        raise ProjectionError(
            f"{data.name} is not the file that {run.folder} learned from: its SHA-256 is another one."
        )
    return data


def check_run_for_leaks(run: Run, data: DataSet) -> None:
    """Make sure that a run was not judged on records or patients that it learned from."""
    given = run.data_arguments()
    labelled = data.labels(given["labels"]).any(axis=1)
    splits = {
        "training": np.flatnonzero(labelled & np.isin(data.folds, given["train_folds"])),
        "validation": positions(data, run.validation.ids.numpy()),
        "test": positions(data, run.test.ids.numpy()),
    }
    check_leaks(data, splits)


def columns(data: DataSet, ids: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """Look records up by their ecg_id, `(records,)`: the columns that all files have, each `(records,)`."""
    place = positions(data, ids)
    shared = set.intersection(*(set(store.tables.records) for store in data.stores))
    joined = {name: [store.tables.records[name] for store in data.stores] for name in sorted(shared)}
    return {name: np.concatenate(parts)[place] for name, parts in joined.items()}


def positions(data: DataSet, ids: NDArray[np.int64]) -> NDArray[np.int64]:
    """Look up where records are by their ecg_id, `(records,)`: their positions in the data, `(records,)`."""
    order = np.argsort(data.ids)
    place: NDArray[np.int64] = order[np.searchsorted(data.ids, ids, sorter=order).clip(max=len(order) - 1)]
    unknown = ids[data.ids[place] != ids]
    if len(unknown):
        raise ProjectionError(f"{data.name} lacks {len(unknown):,} of the predicted records, such as {unknown[0]}.")
    return place
