"""What a test wants to know of a run folder."""

import json
from pathlib import Path

import torch


def results(folder: Path) -> dict[str, float]:
    """Read the table at the end of a run."""
    found: dict[str, float] = json.loads((folder / "results.json").read_text())
    return found


def flip(file: Path, bit: int) -> None:
    """Flip one bit of a file."""
    content = bytearray(file.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    file.write_bytes(content)


def weights(checkpoint: Path) -> dict[str, torch.Tensor]:
    """Read the weights and buffers that a checkpoint holds."""
    found: dict[str, torch.Tensor] = torch.load(checkpoint, weights_only=True)["state_dict"]
    return found
