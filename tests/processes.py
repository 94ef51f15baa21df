"""Commands in processes of their own, one for each rank, as torchrun starts them."""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from socket import socket
from typing import Any

import torch

from projection.__main__ import main

_SECONDS = 240

# a server that has imported everything once, and starts processes that have computed nothing yet
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["projection.cli"])


@dataclass(frozen=True)
class Ended:
    """How a process ended, and what it said."""

    status: int | None
    said: str


def on_ranks(folder: Path, ranks: int, function: Callable[..., Any], *args: Any, nodes: int = 1) -> list[Ended]:
    """Run a function of a module once for each rank, and wait for all.

    Args:
        folder: Where they may write what they say.
        ranks: How many processes.
        function: What each calls.
        args: Its arguments.
        nodes: On how many machines the processes believe to be.
    """
    processes = start_ranks(folder, ranks, function, *args, nodes=nodes)
    _wait_for(processes)
    logs = [_log(folder, rank) for rank in range(ranks)]
    return [Ended(process.exitcode, log.read_text()) for process, log in zip(processes, logs, strict=True)]


def start_ranks(
    folder: Path, ranks: int, function: Callable[..., Any], *args: Any, nodes: int = 1
) -> list[ForkServerProcess]:
    """Start a function of a module once for each rank; it writes what it says into `rank-0.txt` and so on."""
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    places = [_place(rank, ranks, nodes, port) for rank in range(ranks)]
    processes = [
        _context.Process(target=_call, args=({**os.environ, **place}, _log(folder, rank), function, args))
        for rank, place in enumerate(places)
    ]
    for process in processes:
        process.start()
    return processes


def _log(folder: Path, rank: int) -> Path:
    return folder / f"rank-{rank}.txt"


def command(*words: str) -> None:
    """Run a command of `python -m projection`, in a process of its own."""
    sys.argv = ["projection"]
    main(list(words))


def _place(rank: int, ranks: int, nodes: int, port: int) -> dict[str, str]:
    local = ranks // nodes
    numbers = {"RANK": rank, "WORLD_SIZE": ranks, "LOCAL_RANK": rank % local, "LOCAL_WORLD_SIZE": local}
    place = {"GROUP_RANK": rank // local, "MASTER_PORT": port, **numbers}
    return {"MASTER_ADDR": "127.0.0.1", "TORCHELASTIC_RUN_ID": "tests"} | {name: str(n) for name, n in place.items()}


def _call(environment: dict[str, str], log: Path, function: Callable[..., Any], args: Sequence[Any]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    torch.set_num_threads(1)
    with ExitStack() as stack:
        file = stack.enter_context(log.open("w"))
        stack.enter_context(redirect_stdout(file))
        stack.enter_context(redirect_stderr(file))
        function(*args)


def _wait_for(processes: Sequence[ForkServerProcess]) -> None:
    deadline = time.monotonic() + _SECONDS
    for process in processes:
        process.join(max(0, deadline - time.monotonic()))
    for process in processes:
        if process.is_alive():
            process.kill()
            process.join()
