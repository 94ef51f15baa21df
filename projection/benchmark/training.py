"""Training cells on this machine, one after another."""

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from projection.benchmark.grid import HOME, Cell, TableError
from projection.runs.folder import is_finished

_TOLD = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)
# of a process that ends itself when told to, and of one that the signal ended
_TOLD_TO_END = {status for number in _TOLD for status in (128 + number, -number)}

_PATIENCE = 10.0  # seconds: a training that was killed takes a while to end where the disk is busy


@contextmanager
def alone(folder: Path) -> Iterator[int]:
    """Hold a table's folder while it lasts, so that no cell is trained twice at a time.

    Yields:
        A file descriptor. Whoever inherits it holds the folder too, until it ends.

    Raises:
        TableError: If another process holds it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        held = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise TableError(f"{folder} cannot be written to ({error.strerror}); set RUNS_PATH") from error
    try:
        _lock(held, time.monotonic() + _PATIENCE)
        yield held
    except BlockingIOError as error:
        raise TableError(f"another `make table` is at work in {folder}; TABLE=another makes one beside it") from error
    finally:
        os.close(held)


def _lock(held: int, until: float) -> None:
    while True:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > until:
                raise
            time.sleep(0.2)


def train(cells: Sequence[Cell], arguments: Sequence[str], held: int) -> dict[Cell, str]:
    """Train cells, and tell which failed and how; what one of them does wrong does not keep the others from it.

    Args:
        cells: The cells.
        arguments: The words of ARGS.
        held: The descriptor that holds the folder; a training that outlives this process holds it on.

    Raises:
        TableError: If a training was told to end.
    """
    failed = {}
    for number, cell in enumerate(cells, 1):
        how = "goes on from its last checkpoint" if cell.begun else "begins"
        print(f"[{number} of {len(cells)}] {cell} {how}, in {cell.folder}", flush=True)
        status = subprocess.run(_command(cell, arguments), cwd=HOME, pass_fds=[held]).returncode
        if status in _TOLD_TO_END:
            raise TableError(f"{cell} was told to end; the same `make table` goes on from there")
        if status:
            failed[cell] = f"ended with status {status}"
        elif not is_finished(cell.folder):
            failed[cell] = "left no results and no predictions"
    return failed


def show(cells: Sequence[Cell], arguments: Sequence[str]) -> None:
    """Print the commands that would train cells."""
    for cell in cells:
        subprocess.run(_command(cell, arguments), cwd=HOME, check=True)


def _command(cell: Cell, arguments: Sequence[str]) -> Sequence[str]:
    own = ["--seed_everything", str(cell.seed), "--trainer.default_root_dir", str(cell.folder), "--ckpt_path", "last"]
    return [str(HOME / "launchers" / "local.sh"), "fit", "--config", cell.experiment, *arguments, *own]
