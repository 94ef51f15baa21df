"""The cells of a table: each task, net and seed, and the run folder of each."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from projection.experiment import CONFIGS

HOME = Path(__file__).resolve().parents[2]
_FOLDERS = {"TASKS": "benchmark", "NETS": "nets"}
_LARGEST_SEED = 2**32 - 1


class TableError(Exception):
    """What is wrong with what was asked for, in one line."""


@dataclass(frozen=True)
class Cell:
    """A training that a table needs.

    Args:
        task: A file of configs/benchmark.
        net: A file of configs/nets.
        seed: Of the training.
        folder: The run folder.
    """

    task: str
    net: str
    seed: int
    folder: Path

    @property
    def experiment(self) -> str:
        """Its configs, as `make fit EXP=...` takes them."""
        return f"benchmark/{self.task}+nets/{self.net}"

    @property
    def configs(self) -> Sequence[str]:
        """Its configs, as `fit` takes them."""
        return [word for name in self.experiment.split("+") for word in ("--config", f"configs/{name}.yaml")]

    @property
    def begun(self) -> bool:
        """Whether there is a state to go on from."""
        return (self.folder / "checkpoints" / "last.ckpt").is_file()

    def __str__(self) -> str:
        return f"{self.task} {self.net} {self.seed}"


def cells_asked_for(environment: Mapping[str, str], folder: Path) -> Sequence[Cell]:
    """List the cells of TASKS, NETS and SEEDS.

    Args:
        environment: Where these variables are, words separated by spaces or commas. Without them it is all tasks, all
            nets and seed 0.
        folder: The table's folder.

    Returns:
        The cells, seeds varying fastest.

    Raises:
        TableError: If there is no such task, net or seed.
    """
    tasks, nets = (_names(environment, variable) for variable in _FOLDERS)
    seeds = [_seed(word) for word in _words(environment, "SEEDS")] or [0]
    return [
        Cell(task, net, seed, folder / task / net / str(seed))
        for task in tasks
        for net in nets
        for seed in dict.fromkeys(seeds)
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
    """Name the folder of the table.

    Args:
        runs: Where run folders are kept.

    Returns:
        Its folder of the name TABLE, by default `table`.

    Raises:
        TableError: If TABLE is no name.
    """
    name = os.environ.get("TABLE") or "table"
    if not name.replace("-", "").replace("_", "").isalnum() or not name.isascii():
        raise TableError(f"TABLE is a name of letters, digits, - and _, of a folder beside other runs; found: {name}")
    return runs / name
