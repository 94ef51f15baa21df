"""Trainings on a cluster and without, and what they leave."""

import json
import os
import subprocess
from pathlib import Path

import torch

from tests.launchers.conftest import User

DONE = ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


def runs(user: User) -> Path:
    return Path(user.environment["RUNS_PATH"])


def results(folder: Path) -> dict[str, float]:
    return json.loads((folder / "results.json").read_text())


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]


def locally(user: User, folder: Path, experiment: str, *words: str, gpus: str = "1") -> Path:
    """Train without Slurm."""
    command = ["launchers/local.sh", "fit", "--config", f"configs/{experiment}.yaml", *words]
    environment = {
        "PATH": os.environ["PATH"],
        "OMP_NUM_THREADS": "1",
        "GPUS": gpus,
        "DEVICE": "cpu",
        **user.environment,
    }
    place = ["--trainer.default_root_dir", str(folder)]
    subprocess.run([*command, *place], cwd=user.home, env=environment, check=True, capture_output=True)
    return folder
