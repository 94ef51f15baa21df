"""How checkpoints reach the disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from typing_extensions import override

from projection.checkpoint import read_checkpoint
from projection.errors import ProjectionError
from projection.files import completed_or_removed


class WholeCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint beside its place and rename it: whoever is killed meanwhile keeps the one before.

    Lightning writes into the folder for temporary files first, and copies from there where that is another disk, as on
    clusters; a copy that is interrupted destroys both. Checkpoints are read whole and as plain values, or refused.
    Addresses such as s3://... are left to Lightning.
    """

    @override
    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        if "://" in str(path) or storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        # Amazon SageMaker copies what appears here to S3; its own containers name unfinished files so
        with completed_or_removed(Path(path), ending="sagemaker-ignore") as partial:
            torch.save(checkpoint, partial)

    @override
    def load_checkpoint(
        self, path: _PATH, map_location: Callable[..., Any] | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        if "://" in str(path):
            return super().load_checkpoint(path, map_location, weights_only)
        try:
            return read_checkpoint(Path(path), weights_only=weights_only is not False)
        except ProjectionError as error:
            hint = " If you trust its origin, `--weights_only false` loads it all the same."
            raise ProjectionError(f"{error}{hint}" if "could run code" in str(error) else str(error)) from error
