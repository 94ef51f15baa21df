"""What `make table` calls, with arguments for `fit`: train what a table lacks, and make it.

These variables say the rest: LABELS, NETS and SEEDS; LAUNCHER (local, slurm or sagemaker); TABLE, the name of the
table's folder below RUNS_PATH (runs); DRY_RUN=1 prints what would be run.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

from projection.benchmark import cloud, cluster, training
from projection.benchmark.cell_settings import changes, resolved
from projection.benchmark.grid import HOME, Cell, TableError, cells_asked_for, table_folder
from projection.errors import ProjectionError
from projection.resolve import data_paths, make_files
from projection.runs.folder import is_finished

Settings = Mapping[Cell, Mapping[str, Any]]


def main(arguments: Sequence[str]) -> None:
    """Train the cells that are missing, all with the same arguments for `fit`, and make the table."""
    try:
        failed = _make(arguments)
    except ProjectionError as error:
        sys.exit(f"table: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
    if failed:
        sys.exit("\n".join([f"table: {len(failed)} failed:", *failed]))


def _make(arguments: Sequence[str]) -> Sequence[str]:
    launcher = os.environ.get("LAUNCHER") or "local"
    if not (HOME / "launchers").is_dir():
        raise TableError("tables are trained in a clone of projection, where its launchers are")
    if launcher not in ("local", "slurm", "sagemaker"):
        raise TableError(f"LAUNCHER is local, slurm or sagemaker; found: {launcher}")
    runs = cluster.runs_path() if launcher == "slurm" else HOME / (os.environ.get("RUNS_PATH") or "runs")
    folder = table_folder(runs)
    cells = cells_asked_for(os.environ, folder)
    with training.alone(folder) as held:
        settings = _settings(cells, arguments)
        busy = cloud.collect(cells, folder) if launcher == "sagemaker" else cluster.queued(launcher == "slurm")
        _check_unchanged(settings)
        missing = [cell for cell in cells if not is_finished(cell.folder) and cell.folder not in busy]
        _say(cells, missing)
        if os.environ.get("DRY_RUN") == "1" and launcher == "local":
            training.show(missing, arguments)
            return []
        if launcher == "slurm":
            failed = _submit(missing, settings, arguments)
        elif launcher == "sagemaker":
            cloud.submit(missing, arguments, folder)
            failed = []
        else:
            failed = _train(missing, settings, arguments, held)
        return [*failed, *_tabulate(cells, folder)]


def _settings(cells: Sequence[Cell], arguments: Sequence[str]) -> Settings:
    """Parse every label set with every net: mistakes show before anything is trained; seeds change nothing else."""
    parsed = {(cell.label_set, cell.net): cell for cell in cells}
    first = {pair: resolved(cell, arguments) for pair, cell in parsed.items()}
    return {cell: {**first[cell.label_set, cell.net], "seed_everything": cell.seed} for cell in cells}


def _check_unchanged(settings: Settings) -> None:
    found = {cell: changes(cell, each) for cell, each in settings.items() if is_finished(cell.folder) or cell.begun}
    changed = {cell: how for cell, how in found.items() if how}
    if changed:
        cell, how = next(iter(changed.items()))
        others = f", and {len(changed) - 1} more differ" if len(changed) > 1 else ""
        raise TableError(
            f"{cell.folder} was trained with {how} as asked now{others}; ask for the same, "
            "take TABLE=another to keep both, or remove it"
        )


def _say(cells: Sequence[Cell], missing: Sequence[Cell]) -> None:
    finished = sum(is_finished(cell.folder) for cell in cells)
    waiting = len(cells) - finished - len(missing)
    queue = f", {waiting} under way" if waiting else ""
    print(f"{len(cells)} cells: {finished} finished{queue}, {len(missing)} to train.", flush=True)


def _train(missing: Sequence[Cell], settings: Settings, arguments: Sequence[str], held: int) -> Sequence[str]:
    with chdir(HOME):
        make_files(file for cell in missing for file in data_paths(settings[cell]))
    failed = training.train(missing, arguments, held)
    return [f"{cell} {how}: {cell.folder}" for cell, how in failed.items()]


def _submit(missing: Sequence[Cell], settings: Settings, arguments: Sequence[str]) -> Sequence[str]:
    if missing:
        check = {tuple(data_paths(settings[cell])): cell.experiment for cell in missing}
        cluster.submit(missing, list(check.values()), arguments)
    if missing and os.environ.get("DRY_RUN") != "1":
        print("The same `make table` shows what has finished, and trains what failed.", flush=True)
    return []


def _tabulate(cells: Sequence[Cell], folder: Path) -> Sequence[str]:
    if not any(is_finished(cell.folder) for cell in cells):
        return []
    from projection.benchmark.table import table

    label_sets, nets, seeds = ({getattr(cell, name) for cell in cells} for name in ("label_set", "net", "seed"))
    try:
        table(folder, labels=sorted(label_sets), nets=sorted(nets), seeds=sorted(seeds))
    except ProjectionError as error:
        return str(error).splitlines()
    return []


if __name__ == "__main__":
    main(sys.argv[1:])
