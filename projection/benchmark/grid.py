"""The cells of a table: each label set, net and seed, and the run folder of each."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from projection.errors import ProjectionError
from projection.experiment import CONFIGS
from projection.runs.folder import LAST

HOME = Path(__file__).resolve().parents[2]
_FOLDERS = {"LABELS": "benchmark", "NETS": "nets"}
_LARGEST_SEED = 2**32 - 1


class TableError(ProjectionError):
    """What is wrong with what was asked for, in one line."""


@dataclass(frozen=True)
class Cell:
    """A training that a table needs.

    Args:
        label_set: A file of configs/benchmark.
        net: A file of configs/nets.
        seed: Of the training.
        folder: The run folder.
    """

    label_set: str
    net: str
    seed: int
    folder: Path

    @property
    def experiment(self) -> str:
        """Its configs, as EXP and `--config` take them."""
        return f"benchmark/{self.label_set}+nets/{self.net}"

    @property
    def begun(self) -> bool:
        """Whether there is a state to go on from."""
        return (self.folder / LAST).is_file()

    def __str__(self) -> str:
        return f"{self.label_set} {self.net} {self.seed}"


def cells_asked_for(environment: Mapping[str, str], folder: Path) -> Sequence[Cell]:
    """List the cells of LABELS, NETS and SEEDS in a table's folder, seeds varying fastest.

    Args:
        environment: Where these variables are, words separated by spaces or commas. Without them it is all label sets,
            all nets and seed 0.
        folder: The table's folder.

    Raises:
        TableError: If there is no such label set, net or seed.
    """
    if environment.get("TASKS"):
        raise TableError("TASKS is called LABELS now")
    label_sets, nets = (_names(environment, variable) for variable in _FOLDERS)
    seeds = dict.fromkeys([_seed(word) for word in _words(environment, "SEEDS")] or [0])
    return [
        Cell(label_set, net, seed, folder / label_set / net / str(seed))
        for label_set in label_sets
        for net in nets
        for seed in seeds
    ]


def _names(environment: Mapping[str, str], variable: str) -> Sequence[str]:
    there = sorted(path.stem for path in (CONFIGS / _FOLDERS[variable]).glob("*.yaml"))
    asked = _words(environment, variable)
    unknown = [name for name in asked if name not in there]
    if unknown:
        raise TableError(f"{variable} are among {' '.join(there)}; found: {' '.join(unknown)}")
    return asked or there


def _words(environment: Mapping[str, str], variable: str) -> Sequence[str]:
    return list(dict.fromkeys(environment.get(variable, "").replace(",", " ").split()))


def _seed(word: str) -> int:
    if not (word.isascii() and word.isdecimal() and int(word) <= _LARGEST_SEED):
        raise TableError(f"SEEDS are whole numbers from 0 to {_LARGEST_SEED}; found: {word}")
    return int(word)


def table_folder(runs: Path) -> Path:
    """Name the table's folder below `runs`, which is TABLE, by default `table`."""
    name = os.environ.get("TABLE") or "table"
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise TableError(f"TABLE is a name of letters, digits, - and _, of a folder beside other runs; found: {name}")
    return runs / name
