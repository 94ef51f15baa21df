"""PTB-XL from PhysioNet: parallel, resumable, and every file checked against the publisher's SHA256SUMS.txt.

Bytes arrive in `NAME.part`, which gets its final name only once its checksum is right, so a file under its final
name is complete. There is no marker of what is done: each run hashes what is there and fetches the rest.

Source: Wagner et al., PTB-XL, a large publicly available electrocardiography dataset, version 1.0.3, PhysioNet (2022),
https://doi.org/10.13026/kfzx-aw45.
"""

import re
import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Literal, NamedTuple

from projection.corpus.mirror import FetchError, Mirror, is_whole
from projection.errors import ProjectionError

MANIFEST = "SHA256SUMS.txt"
_TABLES = {"ptbxl_database.csv", "scp_statements.csv"}
_HOPELESS = 20  # files in a row, each tried to the end: the server is gone, and 43,000 more would take hours


class _Entry(NamedTuple):
    sha256: str
    name: str


class _Outcome(NamedTuple):
    name: str
    received: int = 0  # bytes
    failure: str = ""  # empty: the file is whole


def download(
    output: Path,
    sampling_rates: Literal[100, 500] | list[Literal[100, 500]] = 100,
    base_url: str = "https://physionet.org/files/ptb-xl/1.0.3/",
    workers: int = 8,
    retries: int = 5,
    timeout: float = 30.0,
) -> None:
    """Download PTB-XL from PhysioNet; run it again to continue.

    Args:
        output: Folder to fill, in the official layout; made if missing. PTB-XL needs about 0.6 GB at 100 Hz and
            2.7 GB at 500 Hz.
        sampling_rates: Which signals to fetch, in Hz: 100, 500 or [100, 500].
        base_url: Web address of the folder that holds SHA256SUMS.txt.
        workers: Connections kept open at once, at least 1.
        retries: Further tries for each file after the first, at least 0; waits double from 0.5 s to at most 60 s.
        timeout: Seconds without an answer after which a connection counts as dropped, above 0.

    Raises:
        ProjectionError: Also when files are missing at the end; it says how many, why and what to do.
    """
    rates = [sampling_rates] if isinstance(sampling_rates, int) else sorted(set(sampling_rates))
    if not rates or not {100, 500}.issuperset(rates):
        raise ProjectionError(f"sampling_rates is {sampling_rates}, but PTB-XL comes at 100, 500 or [100, 500] Hz.")
    if not base_url.startswith(("https://", "http://")):
        raise ProjectionError(f"base_url is {base_url!r}; it must begin with https:// or http://.")
    if workers < 1 or retries < 0 or timeout <= 0:
        raise ProjectionError(f"{workers=}, {retries=}, {timeout=}: they must be at least 1, at least 0 and above 0.")
    mirror = Mirror(base_url, retries, timeout)
    try:
        entries = _choose(_fetch_manifest(mirror, output), rates, mirror.base_url)
        _fetch_all(mirror, output, entries, workers)
    except OSError as error:
        raise ProjectionError(
            f"Cannot write {error.filename or output}: {error.strerror or error}. Make room or choose another folder "
            "with --output; what is there is kept, and the next run continues."
        ) from error
    except KeyboardInterrupt:
        print("Interrupted. Run the same command again to continue.", file=sys.stderr)
        raise
    print(
        f"PTB-XL is in {output}: {len(entries):,} files, checksums right. They are converted by\n"
        f"    python -m projection convert --source {shlex.quote(str(output))} "
        f"--output data/ptbxl_{rates[0]}hz.h5 --sampling_rate {rates[0]}"
    )


def _fetch_manifest(mirror: Mirror, output: Path) -> list[_Entry]:
    """Fetch the list of checksums afresh: everything else is judged by it."""
    url = mirror.base_url + MANIFEST
    print(f"Reading {url}", file=sys.stderr)
    try:
        part = mirror.fetch(MANIFEST, output)
    except FetchError as trouble:
        raise ProjectionError(
            f"Cannot read {url}: {trouble}. Check the network and --base_url, which must name the folder that holds "
            f"{MANIFEST}, then run again."
        ) from trouble
    entries = _parse_manifest(part.read_text(encoding="utf-8", errors="replace"), url)
    part.replace(output / MANIFEST)
    return entries


def _parse_manifest(text: str, url: str) -> list[_Entry]:
    matches = [re.fullmatch(r"([0-9a-fA-F]{64})\s+\*?(\S.*)", line) for line in text.splitlines() if line.strip()]
    entries = [_Entry(match[1].lower(), match[2].removeprefix("./")) for match in matches if match]
    if not entries or len(entries) != len(matches):
        what = "a web page" if text.lstrip().startswith("<") else "something"
        raise ProjectionError(
            f"{url} answered with {what} that is not a list of checksums. Open it in a browser: a login page, a proxy "
            "or a wrong --base_url may stand in the way."
        )
    for _, name in entries:  # backslash and colon: Windows separators and drives
        if name.startswith("/") or ".." in name.split("/") or re.search(r"[\\:\x00-\x1f]", name):
            raise ProjectionError(f"{url} lists the unsafe path {name!r}, so nothing was fetched. Check --base_url.")
    return entries


def _choose(entries: Sequence[_Entry], rates: Sequence[int], url: str) -> list[_Entry]:
    """Keep the files at the top, which come first, and the records of the chosen rates."""
    folders = {f"records{rate}" for rate in rates}
    top = [entry for entry in entries if "/" not in entry.name and entry.name != MANIFEST]
    records = [entry for entry in entries if entry.name.partition("/")[0] in folders]
    missing = (_TABLES | folders) - {entry.name.partition("/")[0] for entry in top + records}
    if missing:
        raise ProjectionError(
            f"{url}{MANIFEST} does not list {', '.join(sorted(missing))}, so this is not a PTB-XL folder. "
            "Correct --base_url or leave it out for the official one."
        )
    return top + records


def _fetch_all(mirror: Mirror, output: Path, entries: Sequence[_Entry], workers: int) -> None:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    failed: list[_Outcome] = []
    received = in_a_row = 0
    columns = ("Checking and fetching", BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as progress:
        bar, began = progress.add_task("", total=len(entries), note=""), time.monotonic()
        try:
            for outcome in _in_threads(lambda entry: _obtain(mirror, output, entry), entries, workers, mirror.stop):
                failed.extend([outcome] if outcome.failure else [])
                in_a_row = in_a_row + 1 if outcome.failure else 0
                received += outcome.received
                rate = received / (time.monotonic() - began)
                progress.update(bar, advance=1, note=f"{received / 1e6:,.1f} MB, {rate / 1e6:.1f} MB/s")
                if in_a_row == _HOPELESS:
                    break
        finally:
            mirror.stop.set()
    if failed:
        raise ProjectionError(_report(failed, len(entries), mirror.base_url, output, in_a_row == _HOPELESS))


def _obtain(mirror: Mirror, output: Path, entry: _Entry) -> _Outcome:
    path = output / entry.name
    if is_whole(path, entry.sha256):
        return _Outcome(entry.name)
    try:
        part = mirror.fetch(entry.name, output, entry.sha256)
    except FetchError as trouble:
        return _Outcome(entry.name, failure=str(trouble))
    part.replace(path)  # not synced to disk: the next run hashes it anyway
    return _Outcome(entry.name, path.stat().st_size)


def _in_threads(
    work: Callable[[_Entry], _Outcome], entries: Sequence[_Entry], workers: int, stop: threading.Event
) -> Iterator[_Outcome]:
    """Yield outcomes as they come, until all are in or `stop` is set; raise here what went wrong there.

    The threads are daemons, unlike those of concurrent.futures: one that waits for a silent server does not hold up
    the end of the process after Ctrl-C.
    """
    todo: SimpleQueue[_Entry] = SimpleQueue()
    done: SimpleQueue[_Outcome | BaseException] = SimpleQueue()
    for entry in entries:
        todo.put(entry)

    def loop() -> None:
        with suppress(Empty):
            while not stop.is_set():
                entry = todo.get_nowait()
                try:
                    done.put(work(entry))
                except BaseException as error:
                    done.put(error)

    for _ in range(min(workers, len(entries))):
        threading.Thread(target=loop, daemon=True).start()
    for _ in entries:
        outcome = done.get()
        if isinstance(outcome, BaseException):
            raise outcome
        yield outcome


def _report(failed: Sequence[_Outcome], total: int, url: str, output: Path, hopeless: bool) -> str:
    reasons: dict[str, list[str]] = {}
    for outcome in failed:
        reasons.setdefault(outcome.failure, []).append(outcome.name)
    lines = [f"{len(failed):,} of {total:,} files could not be fetched from {url} into {output}:"]
    for reason, names in sorted(reasons.items(), key=lambda item: -len(item[1])):
        lines.append(f"  {len(names):,} x {reason}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}")
    if hopeless:
        lines.append(f"Stopped early: {_HOPELESS} files failed one after another, so the rest was not tried.")
    lines.append("What arrived is kept and checked. Run the same command again to continue; if the same files fail")
    lines.append("again, the server is at fault: try later, or another copy of PTB-XL with --base_url.")
    return "\n".join(lines)
