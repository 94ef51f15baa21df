"""How checkpoints reach the disk."""

from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io import TorchCheckpointIO
from lightning.fabric.utilities.types import _PATH


class WholeCheckpointIO(TorchCheckpointIO):
    """Write a checkpoint beside its place and rename it: whoever is killed meanwhile keeps the one before.

    Lightning writes into the folder for temporary files first, and copies from there where that is another disk, as on
    clusters; a copy that is interrupted destroys both.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        """Save a checkpoint.

        Args:
            checkpoint: What to save.
            path: The file; addresses such as s3://... are left to Lightning.
            storage_options: Not supported, as in Lightning.
        """
        if "://" in str(path) or storage_options is not None:
            super().save_checkpoint(checkpoint, path, storage_options)
            return
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        # Amazon SageMaker copies what appears here to S3; its own containers name unfinished files so
        partial = place.with_name(f".{place.name}.sagemaker-ignore")
        try:
            torch.save(checkpoint, partial)
            partial.replace(place)
        finally:
            partial.unlink(missing_ok=True)
