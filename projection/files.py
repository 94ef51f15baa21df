"""Files that appear under their name only when they are complete."""

import json
import os
import shutil
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from glob import escape
from pathlib import Path
from typing import Any

from projection.errors import ProjectionError


@contextmanager
def completed_or_removed(output: Path, ending: str = "partial") -> Iterator[Path]:
    """Lend a temporary name that becomes the final one only if all goes well.

    What earlier runs left behind when they were killed is removed first.

    Yields:
        The temporary name, in the same folder; it ends in `ending`.

    Raises:
        ProjectionError: If it cannot be written, for instance because the disk is full.
    """
    partial = output.with_name(f"{_stem(output)}{os.getpid()}.{ending}")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(output, ending)
        yield partial
        _make_durable(partial)
        partial.replace(output)
        _make_durable(output.parent)
    except OSError as error:
        raise ProjectionError(f"{output} could not be written: {error.strerror or error}.") from error
    finally:
        with suppress(OSError):  # the error before it says more
            partial.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file that appears whole or not at all."""
    with completed_or_removed(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")


def check_room(folder: Path, size: int) -> None:
    """Make sure that a file of `size` bytes will fit."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise ProjectionError(
            f"Too little room in {folder}: {size / 1e9:.2f} GB are needed, {free / 1e9:.2f} GB are free."
        )


def reserve(path: Path, start: int, size: int) -> None:
    """Reserve bytes of an existing file on disk, so that nobody else takes the room, and for faster writing."""
    if hasattr(os, "posix_fallocate"):  # not on macOS
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), start, size)


def _stem(output: Path) -> str:
    return f".{output.name}.{socket.gethostname()}."


def _remove_leftovers(output: Path, ending: str) -> None:
    # only those of this machine: whether another's process is still at work cannot be known here
    for path in output.parent.glob(f"{escape(_stem(output))}*.{ending}"):
        owner = path.name.removeprefix(_stem(output)).removesuffix(f".{ending}")
        if owner.isdecimal() and (int(owner) == os.getpid() or not _is_alive(int(owner))):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _make_durable(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        if not path.is_dir():  # some network file systems refuse it for folders
            raise
    finally:
        os.close(descriptor)
