import os
from pathlib import Path

import pytest
import torch

from projection.data import residency
from projection.data.residency import available_memory, choose_residency

GB = 10**9
UNLIMITED = "9223372036854771712"  # how version 1 of control groups writes "no limit"


@pytest.mark.parametrize(
    ("size", "device", "expected"),
    [
        (GB // 2, "cpu", "memory"),
        (GB // 2 + 1, "cpu", "disk"),
        (GB // 4, "cuda", "device"),
        (GB // 4 + 1, "cuda", "memory"),
        (GB // 2 + 1, "cuda", "disk"),
    ],
)
def test_automatic_residency_goes_by_size_and_free_memory(
    monkeypatch: pytest.MonkeyPatch, size: int, device: str, expected: str
) -> None:
    monkeypatch.setattr(residency, "available_memory", lambda: GB)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda *_: (GB, 4 * GB))
    assert choose_residency(size, torch.device(device))[0] == expected


def test_the_choice_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(residency, "available_memory", lambda: GB)
    cpu = torch.device("cpu")
    assert choose_residency(4 * 10**8, cpu)[1] == "400 MB of signals fit well in the 1.0 GB of free memory"
    assert choose_residency(2 * GB, cpu)[1] == "2.0 GB of signals are too much for the 1.0 GB of free memory"


@pytest.mark.parametrize(
    ("groups", "limits", "expected"),
    [
        ("", {}, 8 * GB),
        ("0::/\n", {"memory.max": "3000000000"}, 3 * GB),
        ("0::/job\n", {"job/memory.max": "max"}, 8 * GB),
        ("0::/job\n", {"job/memory.max": "9000000000"}, 8 * GB),  # more than there is
        ("0::/job\n", {"job/memory.max": "2000000000", "other/memory.max": "1"}, 2 * GB),
        # Slurm limits the job and its steps; the task itself is in a group without a limit
        (
            "0::/slurm/job/step/task\n",
            {"slurm/job/memory.max": "1000000000", "slurm/job/step/task/memory.max": "max"},
            GB,
        ),
        # within a container, the group's name is that of the machine outside
        ("0::/docker/1f2e\n", {"memory.max": "4000000000"}, 4 * GB),
        ("4:memory:/job\n3:cpu:/\n", {"memory/job/memory.limit_in_bytes": "2000000000"}, 2 * GB),
        ("4:memory:/job\n3:cpu:/\n", {"memory/job/memory.limit_in_bytes": UNLIMITED}, 8 * GB),
        ("4:memory:/a/b\n", {"memory/a/memory.limit_in_bytes": "1000000000"}, GB),
        ("4:memory:/docker/1f2e\n", {"memory/memory.limit_in_bytes": "4000000000"}, 4 * GB),
        ("3:cpu:/job\n", {"memory/job/memory.limit_in_bytes": "1000000000"}, 8 * GB),  # a group of processors only
    ],
)
def test_available_memory_respects_the_limits_of_a_job(
    tmp_path: Path, groups: str, limits: dict[str, str], expected: int
) -> None:
    contents = {
        "proc/meminfo": "MemTotal: 16000000 kB\nMemFree: 1 kB\nMemAvailable:    7812500 kB\n",
        "proc/self/cgroup": groups,
        **{f"sys/fs/cgroup/{name}": f"{limit}\n" for name, limit in limits.items()},
    }
    for name, text in contents.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert available_memory(tmp_path) == expected


def test_without_linux_s_files_all_memory_counts(tmp_path: Path) -> None:
    assert available_memory(tmp_path) == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 10**8 < available_memory() <= available_memory(tmp_path)
