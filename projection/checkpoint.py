"""Checkpoints on the disk: read whole and of plain values alone, written whole, or not at all."""

import pickle
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch

from projection.errors import ProjectionError
from projection.files import completed_or_removed


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
    try:
        content = torch.load(path, map_location="cpu", weights_only=weights_only)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, pickle.UnpicklingError) and is_zipfile(path):
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
