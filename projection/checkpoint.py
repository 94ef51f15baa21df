"""Reading checkpoints: whole, of plain values alone, or not at all."""

import pickle
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch

from projection.errors import ProjectionError


def read_checkpoint(path: Path, weights_only: bool = True) -> dict[str, Any]:
    """Read a checkpoint onto the CPU.

    Args:
        path: The file.
        weights_only: Refuse all but tensors and plain values; without it, a checkpoint can run any code.

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
            ) from error
        raise ProjectionError(f"The checkpoint {path} is damaged, or no checkpoint at all ({reason}).") from error
    if not isinstance(content, dict):
        raise ProjectionError(f"The checkpoint {path} is no checkpoint: it holds a {type(content).__name__}.")
    return content
