"""Slurm's accounts, as most clusters keep them: slurmdbd before a database."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.engines.daemons import daemon, free_ports, wait_until

_TOOLS = ("slurmdbd", "mariadbd", "mariadb-install-db", "mariadb-admin")
_CONFIGURATION = """\
AuthType=auth/munge
AuthInfo=socket={base}/run/munge.socket
DbdHost=localhost
DbdPort={port}
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database}
StorageUser=root
LogFile={base}/log/slurmdbd.log
PidFile={base}/run/slurmdbd.pid
"""


@contextmanager
def running_accounts(base: Path) -> Iterator[str]:
    """Start them, and end them.

    Args:
        base: The folder of a cluster whose munged runs.

    Yields:
        The lines of slurm.conf by which Slurm keeps accounts there; where they are not installed, that it keeps none.
    """
    if any(shutil.which(tool) is None for tool in _TOOLS):
        yield "AccountingStorageType=accounting_storage/none\n"
        return
    port, database = free_ports(2)
    folder = base / "database"
    folder.mkdir()
    shutil.chown(folder, "mysql", "mysql")
    place = ["--no-defaults", "--user=mysql", f"--datadir={folder}"]
    subprocess.run(["mariadb-install-db", *place, "--skip-test-db"], check=True, capture_output=True)
    reached = [f"--socket={folder}/socket", f"--port={database}"]
    configuration = base / "slurmdbd.conf"
    configuration.write_text(_CONFIGURATION.format(base=base, port=port, database=database))
    configuration.chmod(0o600)
    with daemon("mariadbd", *place, *reached, "--bind-address=127.0.0.1", "--skip-grant-tables", "--skip-log-bin"):
        ping = ["mariadb-admin", "--no-defaults", f"--socket={folder}/socket", "ping"]
        wait_until(lambda: subprocess.run(ping, capture_output=True).returncode == 0)
        log = base / "log" / "slurmdbd.log"
        with daemon("slurmdbd", "-D", SLURM_CONF=str(base / "slurm.conf")):
            wait_until(lambda: log.exists() and " started" in log.read_text())
            kept = {"Type": "accounting_storage/slurmdbd", "Port": port, "Pass": base / "run" / "munge.socket"}
            yield "".join(f"AccountingStorage{name}={value}\n" for name, value in kept.items())
