"""The run folder, `runs/<experiment>/<run id>/`: what its files are called, and which folder is meant."""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from projection.errors import ProjectionError
from projection.experiment import RUN_CONFIG, RUNS

CONFIG, PROVENANCE = RUN_CONFIG, "provenance.json"
CHECKPOINTS = "checkpoints"
BEST, LAST = f"{CHECKPOINTS}/best.ckpt", f"{CHECKPOINTS}/last.ckpt"
PREDICTIONS, RESULTS, EVALUATION = "predictions", "results.json", "evaluation.json"
# as base.yaml calls its loggers
METRICS, TENSORBOARD = "metrics", "tensorboard"
LATEST = "latest"
LOCK = ".lock"

RUN_ID = "PROJECTION_RUN_ID"


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


def is_begun(run: Path) -> bool:
    """Tell whether a run has begun and saved a state."""
    return (run / CONFIG).exists() and any((run / CHECKPOINTS).glob("*.ckpt"))


def is_finished(run: Path) -> bool:
    """Tell whether a run came to its end: trained, judged, results and test predictions written."""
    return (run / RESULTS).is_file() and any((run / PREDICTIONS).glob("test.*"))


def run_of(checkpoint: str | None) -> Path | None:
    """Find the run folder that a checkpoint lies in; None if it does not lie in one."""
    folder = Path(checkpoint).resolve().parent if checkpoint else Path()
    return folder.parent if folder.name == CHECKPOINTS else None


def begun_run(configs: Sequence[Path]) -> Path | None:
    """Find the run to go on with, if the first configuration is one's.

    Raises:
        ProjectionError: If it has never saved a state.
    """
    if not configs or configs[0].name != CONFIG:
        return None
    folder = configs[0].resolve().parent
    if not (folder / PROVENANCE).is_file():
        return None
    if not (folder / CHECKPOINTS).is_dir():
        raise ProjectionError(
            f"{folder} has no {LAST} to go on from. Without `--ckpt_path last` its configuration begins a new run."
        )
    return folder


def evaluated_checkpoint(checkpoint: str | None, configs: Sequence[Path]) -> str | None:
    """Resolve `best` and `last` to the checkpoints of the run whose configuration is given; a path stays."""
    if checkpoint not in ("best", "last"):
        return checkpoint
    if configs and configs[0].name != CONFIG:
        raise ProjectionError(
            f"`--ckpt_path {checkpoint}` is of the run whose config.yaml is given, as in `--config RUN/{CONFIG}`; "
            f"{configs[0]} is none. Name the checkpoint's file otherwise."
        )
    folder = configs[0].parent if configs else Path()
    return str(folder / (BEST if checkpoint == "best" else LAST))


def unused(folder: Path, name: str) -> str:
    """Find a name that nothing in a folder has yet: `name`, or `name` with `-2`, `-3` and so on."""
    names = [name, *(f"{name}-{attempt}" for attempt in range(2, 10_000))]
    return next(name for name in names if not (folder / name).exists())


def title(run: Path) -> str:
    """Name a run among all others, such as `benchmark/all+nets/s4/20261125-1200`: its place below `runs`."""
    parts = run.resolve().parts
    return "/".join(parts[len(parts) - parts[::-1].index(RUNS) :] if RUNS in parts[:-1] else parts[-2:])


def link_latest(folder: Path) -> None:
    """Point `latest`, beside a run folder below `runs`, at it."""
    folder = folder.resolve()
    link = folder.parent / LATEST
    if RUNS not in folder.parts or (link.exists() and not link.is_symlink()):
        return
    temporary = folder.parent / f".{LATEST}-{os.getpid()}"
    try:
        temporary.symlink_to(folder.name)
        temporary.replace(link)
    except OSError:  # a file system without links loses only this convenience
        temporary.unlink(missing_ok=True)
