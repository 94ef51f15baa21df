"""The table at the end of a run."""

from collections.abc import Mapping
from pathlib import Path

from projection.run_folder import write_json

_STAGES = {"val": "validation", "test": "test"}


def report(folder: Path, results: Mapping[str, float]) -> None:
    """Save results as `results.json` and print them with where to look next.

    Args:
        folder: The run folder.
        results: Values under the names that were logged, such as `test/auroc`.
    """
    from rich.console import Console
    from rich.table import Table

    write_json(folder / "results.json", dict(sorted(results.items())))
    split = {name: name.partition("/") for name in results}
    stages = [stage for stage in _STAGES if any(parts[0] == stage for parts in split.values())]
    table = Table("metric", *(_STAGES[stage] for stage in stages), title="Results of the evaluated checkpoint")
    for metric in sorted({parts[2] for parts in split.values() if parts[0] in stages}):
        values = [results.get(f"{stage}/{metric}") for stage in stages]
        table.add_row(metric, *("" if value is None else f"{value:.4f}" for value in values))
    console = Console()
    if stages:
        console.print(table)
    console.print(f"Run folder:  {folder}", soft_wrap=True, highlight=False)
    if (folder / "tensorboard").is_dir():
        console.print(f"TensorBoard: tensorboard --logdir {folder}", soft_wrap=True, highlight=False)
