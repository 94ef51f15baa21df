"""How checkpoints reach the disk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH
from typing_extensions import override

from projection.checkpoint import read_checkpoint, write_checkpoint


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
        write_checkpoint(Path(path), checkpoint)

    @override
    def load_checkpoint(
        self, path: _PATH, map_location: Callable[..., Any] | None = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        if "://" in str(path):
            return super().load_checkpoint(path, map_location, weights_only)
        trusted = " If you trust its origin, `--weights_only false` loads it all the same."
        return read_checkpoint(Path(path), weights_only is not False, trusted)
