"""Training cells on Amazon SageMaker, a job each, and bringing their runs home."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from pathlib import Path

from projection.benchmark.grid import HOME, Cell
from projection.errors import ProjectionError
from projection.files import write_json
from projection.runs.folder import is_finished

_SAGEMAKER = HOME / "launchers" / "sagemaker" / "sagemaker.sh"
_JOBS = "sagemaker.json"


def collect(cells: Iterable[Cell], folder: Path) -> set[Path]:
    """Bring home the runs of jobs that have completed.

    Args:
        folder: The table's folder, where the jobs of its cells are written down.

    Returns:
        The run folders of jobs that have not ended.

    Raises:
        ProjectionError: If AWS does not answer, or a run cannot be brought home.
    """
    jobs = _read(folder)
    waiting = {str(cell): cell for cell in cells if str(cell) in jobs and not is_finished(cell.folder)}
    if not waiting:
        return set()
    listed = _ask("status", ALL="1")
    states = {words[-1]: words[-2] for line in listed.splitlines() if len(words := line.split()) > 3}
    busy = set()
    for name, cell in waiting.items():
        state = states.get(jobs[name], "unknown")
        if state == "Completed" and os.environ.get("DRY_RUN") == "1":
            busy.add(cell.folder)
        elif state == "Completed":
            print(f"{cell}: {jobs[name]} is brought home.", flush=True)
            _ask("fetch", JOB=jobs[name], FOLDER=str(cell.folder))
        elif state in ("InProgress", "Stopping"):
            busy.add(cell.folder)
        else:
            print(f"{cell}: {jobs[name]} is {state}, and a new job takes its place.", flush=True)
    return busy


def submit(cells: Sequence[Cell], arguments: Sequence[str], folder: Path) -> None:
    """Submit a job for each cell, and write down which; ends this process if they are refused.

    Args:
        cells: Those to train.
        arguments: The words of ARGS.
        folder: The table's folder.
    """
    for experiments, seeds in _grids(cells):
        lists = {"EXP": ",".join(experiments), "SEEDS": ",".join(map(str, seeds)), "JOB_NAME": ""}
        command = [str(_SAGEMAKER), "submit", *arguments]
        done = subprocess.run(command, env={**os.environ, **lists}, stdout=subprocess.PIPE, text=True)
        print(done.stdout, end="", flush=True)
        named = {(cell.experiment, cell.seed): str(cell) for cell in cells}
        order = [named[experiment, seed] for experiment in experiments for seed in seeds]
        submitted = re.findall(r"^Submitted (\S+):", done.stdout, re.MULTILINE)
        if submitted:  # also of a submission that broke off, or its jobs would be submitted again
            write_json(folder / _JOBS, _read(folder) | dict(zip(order, submitted, strict=False)))
        if done.returncode:
            sys.exit(done.returncode)


def _grids(cells: Sequence[Cell]) -> list[tuple[list[str], tuple[int, ...]]]:
    """Put experiments of which the same seeds are missing together: a call submits every seed of each."""
    missing: dict[str, tuple[int, ...]] = {}
    for cell in cells:
        missing[cell.experiment] = (*missing.get(cell.experiment, ()), cell.seed)
    ordered = sorted(missing, key=lambda experiment: missing[experiment])
    return [(list(group), seeds) for seeds, group in groupby(ordered, key=lambda experiment: missing[experiment])]


def _read(folder: Path) -> dict[str, str]:
    file = folder / _JOBS
    found: dict[str, str] = json.loads(file.read_text()) if file.is_file() else {}
    return found


def _ask(command: str, **variables: str) -> str:
    environment = {**os.environ, **variables}
    done = subprocess.run([_SAGEMAKER, command], env=environment, capture_output=True, text=True)
    if done.returncode:
        raise ProjectionError(done.stderr.strip().removeprefix("sagemaker: "))
    return done.stdout
