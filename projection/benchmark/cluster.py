"""Training cells on a Slurm cluster, as one job array."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from projection.benchmark.grid import HOME, Cell
from projection.errors import ProjectionError

_SLURM = HOME / "launchers" / "slurm"


def runs_path() -> Path:
    """Find where jobs keep their run folders: RUNS_PATH, of the environment or of site.env."""
    script = 'source "$1/lib.sh" && read_own_site && absolute "${RUNS_PATH:-$home/runs}"'
    found = subprocess.run(["bash", "-euc", script, "-", _SLURM], check=True, capture_output=True, text=True)
    return Path(found.stdout.strip())


def queued(submitting: bool = False) -> set[Path]:
    """List the run folders of jobs that wait or run, which must be left to them; none where there is no Slurm.

    Args:
        submitting: Whether more jobs follow.

    Raises:
        ProjectionError: If more follow, and Slurm does not answer.
    """
    if shutil.which("squeue") is None:
        return set()
    command = ["squeue", "--me", "--noheader", "--array", "--name=projection_train", "--format=%F %K"]
    listed = subprocess.run(command, capture_output=True, text=True)
    if listed.returncode and submitting:
        why = listed.stderr.strip().splitlines()[-1].rpartition("error: ")[2]
        raise ProjectionError(f"Slurm does not tell which cells are queued, so none is submitted: {why}")
    tasks = [line.split() for line in listed.stdout.splitlines()]
    return {folder for job, index in tasks if (folder := _run_folder(job, index))}


def _run_folder(job: str, index: str) -> Path | None:
    # written by submit.sh
    record = HOME / "logs" / f"projection_train_{job}.sh"
    text = record.read_text() if record.is_file() else ""
    found = {
        name: re.search(rf'^declare -g \S+ {name}="(.*)"$', text, re.MULTILINE) for name in ("RUNS_PATH", "RUN_DIRS")
    }
    if not (found["RUNS_PATH"] and found["RUN_DIRS"] and found["RUN_DIRS"][1]):
        return None
    return Path(found["RUNS_PATH"][1]) / found["RUN_DIRS"][1].split(",")[int(index)]


def submit(cells: Sequence[Cell], check: Sequence[str], arguments: Sequence[str]) -> None:
    """Submit cells as one job array; ends this process if they are refused.

    Args:
        cells: Those to train.
        check: The experiments that submit.sh checks: one for each data file, since all were parsed here already.
        arguments: The words of ARGS.
    """
    experiments = list(dict.fromkeys(cell.experiment for cell in cells))
    seeds = sorted({cell.seed for cell in cells})
    # an array has a task for each experiment and seed; only those of the missing cells are asked for
    grid = {(cell.experiment, cell.seed): cell for cell in cells}
    places = [(experiment, seed) for experiment in experiments for seed in seeds]
    folders = ["/".join(grid[place].folder.parts[-4:]) if place in grid else "none" for place in places]
    variables = {
        "EXP": ",".join(experiments),
        "SEEDS": ",".join(map(str, seeds)),
        "ARRAY": ",".join(str(index) for index, place in enumerate(places) if place in grid),
        "RUN_DIRS": ",".join(folders),
        "CHECK": ",".join(check),
    }
    status = subprocess.run([_SLURM / "submit.sh", *arguments], env={**os.environ, **variables}).returncode
    if status:
        sys.exit(status)
