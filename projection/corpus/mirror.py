"""One file at a time from a web folder: retried, resumed, and checked."""

import hashlib
import threading
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import quote

from projection import __version__

if TYPE_CHECKING:  # requests is imported where it is used, so that --help stays fast
    import requests

_PASSING = {408, 416, 425, 429, 500, 502, 503, 504}  # HTTP statuses after which another try may go right
_FIRST_WAIT, _LONGEST_WAIT = 0.5, 60.0  # seconds between tries
_CHUNK = 1 << 16


class FetchError(Exception):
    """One try went wrong; another may go right if `passing`, after the `wait` in s that the server asks for, if any."""

    def __init__(self, why: str, passing: bool = True, wait: float | None = None) -> None:
        super().__init__(why)
        self.passing, self.wait = passing, wait


class Mirror:
    """A web folder and how patiently to read it (see `download`); each thread keeps one connection alive."""

    def __init__(self, base_url: str, retries: int, timeout: float) -> None:
        self.base_url, self.retries, self.timeout = base_url.rstrip("/") + "/", retries, timeout
        self.stop = threading.Event()
        self._local = threading.local()

    def fetch(self, name: str, output: Path, sha256: str = "") -> Path:
        """Fetch the file `name` below the web folder, whole, as `output/name.part`, continuing an interrupted run.

        Args:
            sha256: Its checksum; without one it is fetched from the first byte.

        Raises:
            FetchError: What went wrong in the last try.
        """
        part = output / f"{name}.part"
        part.parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(self.retries + 1):
            try:
                if not sha256:  # nothing would notice two versions glued together
                    part.unlink(missing_ok=True)
                if not is_whole(part, sha256):
                    self._transfer(name, part)
                if not sha256 or is_whole(part, sha256):
                    return part
                part.unlink()
                raise FetchError("its bytes do not match its checksum")
            except FetchError as trouble:
                wait = _FIRST_WAIT * 2**attempt if trouble.wait is None else trouble.wait
                if not trouble.passing or attempt == self.retries or self.stop.wait(min(wait, _LONGEST_WAIT)):
                    raise
        raise AssertionError("unreachable: the last try returns or raises")

    def _transfer(self, name: str, part: Path) -> None:
        import requests

        have = part.stat().st_size if part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        url = self.base_url + quote(name)
        try:
            with self._session().get(url, headers=headers, stream=True, timeout=self.timeout) as response:
                if response.status_code == 416:  # the file ends before what we hold: begin again
                    part.unlink()
                if response.status_code not in (200, 206):
                    raise _refusal(response)
                resumed = response.headers.get("Content-Range", "").startswith(f"bytes {have}-")
                with part.open("ab" if resumed else "wb") as file:
                    for chunk in response.iter_content(_CHUNK):
                        if self.stop.is_set():
                            raise FetchError("interrupted", passing=False)
                        file.write(chunk)
        except requests.RequestException as error:
            # requests derives its malformed-address errors from ValueError: those stay wrong however often one tries
            raise FetchError(_explain(error), passing=not isinstance(error, ValueError)) from error

    def _session(self) -> "requests.Session":
        import requests

        if not hasattr(self._local, "session"):
            session = self._local.session = requests.Session()
            # identity: a Range counts in bytes of the file, not of a compressed copy
            session.headers.update({"User-Agent": f"projection/{__version__}", "Accept-Encoding": "identity"})
        return cast("requests.Session", self._local.session)


def _refusal(response: "requests.Response") -> FetchError:
    wait, value = None, response.headers.get("Retry-After", "").strip()
    if value.isdigit():
        wait = float(value)
    else:
        with suppress(ValueError, TypeError):  # not a date, or one without a time zone
            wait = max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    status = response.status_code
    return FetchError(f"the server answered {status} {response.reason}", status in _PASSING, wait)


def _explain(error: "requests.RequestException") -> str:
    """Say in a few words what requests and urllib3 wrap in several layers."""
    import requests

    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return "the server did not answer in time"
    cause = getattr(error.args[0] if error.args else None, "reason", None)
    if cause is None and isinstance(error, requests.ConnectionError | requests.exceptions.ChunkedEncodingError):
        return "the connection broke off"
    return str(cause or error).split("): ", 1)[-1]


def is_whole(path: Path, sha256: str) -> bool:
    """Tell whether a file is there and has this checksum, in hexadecimal."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == sha256
    except FileNotFoundError:
        return False
