"""The table at the end of a run."""

import os
import sys
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from shutil import which

from projection.files import write_json
from projection.runs.folder import RESULTS, TENSORBOARD

_STAGES = {"val": "validation", "test": "test", "": "value"}


def report(folder: Path, results: Mapping[str, float]) -> None:
    """Save results, under the names that were logged, in the run folder, and print them with where to look next."""
    from rich.console import Console
    from rich.table import Table

    finite = {name: value if isfinite(value) else None for name, value in sorted(results.items())}
    write_json(folder / RESULTS, finite)
    cells = [_cell(name) for name in results]
    stages = [stage for stage in _STAGES if any(cell[0] == stage for cell in cells)]
    values = dict(zip(cells, results.values(), strict=True))
    table = Table("metric", *(_STAGES[stage] for stage in stages), title="Results")
    for metric in sorted({metric for _, metric in cells}):
        row = [values.get((stage, metric)) for stage in stages]
        table.add_row(metric, *("" if value is None else f"{value:.4f}" for value in row))
    console = Console()
    if results:
        console.print(table)
    console.print(f"Run folder:  {folder}", soft_wrap=True, highlight=False)
    if (folder / TENSORBOARD).is_dir():
        console.print(f"TensorBoard: {_tensorboard()} --logdir {folder}", soft_wrap=True, highlight=False)


def _tensorboard() -> str:
    """Name the command as it is found here, also without the environment's activation."""
    return "tensorboard" if which("tensorboard") else os.path.relpath(Path(sys.executable).with_name("tensorboard"))


def _cell(name: str) -> tuple[str, str]:
    """Split `val/auroc` into its column and its row; names of a user's own stay whole."""
    stage, _, metric = name.partition("/")
    return (stage, metric) if stage in _STAGES and metric else ("", name)
