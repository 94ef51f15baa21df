"""What a SageMaker container runs: `python -m launchers.sagemaker.train`, from the folder of the code.

It turns what SageMaker lays into /opt/ml (SAGEMAKER_PREFIX is another place) into the command that every launcher ends
in, hands on signals, and leaves results, or the reason of a failure, where SageMaker looks for them.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import threading
import traceback
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from types import FrameType

from launchers.sagemaker.container import LONGEST_REASON, Place, natural_order
from launchers.sagemaker.hyperparameters import arguments
from projection.errors import ProjectionError
from projection.runs.folder import LAST

# seconds after SIGTERM; SageMaker ends the container after 120
_PATIENCE = 100
_LONGEST_LINE = 500
_OWN = re.compile(r"projection( \w+)?: .*")
_ERROR = re.compile(r"(?!torch\.distributed)([a-zA-Z_]\w*\.)*\w*(Error|Exception|Interrupt)\b.*")
# what torchrun adds when a process has failed
_NOISE = re.compile(r"[EWI]\d{4}\s.*|Traceback .*|=+|All options: .*")
_RANK = re.compile(r"^\[rank\d+\]:\s*")


@dataclass(frozen=True)
class Cluster:
    """The machines of a job, and this one among them.

    Args:
        hosts: Their names, in an order that all of them agree on.
        interface: The network interface by which they reach each other.
        devices: Processes on each: one for each GPU, or one.
    """

    hosts: tuple[str, ...]
    current: str
    interface: str | None
    devices: int

    @property
    def rank(self) -> int:
        """The position of this machine."""
        return self.hosts.index(self.current)

    @property
    def processes(self) -> int:
        """The number of processes on all machines."""
        return len(self.hosts) * self.devices


def find_cluster(place: Place) -> Cluster:
    """Read which machines take part."""
    resources = place.read("resourceconfig")
    current = resources.get("current_host", "algo-1")
    hosts = tuple(sorted(resources.get("hosts", [current]), key=natural_order))
    if current not in hosts:
        raise ProjectionError(f"resourceconfig.json names {current} as this host, which is none of {', '.join(hosts)}")
    return Cluster(hosts, current, resources.get("network_interface_name"), max(1, count_gpus()))


def count_gpus() -> int:
    """Count the GPUs of this machine; 0 where there is no NVIDIA driver."""
    try:
        listing = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True)
    except OSError:
        return 0
    return sum(line.startswith("GPU ") for line in listing.stdout.splitlines())


def trainer_command(place: Place, cluster: Cluster) -> list[str]:
    """Write the command of this machine; with several processes it goes through torchrun."""
    given = arguments(place.read("hyperparameters"))
    files = [str(path) for path in place.data_files()]
    words = ["fit", *(word for path in place.configs() for word in ("--config", str(path))), *given]
    if files:
        words.append(f"--data.path={files[0] if len(files) == 1 else json.dumps(files)}")
    words += ["--trainer.enable_progress_bar", "false"]
    words += ["--trainer.num_nodes", str(len(cluster.hosts)), "--trainer.devices", str(cluster.devices)]
    words += ["--trainer.default_root_dir", str(place.run_folder)]
    begun = (place.run_folder / LAST).exists()
    if begun or not any(word.startswith("--ckpt_path=") for word in given):
        words += ["--ckpt_path", "last"]
    if cluster.processes == 1:
        return [sys.executable, "-m", "projection", *words]
    torchrun = ["--nnodes", str(len(cluster.hosts)), "--node-rank", str(cluster.rank)]
    torchrun += ["--nproc-per-node", str(cluster.devices), "--master-addr", cluster.hosts[0]]
    torchrun += ["--master-port", os.environ.get("MASTER_PORT", "29500")]
    return [sys.executable, "-m", "torch.distributed.run", *torchrun, "-m", "projection", *words]


def trainer_environment(cluster: Cluster) -> dict[str, str]:
    """Write the environment of the command: this process's own, and what is missing in it."""
    # the first job of a run names it, so that one that resumes it goes on in its curves
    job = os.environ.get("PROJECTION_RUN_ID") or os.environ.get("TRAINING_JOB_NAME", "rehearsal")
    defaults = {"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // cluster.devices)), "PYTHONUNBUFFERED": "1"}
    defaults |= {"WANDB_NAME": job, "WANDB_RUN_ID": job}
    if not os.environ.get("WANDB_API_KEY"):
        defaults["WANDB_MODE"] = "offline"  # it would ask for a key
    if cluster.interface:
        defaults |= {"NCCL_SOCKET_IFNAME": cluster.interface, "GLOO_SOCKET_IFNAME": cluster.interface}
    return defaults | dict(os.environ)


class Training:
    """A training under way.

    Args:
        through_torchrun: Whether the command starts the processes that train, rather than training itself.
    """

    def __init__(
        self, command: list[str], folder: Path, environment: Mapping[str, str], through_torchrun: bool
    ) -> None:
        self.told = False
        self._through_torchrun = through_torchrun
        self._said: deque[str] = deque(maxlen=500)
        self._process = subprocess.Popen(
            command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        signal.signal(signal.SIGTERM, self._tell)

    def wait(self) -> int:
        """Wait for its end; give its exit status, as a shell counts it."""
        status = self._process.wait()
        self._reader.join(timeout=5)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if self.told and status:
            return 128 + signal.SIGTERM
        return 128 - status if status < 0 else status

    def reason(self, status: int) -> str:
        """Say why it failed, in at most 1,024 characters: one line, then the last lines that it said."""
        lines = [line for text in self._said if (line := _RANK.sub("", text).strip())]
        if status == 128 + signal.SIGKILL:
            first = "the training was killed (SIGKILL), as happens when memory is short"
        else:
            first = _telling(lines) or f"exit status {status}"
        rest = "\n".join(lines)
        return f"{first[:_LONGEST_LINE]}\n{rest[-(LONGEST_REASON - _LONGEST_LINE - 2) :]}\n"

    def _read(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            sys.stderr.write(line)
            sys.stderr.flush()
            self._said.append(line)

    def _tell(self, number: int, _: FrameType | None) -> None:
        """Hand a signal on to the processes that train: torchrun would give them 30 seconds only."""
        self.told = True
        own = self._process.pid
        for process in _children(own) if self._through_torchrun else [own]:
            with contextlib.suppress(ProcessLookupError):  # it may have ended meanwhile
                os.kill(process, number)
        timer = threading.Timer(_PATIENCE, self._process.kill)
        timer.daemon = True
        timer.start()


def _telling(lines: Sequence[str]) -> str:
    """Find what says most of why a training failed: projection's own message, an exception, or what was said last."""
    own = [position for position, line in enumerate(lines) if _OWN.fullmatch(line)]
    if own:
        return " ".join(takewhile(lambda line: not _NOISE.fullmatch(line), lines[own[-1] :]))
    return next((line for line in reversed(lines) if _ERROR.fullmatch(line)), lines[-1] if lines else "")


def run(place: Place) -> int:
    """Train; give the exit status: 0, that of the training, or 143 if SageMaker told it to end."""
    place.failure.unlink(missing_ok=True)
    place.run_folder.mkdir(parents=True, exist_ok=True)
    place.unpack_code()
    cluster = find_cluster(place)
    command = [*place.entry_point(), *trainer_command(place, cluster)]
    training = Training(command, place.project, trainer_environment(cluster), cluster.processes > 1)
    print("+", *command, flush=True)
    status = training.wait()
    if cluster.rank == 0:
        place.deliver()
    if status and not training.told:
        _write_failure(place, training.reason(status))
    return status


def main() -> None:
    """Train, and end with the status that SageMaker expects."""
    place = Place(Path(os.environ.get("SAGEMAKER_PREFIX", "/opt/ml")), Path(__file__).resolve().parents[2])
    # the first process of a container would not hear of it otherwise
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        status = run(place)
    except (ProjectionError, OSError) as error:
        print(f"sagemaker: {error}", file=sys.stderr)
        _write_failure(place, f"sagemaker: {error}\n")
        status = 1
    except Exception as error:
        _write_failure(place, f"{type(error).__name__}: {error}\n\n{traceback.format_exc()[-500:]}")
        raise
    sys.exit(status)


def _write_failure(place: Place, text: str) -> None:
    place.failure.parent.mkdir(parents=True, exist_ok=True)
    place.failure.write_text(text[:LONGEST_REASON])


def _children(process: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{process}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that ended meanwhile
            found += map(int, task.read_text().split())
    return found


if __name__ == "__main__":
    main()
