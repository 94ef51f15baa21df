"""The whole table: `make benchmark`, or `python -m tests.benchmarks --help`."""

from pathlib import Path
from tempfile import TemporaryDirectory

from jsonargparse import auto_cli

from projection.corpus.convert import convert
from tests.benchmarks.conversion import conversion_rows
from tests.benchmarks.table import publish


def benchmark(
    source: Path,
    source_500: Path | None,
    path: Path,
    rounds: int = 5,
    output: Path = Path("runs/benchmarks/loading.json"),
) -> None:
    """Measure everything that has a target, side by side on this machine.

    Args:
        source: A corpus at 100 Hz.
        source_500: A corpus at 500 Hz; without one its row is left out.
        path: The HDF5 file of the first; made if it is missing.
        rounds: How often each comparison is repeated; the best of each side counts.
        output: JSON file for the results.
    """
    if not path.exists():
        convert(source, path, source_name="benchmark")
    with TemporaryDirectory(dir=path.parent) as scratch:
        rows = conversion_rows(source, source_500, Path(scratch), rounds)
    # only now: conversion is to start its processes from a small one, as the command does
    from tests.benchmarks.loading import loading_rows
    from tests.benchmarks.metrics import metric_rows
    from tests.benchmarks.training import gpu_rows, training_rows

    rows += loading_rows(path, source, rounds)
    rows += training_rows(path, rounds)
    rows += metric_rows(rounds)
    rows += gpu_rows(path)
    publish(rows, output)


if __name__ == "__main__":
    auto_cli(benchmark, as_positional=False)
