"""Checkpoints on the disk: read whole and of plain values alone, written whole, or not at all.

A checkpoint is PyTorch's zip file. Ours ends in a comment, which PyTorch passes over: the SHA-256 of all before it.
"""

import hashlib
import pickle
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch

from projection.errors import ProjectionError
from projection.files import completed_or_removed

_SEAL = b"sha256:"
_COMMENT = len(_SEAL) + 64
_ENDING = 2 + _COMMENT  # bytes; two say how long the comment is


def read_checkpoint(path: Path, weights_only: bool = True, trusted: str = "") -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Args:
        path: The file.
        weights_only: Refuse all but tensors and plain values; without it, a checkpoint can run any code.
        trusted: What to say to those who trust one that is refused.

    Raises:
        ProjectionError: If it is missing, damaged, or holds more.
    """
    if not path.is_file():
        raise ProjectionError(f"There is no checkpoint {path}.")
    if _is_zip(path) and (damage := _damage(path)):
        raise ProjectionError(f"The checkpoint {path} is damaged ({damage}).")
    try:
        content = torch.load(path, map_location="cpu", weights_only=weights_only)
    except Exception as error:  # what is made of damaged bytes may be anything
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, pickle.UnpicklingError) and _is_zip(path):
            raise ProjectionError(
                f"The checkpoint {path} holds more than tensors and plain values, and could run code ({reason})."
                f"{trusted}"
            ) from error
        raise ProjectionError(f"The checkpoint {path} is damaged, or no checkpoint at all ({reason}).") from error
    if not isinstance(content, dict):
        raise ProjectionError(f"The checkpoint {path} is no checkpoint: it holds a {type(content).__name__}.")
    return content


def write_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint that appears whole or not at all."""
    # Amazon SageMaker copies what appears here to S3; its own containers name unfinished files so
    with completed_or_removed(path, ending="sagemaker-ignore") as partial:
        torch.save(content, partial)
        _seal(partial)


def is_whole(path: Path) -> bool:
    """Tell whether a checkpoint is there, and as it was written."""
    return path.is_file() and _is_zip(path) and not _damage(path)


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:  # zipfile's own look raises errors at some damaged ones
        return file.read(4) == b"PK\x03\x04"


def _seal(path: Path) -> None:
    digest = _digest(path, path.stat().st_size - 2)
    with path.open("r+b") as file:
        file.seek(-2, 2)
        file.write(_COMMENT.to_bytes(2, "little") + _SEAL + digest)


def _damage(path: Path) -> str:
    """Say how a zip file differs from what was written; nothing if it does not."""
    with path.open("rb") as file:
        file.seek(-min(_ENDING, path.stat().st_size), 2)
        ending = file.read()
    if ending[2:].startswith(_SEAL):
        expected = _COMMENT.to_bytes(2, "little") + _SEAL + _digest(path, path.stat().st_size - _ENDING)
        return "" if ending == expected else "its SHA-256 is another than when it was written"
    try:
        with ZipFile(path) as file_of_others:
            torn = file_of_others.testzip()
            return f"its part {torn} is torn" if torn else "its end is torn" if file_of_others.comment else ""
    except (BadZipFile, NotImplementedError, RuntimeError, ValueError, EOFError) as error:
        return str(error)


def _digest(path: Path, size: int) -> bytes:
    """Compute the SHA-256 of the first bytes of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while size > 0 and (part := file.read(min(size, 1 << 20))):
            digest.update(part)
            size -= len(part)
    return digest.hexdigest().encode()
