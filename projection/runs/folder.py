"""Where a run keeps its files: `runs/<experiment>/<run id>/`, and what is recorded there."""

import json
import os
import secrets
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from projection import __version__
from projection.errors import ProjectionError
from projection.files import completed_or_removed

RUN_ID = "PROJECTION_RUN_ID"
GIT_COMMIT = "PROJECTION_GIT_COMMIT"  # where the code is a copy without its history
_PACKAGES = ("torch", "lightning", "jsonargparse", "torchmetrics", "numpy", "h5py", "wfdb")


def run_id() -> str:
    """Name this run, the same on every rank and after a requeue.

    Returns:
        What a launcher set as PROJECTION_RUN_ID, else the id of the Slurm, torchrun or SageMaker job, else the time.
    """
    # Slurm exports the id of an interactive allocation too, in which many runs may follow one another
    interactive = os.environ.get("SLURM_JOB_NAME") in ("bash", "interactive")
    array = "_".join(os.environ.get(name, "") for name in ("SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID")).strip("_")
    elastic = os.environ.get("TORCHELASTIC_RUN_ID", "")
    candidates = (
        os.environ.get(RUN_ID),
        None if interactive else array or os.environ.get("SLURM_JOB_ID"),
        None if elastic == "none" else elastic,
        os.environ.get("TRAINING_JOB_NAME"),
        f"{datetime.now():%Y%m%d-%H%M%S}-{secrets.token_hex(2)}",
    )
    return next(name for name in candidates if name)


@contextmanager
def shared_run_id() -> Iterator[None]:
    """Fix the run's name while it lasts, for this process and those spawned for other ranks."""
    given = os.environ.get(RUN_ID)
    os.environ[RUN_ID] = run_id()
    try:
        yield
    finally:
        if given is None:
            del os.environ[RUN_ID]


def evaluated_run(checkpoint: str | None) -> Path | None:
    """Find the run folder that a checkpoint belongs to.

    Args:
        checkpoint: The path of a checkpoint, or None.

    Returns:
        The run folder, or None if the checkpoint does not lie in one.
    """
    if checkpoint is None:
        return None
    folder = Path(checkpoint).resolve().parent
    return folder.parent if folder.name == "checkpoints" else None


def begun_run(configs: Sequence[Path]) -> Path | None:
    """Find the run to go on with, if the first configuration is one's.

    Args:
        configs: The configuration files, in order.

    Raises:
        ProjectionError: If it has no state to go on from.
    """
    if not configs or configs[0].name != "config.yaml":
        return None
    folder = configs[0].resolve().parent
    if not (folder / "provenance.json").is_file():
        return None
    if not (folder / "checkpoints" / "last.ckpt").is_file():
        raise ProjectionError(
            f"{folder} has no checkpoints/last.ckpt to go on from. Without `--ckpt_path last` its configuration begins "
            "a new run."
        )
    return folder


def evaluated_checkpoint(checkpoint: str | None, configs: Sequence[Path]) -> str | None:
    """Resolve `best` and `last` to the checkpoints of the run whose configuration is given.

    Args:
        checkpoint: What the user gave: a path, `best`, `last` or None.
        configs: The configuration files, in order.

    Returns:
        The path, or None where nothing was given.
    """
    if checkpoint not in ("best", "last"):
        return checkpoint
    folder = configs[0].parent if configs else Path()
    return str(folder / "checkpoints" / f"{checkpoint}.ckpt")


def check_checkpoint(checkpoint: str | None) -> None:
    """Make sure that a checkpoint is there before anything is built.

    Args:
        checkpoint: A path or address, None, or `last` or `hpc`, which Lightning resolves itself.

    Raises:
        ProjectionError: If there is no such file, or it is damaged.
    """
    if checkpoint in (None, "last", "hpc") or "://" in str(checkpoint):
        return
    if not Path(str(checkpoint)).is_file():
        raise ProjectionError(f"There is no checkpoint {checkpoint}, which --ckpt_path names.")
    if not zipfile.is_zipfile(str(checkpoint)):
        raise ProjectionError(f"The checkpoint {checkpoint} is damaged, or no checkpoint at all.")


def is_finished(run: Path) -> bool:
    """Tell whether a run came to its end: trained, judged, and everything written.

    Args:
        run: The run folder.

    Returns:
        Whether its results and test predictions are there.
    """
    return (run / "results.json").is_file() and any((run / "predictions").glob("test.*"))


def unused(folder: Path, name: str) -> str:
    """Find a name that nothing in a folder has yet.

    Args:
        folder: The folder.
        name: The name to begin with.

    Returns:
        The name, or the name with `-2`, `-3` and so on.
    """
    names = [name, *(f"{name}-{attempt}" for attempt in range(2, 10_000))]
    return next(name for name in names if not (folder / name).exists())


def title(run: Path) -> str:
    """Name a run among all others, such as `benchmark/all+nets/s4/20261125-1200`: its place below `runs`.

    Args:
        run: The run folder.
    """
    parts = run.resolve().parts
    return "/".join(parts[len(parts) - parts[::-1].index("runs") :] if "runs" in parts[:-1] else parts[-2:])


def link_latest(folder: Path) -> None:
    """Point `latest`, beside a run folder below `runs`, at it.

    Args:
        folder: The run folder.
    """
    folder = folder.resolve()
    link = folder.parent / "latest"
    if "runs" not in folder.parts or (link.exists() and not link.is_symlink()):
        return
    temporary = folder.parent / f".latest-{os.getpid()}"
    try:
        temporary.symlink_to(folder.name)
        temporary.replace(link)
    except OSError:  # a file system without links loses only this convenience
        temporary.unlink(missing_ok=True)


def provenance(data: Mapping[str, Any]) -> dict[str, Any]:
    """Collect what is needed to know later how a result came about.

    Args:
        data: Facts about the data file.

    Returns:
        The command line, versions, git commit, and the given facts.
    """
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "python": sys.version.split()[0],
        "versions": {"projection": __version__, **{name: version(name) for name in _PACKAGES}},
        "git": _git_commit(),
        "data": dict(data),
    }


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file that appears whole or not at all.

    Args:
        path: The file.
        content: What to write.
    """
    with completed_or_removed(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")


def _git_commit() -> str | None:
    if os.environ.get(GIT_COMMIT):
        return os.environ[GIT_COMMIT]
    folder = Path(__file__).parent
    if "site-packages" in folder.parts:  # a repository around it is another's
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
