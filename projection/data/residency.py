"""Choosing where signals wait for their turn, by their size and by what is free."""

import os
from pathlib import Path
from typing import Literal

import torch

Residency = Literal["auto", "device", "memory", "disk"]


def choose_residency(size: int, device: torch.device) -> tuple[Residency, str]:
    """Choose where a run's signals, `size` bytes, wait for the model on a device, by what is free, and say why."""
    if device.type == "cuda":
        free = torch.cuda.mem_get_info(device)[0]
        # the network and its gradients need most of the device
        if size <= free / 4:
            return "device", f"{_readable(size)} of signals fit well in the {_readable(free)} free on {device}"
    free = available_memory()
    if size <= free / 2:
        return "memory", f"{_readable(size)} of signals fit well in the {_readable(free)} of free memory"
    return "disk", f"{_readable(size)} of signals are too much for the {_readable(free)} of free memory"


def available_memory(root: Path = Path("/")) -> int:
    """Find out how many bytes of memory this process may still use, page cache included.

    That is what the system, whose own files are below `root`, has available, or what a job's or container's limit
    (cgroup) leaves of it.
    """
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    meminfo = root / "proc/meminfo"
    if meminfo.exists():
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        available = 1024 * int(fields["MemAvailable"].split()[0])
    limits = [path.read_text().strip() for path in _limit_files(root) if path.exists()]
    return min([available, *(int(limit) for limit in limits if limit.isdecimal())])


def _limit_files(root: Path) -> list[Path]:
    # for versions 1 and 2 of Linux's control groups; a group is bound by those it is in, and within a container only
    # the outermost can be seen
    known = root / "proc/self/cgroup"
    entries = [line.split(":", 2) for line in known.read_text().splitlines()] if known.exists() else []
    groups = [Path(path.lstrip("/")) for _, controllers, path in entries if controllers in ("", "memory")]
    nested = {Path(), *groups, *(parent for group in groups for parent in group.parents)}
    version_2 = [root / "sys/fs/cgroup" / group / "memory.max" for group in nested]
    return version_2 + [root / "sys/fs/cgroup/memory" / group / "memory.limit_in_bytes" for group in nested]


def _readable(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"
