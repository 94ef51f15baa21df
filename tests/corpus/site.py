"""A real local web server that misbehaves on request."""

import hashlib
import random
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

MANIFEST = "SHA256SUMS.txt"
DATABASE = "ptbxl_database.csv"  # the one file that is longer than a chunk, so that a part of it can be kept
RECORD = "records100/00000/00001_lr.dat"
NOT_CHOSEN = "records500/00000/00001_hr.dat"


class Site:
    """A folder served over HTTP; `faults` names what goes wrong at the next requests for a path."""

    def __init__(self, files: dict[str, bytes]) -> None:
        """Hold the files by their paths."""
        self.files = files
        self.faults: dict[str, Iterator[str]] = {}
        self.ranges = True
        self.requests: list[tuple[str, str]] = []  # path, Range
        self.connections = 0
        self.released = threading.Event()  # ends every "stall"
        self.url = ""

    def fail(self, name: str, faults: Iterable[str]) -> None:
        """Let the next requests for a path fail, one fault each."""
        self.faults[name] = iter(faults)

    def counts(self) -> Counter[str]:
        """Count the requests for each path."""
        return Counter(path for path, _ in self.requests)


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def setup(self) -> None:
            site.connections += 1
            super().setup()

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def answer(self, status: int, body: bytes, sent: int | None = None, **headers: str) -> None:
            self.send_response(status)
            for key, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(key.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body[:sent])
            self.close_connection = sent is not None

        def do_GET(self) -> None:
            name = self.path.removeprefix("/ptb-xl/")
            asked = self.headers.get("Range", "")
            site.requests.append((name, asked))
            fault = next(site.faults.get(name, iter(())), "")
            body = site.files.get(name)
            if fault == "stall":
                site.released.wait(120)
                self.close_connection = True
            elif fault[:3].isdigit():  # a status, and how long to wait
                self.answer(int(fault[:3]), b"", **({"Retry_After": fault[4:]} if fault[4:] else {}))
            elif fault == "html":
                self.answer(200, b"<!DOCTYPE html><title>Log in</title>", Content_Type="text/html")
            elif body is None:
                self.answer(404, b"")
            elif fault == "damage":
                self.answer(200, b"\xff" + body[1:])
            elif fault == "drop":
                self.answer(200, body, sent=len(body) * 3 // 4)
            elif fault == "elsewhere":  # a part, but another one than was asked for
                self.answer(206, body, Content_Range=f"bytes 0-{len(body) - 1}/{len(body)}")
            elif asked and site.ranges:
                start = int(asked.removeprefix("bytes=").removesuffix("-"))
                if start >= len(body):
                    self.answer(416, b"")
                else:
                    where = f"bytes {start}-{len(body) - 1}/{len(body)}"
                    self.answer(206, body[start:], Content_Range=where)
            else:
                self.answer(200, body)

    return Handler


def tree() -> dict[str, bytes]:
    """Make up files in PTB-XL's layout."""
    noise = random.Random(0).randbytes
    files = {
        DATABASE: noise(300_000),
        "scp_statements.csv": noise(500),
        "LICENSE.txt": b"CC BY 4.0\n",
        "RECORDS": b"r\n",
    }
    for number in range(1, 31):
        for rate, tag in ((100, "lr"), (500, "hr")):
            stem = f"records{rate}/{number // 10:02d}000/{number:05d}_{tag}"
            files[f"{stem}.dat"], files[f"{stem}.hea"] = noise(rate * 24), noise(100)
    files[RECORD], files[NOT_CHOSEN] = noise(2400), noise(12000)
    return files


def manifest(files: dict[str, bytes]) -> bytes:
    """List checksums as PhysioNet does."""
    return "".join(f"{hashlib.sha256(body).hexdigest()} {name}\n" for name, body in files.items()).encode()


def content(folder: Path) -> dict[str, bytes]:
    """Read all files of a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def chosen(site: Site, *folders: str) -> dict[str, bytes]:
    """Give the files at the top and those of some folders."""
    return {name: body for name, body in site.files.items() if "/" not in name or name.startswith(folders)}


@contextmanager
def served() -> Iterator[Site]:
    """Serve the tree."""
    files = tree()
    site = Site({**files, MANIFEST: manifest(files)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    site.url = f"http://127.0.0.1:{server.server_port}/ptb-xl/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield site
    finally:
        site.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
