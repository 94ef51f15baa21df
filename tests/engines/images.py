"""Real image builders: podman and Apptainer, with a base image made from Debian's packages."""

import configparser
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlparse

import pytest

from tests.conftest import ROOT

BASE = "python:3.11-slim"
ROOT_FILE_SYSTEM = ROOT / "build" / "engines" / "rootfs.tar"

# root of a virtual machine may not raise its limits, and there is no systemd
_CONTAINERS = """\
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
_STORAGE = '[storage]\ndriver = "overlay"\ngraphroot = "{base}/graph"\nrunroot = "{base}/run"\n'


def need(*tools: str) -> None:
    """Skip a test where a tool or the base image is missing."""
    missing = [tool for tool in tools if shutil.which(tool) is None]
    if missing or os.getuid() != 0:
        pytest.skip(f"no {' and no '.join(missing) or 'root'} here: tests/engines/install.sh installs what is needed")
    if not ROOT_FILE_SYSTEM.exists():
        pytest.skip(f"no {ROOT_FILE_SYSTEM}: tests/engines/install.sh makes it")


@contextmanager
def podman(base: Path) -> Iterator[dict[str, str]]:
    """Give the environment in which podman keeps its images in a folder of its own, with a base image there.

    Args:
        base: The folder.
    """
    (base / "containers.conf").write_text(_CONTAINERS)
    (base / "storage.conf").write_text(_STORAGE.format(base=base))
    files = {"CONTAINERS_CONF": base / "containers.conf", "CONTAINERS_STORAGE_CONF": base / "storage.conf"}
    environment = {**os.environ, "ENGINE": "podman", **{name: str(file) for name, file in files.items()}}
    try:
        command = ["podman", "import", "--quiet", str(ROOT_FILE_SYSTEM), f"docker.io/library/{BASE}"]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        yield environment
    finally:
        subprocess.run(["podman", "system", "reset", "--force"], env=environment, capture_output=True)


def pip_files() -> list[Path]:
    """List what this machine's pip uses, which a build needs to see: indexes on disk and certificates."""
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    words = [word for line in listing.splitlines() for word in line.split("=", 1)[1].strip("'").split()]
    # an index refers to files beside it
    indexes = {Path(urlparse(word).path).parent for word in words if word.startswith("file://")}
    paths = indexes | {Path(word) for word in words if word.startswith("/")}
    return sorted(path for path in paths if path.exists())


def pip_configuration(folder: Path) -> Path:
    """Write a pip.conf that says what this machine's pip is told, by files and environment.

    Args:
        folder: Where to write it.

    Returns:
        The file.
    """
    command = [sys.executable, "-m", "pip", "config", "list"]
    listing = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    parser = configparser.RawConfigParser()
    parser.add_section("global")
    for line in listing.splitlines():
        name, value = line.split("=", 1)
        parser.set("global", name.split(".")[-1], value.strip("'"))
    with (folder / "pip.conf").open("w") as file:
        parser.write(file)
    return folder / "pip.conf"


def mounts(option: str, folder: Path) -> list[str]:
    """Give the options by which a builder mounts pip's configuration.

    Args:
        option: How the builder calls a mount.
        folder: A folder for files.
    """
    pairs = [(pip_configuration(folder), Path("/etc/pip.conf")), *((path, path) for path in pip_files())]
    return [word for source, target in pairs for word in (option, f"{source}:{target}:ro")]
