"""A real Slurm cluster of two nodes, on this machine alone."""

import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.engines.accounts import running_accounts
from tests.engines.daemons import daemon, free_ports, wait_until

_TOOLS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "setpriv")

# GPUs are device files that lead nowhere: Slurm hands them out, and PyTorch finds none. Numbers of jobs begin at the
# port, so that those of two clusters differ.
_CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
AuthType=auth/munge
AuthInfo=socket={base}/run/munge.socket
CredType=cred/munge
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
FirstJobId={ports[0]}
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool/%n
SlurmctldPidFile={base}/run/slurmctld.pid
SlurmdPidFile={base}/run/slurmd-%n.pid
SlurmctldLogFile={base}/log/slurmctld.log
SlurmdLogFile={base}/log/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
{accounts}SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
JobRequeue=1
KillWait=10
GresTypes=gpu
SlurmdParameters=config_overrides
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} {node}
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} {node}
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
PartitionName=performance Nodes=n[1-2] Default=YES MaxTime=1-12 DefaultTime=00:10:00 GraceTime=15 State=UP
PartitionName=urgent Nodes=n[1-2] PriorityTier=2 PreemptMode=OFF State=UP
"""
_NODE = "CPUs=16 Boards=1 SocketsPerBoard=1 CoresPerSocket=16 ThreadsPerCore=1 RealMemory=40000 Gres=gpu:2"


class Cluster:
    """Slurm's daemons, and how to speak to them.

    Args:
        base: A folder that all nodes see and the munge user may enter.
    """

    def __init__(self, base: Path) -> None:
        self.base = base
        # n1 and n2 are no host names, so ranks would not find the first of them by name
        self.environment = {"SLURM_CONF": str(base / "slurm.conf"), "MASTER_ADDR": "127.0.0.1"}

    def ask(self, *command: str) -> str:
        """Run a Slurm command."""
        environment = {**os.environ, **self.environment}
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    def field(self, job: str, name: str) -> str:
        """Give what Slurm says of a job, such as its JobState."""
        fields = self.ask("scontrol", "--oneliner", "show", "job", job).split()
        return next(field.removeprefix(f"{name}=") for field in fields if field.startswith(f"{name}="))

    @property
    def keeps_accounts(self) -> bool:
        """Whether sacct tells of jobs that have ended."""
        return "slurmdbd" in (self.base / "slurm.conf").read_text()

    def started(self, job: str) -> bool:
        """Tell whether a job has begun; one that was requeued would wait for two minutes, and is started sooner."""
        if self.field(job, "JobState") != "PENDING":
            return True
        # a node refuses a job that it has not quite ended, or ended within the same second
        step = rf"^slurmstepd: \[{self.field(job, 'JobId')}\."
        if subprocess.run(["pgrep", "-f", step], stdout=subprocess.DEVNULL).returncode == 0:
            return False
        time.sleep(1.5)
        for command in (["release", job], ["update", f"jobid={job}", "StartTime=now"]):
            # meanwhile it may have started by itself
            subprocess.run(["scontrol", *command], env={**os.environ, **self.environment}, capture_output=True)
        return False

    def wait(self, job: str, *states: str, seconds: float = 120) -> str:
        """Wait until a job is in one of some states."""
        end = time.monotonic() + seconds
        while not self.started(job) or (state := self.field(job, "JobState")) not in states:
            if time.monotonic() > end:
                raise TimeoutError(self.ask("scontrol", "show", "job", job))
            time.sleep(0.2)
        return state

    def queue(self) -> str:
        """Give the queue."""
        return self.ask("squeue", "--noheader")

    def clear(self) -> None:
        """Bring back lost nodes, cancel what is in the queue, and wait until it is gone."""
        for node in self.ask("sinfo", "--noheader", "--Node", "--states=down", "--format=%N").split():
            self.ask("scontrol", "update", f"NodeName={node}", "State=RESUME")
        for user in set(self.ask("squeue", "--noheader", "--format=%u").split()):
            self.ask("scancel", f"--user={user}")
        wait_until(lambda: not self.queue(), 90)


def _prepare(base: Path) -> None:
    for folder in ("run", "log", "state", "spool/n1", "spool/n2", "munge"):
        (base / folder).mkdir(parents=True)
    base.chmod(0o755)
    for owned in ("munge", "run", "log"):
        shutil.chown(base / owned, "munge", "munge")
    key = base / "munge" / "key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o400)
    shutil.chown(key, "munge", "munge")
    for number in (0, 1):
        os.mknod(base / f"gpu{number}", 0o666 | 0o020000, os.makedev(1, 3))
    (base / "gres.conf").write_text(f"NodeName=n[1-2] Name=gpu File={base}/gpu[0-1]\n")


def _munge(base: Path) -> list[str]:
    files = {"socket": "run/munge.socket", "pid-file": "run/munge.pid", "log-file": "log/munge.log"}
    files |= {"seed-file": "munge/seed", "key-file": "munge/key"}
    options = [f"--{name}={base / file}" for name, file in files.items()]
    return [
        "setpriv",
        "--reuid=munge",
        "--regid=munge",
        "--clear-groups",
        "munged",
        "--foreground",
        "--force",
        *options,
    ]


@contextmanager
def running_cluster() -> Iterator[Cluster]:
    """Start a cluster, and end it.

    Yields:
        The cluster.
    """
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing or os.getuid() != 0:
        pytest.skip(f"no Slurm here: {'missing ' + ', '.join(missing) if missing else 'its daemons need root'}")
    base = Path(tempfile.mkdtemp(prefix="slurm-", dir="/var/tmp"))
    try:
        _prepare(base)
        cluster = Cluster(base)
        with ExitStack() as daemons:
            daemons.enter_context(daemon(*_munge(base)))
            configuration = str(base / "slurm.conf")
            wait_until(lambda: (base / "run" / "munge.socket").exists())
            accounts = daemons.enter_context(running_accounts(base))
            facts = {"host": socket.gethostname(), "base": base, "ports": free_ports(3), "node": _NODE}
            Path(configuration).write_text(_CONFIGURATION.format(**facts, accounts=accounts))
            daemons.enter_context(daemon("slurmctld", "-D", "-f", configuration))
            for node in ("n1", "n2"):
                daemons.enter_context(daemon("slurmd", "-D", "-f", configuration, "-N", node))
            wait_until(lambda: cluster.ask("sinfo", "--noheader", "--format=%T %D").strip() == "idle 2")
            yield cluster
            cluster.clear()  # daemons leave trainings behind when they end
    finally:
        shutil.rmtree(base, ignore_errors=True)
