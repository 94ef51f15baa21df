"""One process at a time trains in a run folder."""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_info

from projection.errors import ProjectionError
from projection.runs.folder import LOCK

_BEAT = 10.0  # seconds between two marks of a process that trains
_SILENCE = 35.0  # seconds without one, after which it is dead


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run folder, which is made if it is missing, while it lasts.

    The system's lock ends with the process that holds it, however that ends. It may not reach other machines that share
    a disk, so whoever trains also renews a mark every 10 s, and a mark of another machine is watched for 35 s.

    Raises:
        ProjectionError: If another process trains in it, or it cannot be written.
    """
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise ProjectionError(f"The run folder {folder} cannot be written: {error.strerror}.") from error
    try:
        _lock(descriptor, folder)
        with _marked(descriptor):
            yield
    finally:
        _remove_unused(folder, made)
        os.close(descriptor)


def _remove_unused(folder: Path, made: list[Path]) -> None:
    """Remove the folders that were made, those in which nothing came to be."""
    with suppress(OSError):
        if made and [path.name for path in folder.iterdir()] == [LOCK]:
            (folder / LOCK).unlink()
    for each in made:
        with suppress(OSError):
            each.rmdir()


@contextmanager
def _marked(descriptor: int) -> Iterator[None]:
    over = threading.Event()
    _write(descriptor, 0)
    marking = threading.Thread(target=_keep_marking, args=(descriptor, over), daemon=True)
    marking.start()
    try:
        yield
    finally:
        over.set()
        marking.join()
        os.ftruncate(descriptor, 0)


def _lock(descriptor: int, folder: Path) -> None:
    shared = True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _in_use(folder, _mark(folder)) from None
    except OSError:  # a file system without locks
        shared = False
    mark = _mark(folder)
    if mark and (not shared or mark.get("host") != socket.gethostname()) and _is_renewed(folder, mark):
        raise _in_use(folder, mark)


def _in_use(folder: Path, mark: dict[str, object]) -> ProjectionError:
    return ProjectionError(
        f"{folder} is in use: process {mark.get('pid', 'unknown')} on {mark.get('host', 'an unknown machine')} trains "
        "in it. Wait for its end, or choose another folder with `--trainer.default_root_dir`."
    )


def _is_renewed(folder: Path, mark: dict[str, object]) -> bool:
    rank_zero_info(
        f"Process {mark.get('pid')} on {mark.get('host')} trained in {folder}. Waiting {_SILENCE:g} s, in case it "
        "still does."
    )
    end = time.monotonic() + _SILENCE
    while time.monotonic() < end:
        time.sleep(min(1.0, _SILENCE / 5))
        if (seen := _mark(folder)) != mark:
            return bool(seen)  # nothing: it has just ended
    return False


def _mark(folder: Path) -> dict[str, object]:
    """Read who trains in a folder; nothing if nobody does."""
    text = (folder / LOCK).read_text(errors="replace")
    try:
        found = json.loads(text or "{}")
    except ValueError:  # it is being renewed
        found = {"text": text}
    return found if isinstance(found, dict) else {}


def _keep_marking(descriptor: int, over: threading.Event) -> None:
    for beat in count(1):
        if over.wait(_BEAT):
            break
        with suppress(OSError):  # the disk is full for a while
            _write(descriptor, beat)


def _write(descriptor: int, beat: int) -> None:
    mark = json.dumps({"host": socket.gethostname(), "pid": os.getpid(), "beat": beat}).encode()
    os.pwrite(descriptor, mark, 0)
    os.ftruncate(descriptor, len(mark))
    os.fsync(descriptor)
