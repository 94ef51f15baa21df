"""A container of SageMaker, on this machine: its entry point, in a folder shaped like /opt/ml."""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from tests.conftest import ROOT

LONGEST = 240  # seconds


def start(prefix: Path, *before: str | Path, **variables: str) -> subprocess.Popen[str]:
    """Start it as the platform does; `before` is what the command is run by."""
    environment = {**os.environ, "SAGEMAKER_PREFIX": str(prefix), "PYTHON": sys.executable, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*before, ROOT / "launchers" / "sagemaker" / "train.sh", "train"],
        env={**environment, "TRAINING_JOB_NAME": "job-1", **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def train(prefix: Path, **variables: str) -> tuple[int, str]:
    """Run it to its end; give its exit status and what it said."""
    process = start(prefix, **variables)
    said, _ = process.communicate(timeout=LONGEST)
    return process.returncode, said


def last(prefix: Path) -> Path:
    return prefix / "checkpoints" / "checkpoints" / "last.ckpt"


def results(prefix: Path) -> dict[str, float]:
    return json.loads((prefix / "model" / "results.json").read_text())


def state(prefix: Path) -> dict[str, torch.Tensor]:
    """Read the newest checkpoint."""
    return torch.load(last(prefix), weights_only=True)
