"""Real image builders: podman and Apptainer, with a base image made from Debian's packages."""

import configparser
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlparse

import pytest

from tests.conftest import ROOT
from tests.engines.daemons import daemon, free_ports
from tests.engines.people import NAME

BASE = "python:3.11-slim"
_BUILD = ["--isolation=chroot", "--network=host", "--pull=never"]
ENGINES = ROOT / "build" / "engines"
ROOT_FILE_SYSTEM = ENGINES / "rootfs.tar"

# root of a virtual machine may not raise its limits, and there is no systemd
_CONTAINERS = """\
[containers]
default_ulimits = ["nofile=1024:4096", "nproc=4096:4096"]
[network]
network_backend = "netavark"
[engine]
runtime = "limited"
cgroup_manager = "cgroupfs"
events_logger = "file"
[engine.runtimes]
limited = ["{base}/bin/limited"]
"""
# pods do not heed default_ulimits
_RUNTIME = """\
#!/usr/bin/python3
import json, os, sys

if "--bundle" in sys.argv:
    file = os.path.join(sys.argv[sys.argv.index("--bundle") + 1], "config.json")
    with open(file) as opened:
        bundle = json.load(opened)
    bundle["process"].pop("rlimits", None)
    with open(file, "w") as opened:
        json.dump(bundle, opened)
os.execvp("runc", ["runc", *sys.argv[1:]])
"""
_REGISTRIES = '[[registry]]\nlocation = "{address}"\ninsecure = true\n'
_REGISTRY = """\
version: 0.1
storage: {{filesystem: {{rootdirectory: {base}/registry}}}}
http: {{addr: "{address}"}}
"""
# the images live for minutes only
_MKSQUASHFS = """\
#!/bin/bash
words=("${@/#gzip/zstd}")
if [[ " $* " == *" gzip "* ]]; then words+=(-Xcompression-level 1); fi
exec /usr/bin/mksquashfs "${words[@]}"
"""
_STORAGE = '[storage]\ndriver = "overlay"\ngraphroot = "{base}/graph"\nrunroot = "{base}/run"\n'


def need(*tools: str) -> str:
    """Skip a test where a tool or the base image is missing.

    Args:
        tools: Their names.

    Returns:
        The search path on which they are.
    """
    path = f"{ENGINES / 'bin'}:{os.environ['PATH']}"
    missing = [tool for tool in tools if shutil.which(tool, path=path) is None]
    if missing or os.getuid() != 0:
        pytest.skip(f"no {' and no '.join(missing) or 'root'} here: tests/engines/install.sh installs what is needed")
    if not ROOT_FILE_SYSTEM.exists():
        pytest.skip(f"no {ROOT_FILE_SYSTEM}: tests/engines/install.sh makes it")
    return path


@contextmanager
def engines(base: Path) -> Iterator[tuple[dict[str, str], str]]:
    """Start a registry, and give podman and Apptainer a store of their own, with a base image in podman's.

    Args:
        base: A folder for all of it.

    Yields:
        The environment to run them in, and the address of the registry.
    """
    path = need("podman", "apptainer", "docker-registry")
    address = f"127.0.0.1:{free_ports(1)[0]}"
    texts = {"containers": _CONTAINERS, "storage": _STORAGE, "registries": _REGISTRIES, "registry": _REGISTRY}
    for name, text in texts.items():
        (base / f"{name}.conf").write_text(text.format(base=base, address=address))
    tools = base / "bin"
    tools.mkdir()
    for name, text in {"mksquashfs": _MKSQUASHFS, "limited": _RUNTIME}.items():
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{tools}:{path}", "ENGINE": "podman"}
    environment["APPTAINER_CACHEDIR"] = str(base / "cache")
    for name, variable in (("containers", ""), ("storage", "_STORAGE"), ("registries", "_REGISTRIES")):
        environment[f"CONTAINERS{variable}_CONF"] = str(base / f"{name}.conf")
    # the registry here speaks plain HTTP
    environment |= {"APPTAINER_NOHTTPS": "1", "SINGULARITY_NOHTTPS": "1"}
    try:
        with daemon("docker-registry", "serve", str(base / "registry.conf")):
            command = ["podman", "import", "--quiet", str(ROOT_FILE_SYSTEM), f"docker.io/library/{BASE}"]
            subprocess.run(command, env=environment, check=True, capture_output=True)
            yield environment, address
    finally:
        subprocess.run(["podman", "system", "reset", "--force"], env=environment, capture_output=True)
        # podman mounts its store over itself, and does not always undo it
        subprocess.run(["umount", "--lazy", base / "graph" / "overlay"], capture_output=True)


def own_store(folder: Path) -> dict[str, str]:
    """Configure a store of images for someone who is not root.

    Args:
        folder: Where to keep it.

    Returns:
        The environment that names it.
    """
    (folder / "storage.conf").write_text(_STORAGE.format(base=folder))
    (folder / "session").mkdir()
    shutil.chown(folder / "session", NAME, NAME)
    return {"CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"), "XDG_RUNTIME_DIR": str(folder / "session")}


def make_places(folder: Path) -> None:
    """Make in a root file system what pip's configuration will be mounted on."""
    for target in [Path("/etc/pip.conf"), *pip_files()]:
        place = folder / str(target).lstrip("/")
        if target.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()


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


@dataclass(frozen=True)
class Builder:
    """Someone who builds images of their checkout.

    Args:
        home: The checkout.
        environment: Where podman and Apptainer keep things.
        address: The registry.
        base: A folder on a large disk.
    """

    home: Path
    environment: dict[str, str]
    address: str
    base: Path

    def run(self, *command: str | Path, **variables: str | Path) -> str:
        """Run a command in the checkout; give all that it says."""
        environment = {**self.environment, **{name: str(value) for name, value in variables.items()}}
        done = subprocess.run(
            command, cwd=self.home, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        assert done.returncode == 0, done.stdout
        return done.stdout

    def options(self) -> list[str]:
        """Give the options that podman needs to build here."""
        return [*_BUILD, *mounts("--volume", self.base)]

    def build(self, *words: str) -> str:
        """Build the image by podman."""
        return self.run("containers/build.sh", "--base", BASE, *words, "--", *self.options())
