"""How patiently one file is fetched, and how it is continued; nothing here waits."""

import hashlib
import threading
from itertools import repeat
from pathlib import Path

import pytest

from projection.corpus.mirror import FetchError, Mirror
from tests.corpus.site import DATABASE, RECORD, Site


class Patience(threading.Event):
    """Notes how long it was to wait instead of waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.waits: list[float | None] = []

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return self.is_set()


def patient(site: Site, retries: int = 5) -> tuple[Mirror, list[float | None]]:
    mirror = Mirror(site.url, retries, timeout=30.0)
    mirror.stop = patience = Patience()
    return mirror, patience.waits


def sha256(site: Site, name: str) -> str:
    return hashlib.sha256(site.files[name]).hexdigest()


def test_waits_double_from_half_a_second_to_a_minute(site: Site, tmp_path: Path) -> None:
    site.fail(RECORD, repeat("500"))
    mirror, waits = patient(site, retries=9)
    with pytest.raises(FetchError, match="the server answered 500"):
        mirror.fetch(RECORD, tmp_path)
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]
    assert site.counts()[RECORD] == 10


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("3600", 60.0),
        ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0),
        ("Wed, 21 Oct 2315 07:28:00 GMT", 60.0),
        ("soon", 0.5),
        ("-3", 0.5),
        ("", 0.5),
    ],
)
def test_a_busy_server_is_given_the_time_it_asks_for_up_to_a_minute(
    site: Site, tmp_path: Path, asked: str, wait: float
) -> None:
    site.fail(RECORD, [f"503 {asked}".strip()])
    mirror, waits = patient(site)
    assert mirror.fetch(RECORD, tmp_path, sha256(site, RECORD)).read_bytes() == site.files[RECORD]
    assert waits == [wait]


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 400, 401, 403, 404, 410, 451])
def test_what_may_pass_is_tried_again_and_a_refusal_is_not(site: Site, tmp_path: Path, status: int) -> None:
    site.fail(RECORD, [str(status)])
    mirror, _ = patient(site)
    if status in (408, 425, 429) or status >= 500:
        mirror.fetch(RECORD, tmp_path)
        assert site.counts()[RECORD] == 2
    else:
        with pytest.raises(FetchError, match=f"the server answered {status}"):
            mirror.fetch(RECORD, tmp_path)
        assert site.counts()[RECORD] == 1


def test_once_stopped_nothing_is_tried_again(site: Site, tmp_path: Path) -> None:
    site.fail(RECORD, repeat("500"))
    mirror, _ = patient(site)
    mirror.stop.set()
    with pytest.raises(FetchError):
        mirror.fetch(RECORD, tmp_path)
    assert site.counts()[RECORD] == 1


@pytest.mark.parametrize(
    ("held", "ranges", "fault", "requests"),
    [
        ("begin", True, "", ["bytes=70000-"]),  # 206: the rest
        ("begin", False, "", ["bytes=70000-"]),  # 200: all of it, though a part was asked for
        ("begin", True, "elsewhere", ["bytes=70000-"]),  # 206, but from the first byte
        ("wrong", True, "", ["bytes=70000-", ""]),
        ("whole", True, "", []),
        ("longer", True, "", ["bytes=300005-", ""]),  # 416
        ("nothing", True, "", [""]),
    ],
)
def test_what_is_held_is_continued_where_it_is_right(
    site: Site, tmp_path: Path, held: str, ranges: bool, fault: str, requests: list[str]
) -> None:
    body = site.files[DATABASE]
    kept = {"begin": body[:70000], "wrong": b"x" * 70000, "whole": body, "longer": body + b"12345", "nothing": b""}
    part = tmp_path / f"{DATABASE}.part"
    part.write_bytes(kept[held])
    site.ranges = ranges
    site.fail(DATABASE, [fault])
    mirror, _ = patient(site)
    assert mirror.fetch(DATABASE, tmp_path, sha256(site, DATABASE)) == part
    assert part.read_bytes() == body
    assert [asked for _, asked in site.requests] == requests


def test_a_connection_that_breaks_off_is_continued_within_the_run(site: Site, tmp_path: Path) -> None:
    site.fail(DATABASE, ["drop"])
    mirror, waits = patient(site)
    assert mirror.fetch(DATABASE, tmp_path, sha256(site, DATABASE)).read_bytes() == site.files[DATABASE]
    (_, first), (_, second) = site.requests
    assert first == ""
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) < len(site.files[DATABASE])
    assert waits == [0.5]


def test_without_a_checksum_a_file_is_fetched_from_its_first_byte(site: Site, tmp_path: Path) -> None:
    (tmp_path / f"{DATABASE}.part").write_bytes(site.files[DATABASE][:70000])
    site.fail(DATABASE, ["drop"])
    mirror, _ = patient(site)
    assert mirror.fetch(DATABASE, tmp_path).read_bytes() == site.files[DATABASE]
    assert [asked for _, asked in site.requests] == ["", ""]


def test_wrong_bytes_are_thrown_away_and_told_after_the_last_try(site: Site, tmp_path: Path) -> None:
    site.fail(RECORD, repeat("damage"))
    mirror, waits = patient(site, retries=2)
    with pytest.raises(FetchError, match="its bytes do not match its checksum"):
        mirror.fetch(RECORD, tmp_path, sha256(site, RECORD))
    assert waits == [0.5, 1.0]
    assert not (tmp_path / f"{RECORD}.part").exists()
