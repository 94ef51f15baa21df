"""What is needed to know later how a result came about."""

import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from projection import __version__
from projection.runs.run import read_settings

GIT_COMMIT = "PROJECTION_GIT_COMMIT"  # where the code is a copy without its history
_PACKAGES = ("torch", "lightning", "jsonargparse", "torchmetrics", "numpy", "h5py", "wfdb")


def provenance(data: Mapping[str, Any]) -> dict[str, Any]:
    """Collect command line, versions and git commit beside the facts of the data file."""
    return {
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
        "started": datetime.now().astimezone().isoformat(timespec="seconds"),
        "python": sys.version.split()[0],
        "versions": {"projection": __version__, **{name: version(name) for name in _PACKAGES}},
        "git": _git_commit(),
        "data": dict(data),
    }


def earlier_attempts(run: Path) -> list[dict[str, Any]]:
    """List how a run was begun and continued before, the first attempt first."""
    _, origin = read_settings(run)
    earlier = list(origin.get("attempts") or [])
    return [*earlier, {name: value for name, value in origin.items() if name not in ("attempts", "data")}]


def _git_commit() -> str | None:
    if os.environ.get(GIT_COMMIT):
        return os.environ[GIT_COMMIT]
    folder = Path(__file__).parent
    if "site-packages" in folder.parts:  # a repository around it is another's
        return None
    command = ["git", "-C", str(folder), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
