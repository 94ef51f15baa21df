"""The downloader against a real local web server that misbehaves on request."""

import hashlib
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from jsonargparse import auto_cli

from projection.data import mirror as module
from projection.data.download import MANIFEST, download
from projection.errors import ProjectionError

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
            elif fault == "busy":
                self.answer(503, b"", Retry_After="1")
            elif fault == "html":
                self.answer(200, b"<!DOCTYPE html><title>Log in</title>", Content_Type="text/html")
            elif fault == "forbidden":
                self.answer(403, b"")
            elif body is None:
                self.answer(404, b"")
            elif fault == "damage":
                self.answer(200, b"\xff" + body[1:])
            elif fault == "drop":
                self.answer(200, body, sent=len(body) * 3 // 4)
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


def _tree() -> dict[str, bytes]:
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


def _manifest(files: dict[str, bytes]) -> bytes:
    return "".join(f"{hashlib.sha256(body).hexdigest()} {name}\n" for name, body in files.items()).encode()


def _content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _chosen(site: Site, *folders: str) -> dict[str, bytes]:
    return {name: body for name, body in site.files.items() if "/" not in name or name.startswith(folders)}


@pytest.fixture
def site() -> Iterator[Site]:
    """Serve the tree for one test."""
    files = _tree()
    site = Site({**files, MANIFEST: _manifest(files)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(site))
    site.url = f"http://127.0.0.1:{server.server_port}/ptb-xl/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield site
    site.released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.01)


def test_both_rates_equal_the_source_over_few_connections(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "made" / "on the way"
    download(output, sampling_rates=[100, 500], base_url=site.url.rstrip("/"), workers=4)
    assert _content(output) == site.files
    assert set(site.counts().values()) == {1}
    assert site.connections <= 5  # one for each worker and one for the list of checksums
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 1
    assert f"--source '{output}' --output data/ptbxl_100hz.h5 --sampling_rate 100" in printed[0]


def test_only_the_chosen_rate_is_fetched(site: Site, tmp_path: Path) -> None:
    download(tmp_path, base_url=site.url)
    assert _content(tmp_path) == _chosen(site, "records100")
    download(tmp_path, sampling_rates=500, base_url=site.url)
    assert _content(tmp_path) == site.files


def test_a_second_run_fetches_nothing_but_the_list(site: Site, tmp_path: Path) -> None:
    download(tmp_path, base_url=site.url)
    site.requests.clear()
    download(tmp_path, base_url=site.url)
    assert site.counts() == {MANIFEST: 1}


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_file_continues(site: Site, tmp_path: Path, ranges: bool) -> None:
    site.fail(DATABASE, ["drop"])
    with pytest.raises(ProjectionError, match=r"(?s)1 x the connection broke off: ptbxl_database.csv.*Run the same"):
        download(tmp_path, base_url=site.url, retries=0)
    kept = (tmp_path / f"{DATABASE}.part").stat().st_size
    assert 0 < kept < len(site.files[DATABASE])
    assert not (tmp_path / DATABASE).exists()
    site.requests.clear()
    site.ranges = ranges
    download(tmp_path, base_url=site.url)
    assert site.requests[1:] == [(DATABASE, f"bytes={kept}-")]
    assert _content(tmp_path) == _chosen(site, "records100")


def test_dropped_and_silent_connections_are_tried_again_within_a_run(site: Site, tmp_path: Path) -> None:
    for name in (MANIFEST, DATABASE, RECORD):
        site.fail(name, ["drop", "stall"])
    download(tmp_path, base_url=site.url, timeout=0.3)
    assert _content(tmp_path) == _chosen(site, "records100")
    assert site.counts()[RECORD] == 3
    assert {asked for path, asked in site.requests if path == MANIFEST} == {""}


def test_a_partial_file_that_leads_nowhere_is_dropped(site: Site, tmp_path: Path) -> None:
    (tmp_path / f"{DATABASE}.part").write_bytes(b"x" * 1000)  # wrong bytes
    (tmp_path / "RECORDS.part").write_bytes(b"x" * 1000)  # longer than the file: 416
    (tmp_path / "LICENSE.txt.part").write_bytes(site.files["LICENSE.txt"])  # whole, only not renamed yet
    download(tmp_path, base_url=site.url)
    assert _content(tmp_path) == _chosen(site, "records100")
    assert "LICENSE.txt" not in site.counts()


def test_damage_on_the_way_is_mended(site: Site, tmp_path: Path) -> None:
    site.fail(RECORD, ["damage", "html"])
    download(tmp_path, base_url=site.url)
    assert _content(tmp_path) == _chosen(site, "records100")
    assert site.requests.count((RECORD, "")) == 3  # each time from scratch


def test_lasting_failures_are_reported_together(site: Site, tmp_path: Path) -> None:
    site.fail(RECORD, repeat("damage"))
    site.fail("LICENSE.txt", repeat("forbidden"))
    del site.files["records100/00000/00002_lr.hea"]
    with pytest.raises(ProjectionError) as caught:
        download(tmp_path, base_url=site.url, retries=2)
    message = str(caught.value)
    assert message.startswith("3 of 64 files could not be fetched")
    assert f"1 x its bytes do not match its checksum: {RECORD}" in message
    assert "1 x the server answered 404 Not Found: records100/00000/00002_lr.hea" in message
    assert "1 x the server answered 403 Forbidden: LICENSE.txt" in message
    assert "Run the same command again" in message
    assert (site.counts()[RECORD], site.counts()["LICENSE.txt"]) == (3, 1)  # refusals are not asked twice
    assert not list(tmp_path.rglob("*.part"))
    assert not (tmp_path / RECORD).exists()
    assert len(_content(tmp_path)) == 62  # 61 files that arrived and the list


def test_a_damaged_file_on_disk_is_fetched_again(site: Site, tmp_path: Path) -> None:
    download(tmp_path, base_url=site.url)
    (tmp_path / RECORD).write_bytes(b"\0" * 2400)
    site.requests.clear()
    download(tmp_path, base_url=site.url)
    assert site.counts() == {MANIFEST: 1, RECORD: 1}
    assert (tmp_path / RECORD).read_bytes() == site.files[RECORD]


def test_a_busy_server_is_given_the_time_it_asks_for(site: Site, tmp_path: Path) -> None:
    site.fail(RECORD, ["busy"])
    began = time.monotonic()
    download(tmp_path, base_url=site.url)
    assert time.monotonic() - began >= 1
    assert _content(tmp_path) == _chosen(site, "records100")


def test_the_time_a_server_asks_for_is_bounded(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LONGEST_WAIT", 0.01)
    site.fail(RECORD, ["busy"] * 5)
    began = time.monotonic()
    download(tmp_path, base_url=site.url)
    assert time.monotonic() - began < 3  # five times a second if it were not


def test_a_server_that_dies_midway_is_given_up(site: Site, tmp_path: Path) -> None:
    for name in site.files:
        if "/" in name:
            site.fail(name, repeat("drop"))
    with pytest.raises(ProjectionError, match=r"(?s)^2\d of 64 .*Stopped early: 20 files failed one after another"):
        download(tmp_path, base_url=site.url, retries=0)


@pytest.mark.parametrize("name", ["../evil", "records100/../../evil", "/etc/evil", "records100\\..\\evil", "C:evil"])
def test_paths_that_leave_the_folder_are_refused(site: Site, tmp_path: Path, name: str) -> None:
    site.files[MANIFEST] += _manifest({name: b"evil"})
    with pytest.raises(ProjectionError, match="unsafe path"):
        download(tmp_path / "out", base_url=site.url)
    assert site.counts() == {MANIFEST: 1}
    assert [path.name for path in tmp_path.rglob("*")] == ["out", f"{MANIFEST}.part"]


def test_addresses_that_are_no_ptbxl_folder(site: Site, tmp_path: Path) -> None:
    with pytest.raises(ProjectionError, match=f"Cannot read {site.url}nowhere/{MANIFEST}: .*404.*--base_url"):
        download(tmp_path, base_url=f"{site.url}nowhere")
    site.fail(MANIFEST, ["html"])
    with pytest.raises(ProjectionError, match=r"answered with a web page .*login"):
        download(tmp_path, base_url=site.url)
    site.files[MANIFEST] = _manifest({"scp_statements.csv": b""})
    with pytest.raises(ProjectionError, match=r"does not list ptbxl_database\.csv, records100, .*not a PTB-XL folder"):
        download(tmp_path, base_url=site.url)
    assert not (tmp_path / MANIFEST).exists() or "records100" not in (tmp_path / MANIFEST).read_text()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:1/", "Connection refused"),
        ("http://no-such-host.invalid/", "Failed to resolve 'no-such-host.invalid'"),
        ("http://[bad/", "."),
        ("ftp://physionet.org/", "must begin with https://"),
    ],
)
def test_dead_servers_give_readable_errors(tmp_path: Path, url: str, why: str) -> None:
    with pytest.raises(ProjectionError, match=why) as caught:
        download(tmp_path, base_url=url, retries=1)
    assert url in str(caught.value)
    assert "Pool(" not in str(caught.value)


def test_wrong_arguments(tmp_path: Path) -> None:
    wrong: list[dict[str, Any]] = [{"sampling_rates": []}, {"sampling_rates": [250]}]
    wrong += [{"workers": 0}, {"retries": -1}, {"timeout": 0}]
    for arguments in wrong:
        with pytest.raises(ProjectionError, match="|".join(arguments)):
            download(tmp_path, **arguments)


def test_a_folder_that_cannot_be_written(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProjectionError, match=r"Cannot write .*file.*--output"):
        download(tmp_path / "file", base_url=site.url)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))  # the database does not fit, as on a full disk
    try:
        with pytest.raises(ProjectionError, match=r"Cannot write .*: File too large.*the next run continues"):
            download(tmp_path / "full", base_url=site.url)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    download(tmp_path / "full", base_url=site.url)
    assert _content(tmp_path / "full") == _chosen(site, "records100")


def test_ctrl_c_ends_at_once_even_if_the_server_is_silent(site: Site, tmp_path: Path) -> None:
    site.fail(RECORD, ["stall"])
    call = f"from pathlib import Path; m.download(Path({str(tmp_path)!r}), base_url={site.url!r})"
    light = "assert not {'requests', 'rich', 'torch'} & set(sys.modules)"
    # where the tests run in the background, children would inherit that Ctrl-C is ignored
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"import sys; {heard}; import projection.data.download as m; {light}; {call}"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=os.environ)
    deadline = time.monotonic() + 60
    while site.counts().keys() != set(_chosen(site, "records100")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=25)  # the client itself would wait for 30 s
    assert process.returncode != 0
    assert "Run the same command again to continue" in errors
    download(tmp_path, base_url=site.url)
    assert _content(tmp_path) == _chosen(site, "records100")


@pytest.mark.parametrize("rates", [["500"], ["[500]"], ["[100,500]"], []])
def test_the_command_line_takes_one_rate_or_a_list(site: Site, tmp_path: Path, rates: list[str]) -> None:
    options = ["--output", str(tmp_path), "--base_url", site.url, *[f"--sampling_rates={rate}" for rate in rates]]
    auto_cli(download, as_positional=False, args=options)
    wanted = [f"records{rate}" for rate in (100, 500) if str(rate) in (rates or ["100"])[0]]
    assert _content(tmp_path) == _chosen(site, *wanted)
