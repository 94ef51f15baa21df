"""An ordinary account of this machine, as everyone has on a cluster; tests/engines/install.sh makes it."""

import os
import pwd
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NAME = "researcher"


@dataclass(frozen=True)
class Person:
    """Whose account it is.

    Args:
        python: A virtual environment that they can enter, with the packages of the one that runs the tests.
    """

    python: Path

    @property
    def identity(self) -> dict[str, Any]:
        """Say to `subprocess` who runs a command."""
        return {"user": NAME, "group": NAME, "extra_groups": []}

    @property
    def environment(self) -> dict[str, str]:
        """Give what a login sets."""
        return {"HOME": pwd.getpwnam(NAME).pw_dir, "USER": NAME, "LOGNAME": NAME}


def find_person(folder: Path) -> Person | None:
    """Make the account ready.

    Args:
        folder: Where to make their virtual environment.

    Returns:
        None, where there is no such account, this process may not act for it, or it cannot reach the packages.
    """
    try:
        pwd.getpwnam(NAME)
    except KeyError:
        return None
    if os.getuid() != 0:
        return None
    # a Python of one's own home is nobody else's
    subprocess.run(["/usr/bin/python3", "-m", "venv", "--without-pip", folder], check=True, capture_output=True)
    (packages,) = folder.glob("lib/python3*/site-packages")
    (packages / "tests.pth").write_text(sysconfig.get_path("purelib"))
    (folder / ".installed").touch()
    person = Person(folder)
    command = [folder / "bin" / "python", "-c", "import h5py, torch"]
    try:
        done = subprocess.run(command, cwd="/", capture_output=True, **person.identity)
    except PermissionError:
        return None
    return None if done.returncode else person
