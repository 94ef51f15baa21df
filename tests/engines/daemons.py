"""Servers that tests start, on this machine alone."""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager


def free_ports(count: int) -> list[int]:
    """Find ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@contextmanager
def daemon(*command: str, **variables: str) -> Iterator[None]:
    """Run a command in the background, and end it."""
    environment = {**os.environ, **variables}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_until(ready: Callable[[], bool], seconds: float = 90) -> None:
    """Wait until something is true; a command that fails means not yet."""
    end = time.monotonic() + seconds
    while True:
        try:
            if ready():
                return
        except subprocess.CalledProcessError:
            pass
        if time.monotonic() > end:
            raise TimeoutError("it took too long")
        time.sleep(0.1)
