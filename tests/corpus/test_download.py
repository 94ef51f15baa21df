"""The downloader against a real local web server that misbehaves on request."""

import os
import resource
import signal
import subprocess
import sys
import time
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
from jsonargparse import auto_cli

from projection.corpus import mirror as module
from projection.corpus.download import MANIFEST, download
from projection.errors import ProjectionError
from tests.corpus.site import DATABASE, RECORD, Site, chosen, content, manifest


@pytest.fixture(autouse=True)
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FIRST_WAIT", 0.01)


@pytest.mark.thorough
def test_both_rates_equal_the_source_over_few_connections(
    site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "made" / "on the way"
    download(output, sampling_rates=[100, 500], base_url=site.url.rstrip("/"), workers=4)
    assert content(output) == site.files
    assert set(site.counts().values()) == {1}
    assert site.connections <= 5  # one for each worker and one for the list of checksums
    _, how = capsys.readouterr().out.splitlines()
    assert f"--source '{output}' --output data/ptbxl_100hz.h5 --sampling_rate 100" in how


def test_only_the_chosen_rate_is_fetched(site: Site, tmp_path: Path) -> None:
    download(tmp_path, base_url=site.url)
    assert content(tmp_path) == chosen(site, "records100")
    download(tmp_path, sampling_rates=500, base_url=site.url)
    assert content(tmp_path) == site.files


@pytest.mark.thorough
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
    assert content(tmp_path) == chosen(site, "records100")


@pytest.mark.thorough
def test_dropped_and_silent_connections_are_tried_again_within_a_run(site: Site, tmp_path: Path) -> None:
    for name in (MANIFEST, DATABASE, RECORD):
        site.fail(name, ["drop", "stall"])
    download(tmp_path, base_url=site.url, timeout=0.3)
    assert content(tmp_path) == chosen(site, "records100")
    assert site.counts()[RECORD] == 3
    assert {asked for path, asked in site.requests if path == MANIFEST} == {""}


def test_a_partial_file_that_leads_nowhere_is_dropped(site: Site, tmp_path: Path) -> None:
    (tmp_path / f"{DATABASE}.part").write_bytes(b"x" * 1000)  # wrong bytes
    (tmp_path / "RECORDS.part").write_bytes(b"x" * 1000)  # longer than the file: 416
    (tmp_path / "LICENSE.txt.part").write_bytes(site.files["LICENSE.txt"])  # whole, only not renamed yet
    download(tmp_path, base_url=site.url)
    assert content(tmp_path) == chosen(site, "records100")
    assert "LICENSE.txt" not in site.counts()


def test_damage_on_the_way_is_mended(site: Site, tmp_path: Path) -> None:
    site.fail(RECORD, ["damage", "html"])
    download(tmp_path, base_url=site.url)
    assert content(tmp_path) == chosen(site, "records100")
    assert site.requests.count((RECORD, "")) == 3  # each time from scratch


def test_lasting_failures_are_reported_together(site: Site, tmp_path: Path) -> None:
    site.fail(RECORD, repeat("damage"))
    site.fail("LICENSE.txt", repeat("403"))
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
    assert len(content(tmp_path)) == 62  # 61 files that arrived and the list


def test_a_damaged_file_on_disk_is_fetched_again(site: Site, tmp_path: Path) -> None:
    download(tmp_path, base_url=site.url)
    (tmp_path / RECORD).write_bytes(b"\0" * 2400)
    site.requests.clear()
    download(tmp_path, base_url=site.url)
    assert site.counts() == {MANIFEST: 1, RECORD: 1}
    assert (tmp_path / RECORD).read_bytes() == site.files[RECORD]


@pytest.mark.thorough
def test_each_file_is_tried_six_times_by_default(site: Site, tmp_path: Path) -> None:
    site.fail(RECORD, ["500"] * 5)
    site.fail("LICENSE.txt", repeat("500"))
    with pytest.raises(ProjectionError, match=r"1 of 64 (.|\n)*1 x the server answered 500 .*: LICENSE\.txt"):
        download(tmp_path, base_url=site.url)
    assert (site.counts()[RECORD], site.counts()["LICENSE.txt"]) == (6, 6)


@pytest.mark.parametrize("before", [True, False])
def test_a_server_that_dies_midway_or_before_anything_came_is_given_up(
    site: Site, tmp_path: Path, before: bool
) -> None:
    for name in set(site.files) - {MANIFEST}:
        if before or "/" in name:
            site.fail(name, repeat("drop"))
    with pytest.raises(ProjectionError, match=r"(?s)^20 of 64 .*Stopped early: 20 files failed one after another"):
        # one connection keeps to the order of the list, so that the number is exact
        download(tmp_path, base_url=site.url, retries=0, workers=1)


@pytest.mark.thorough
def test_a_server_that_answers_now_and_then_is_not_given_up(site: Site, tmp_path: Path) -> None:
    names = [name for name in site.files if name.startswith("records100")]
    for number, name in enumerate(names):
        if number % 20 != 19:
            site.fail(name, ["404"])
    with pytest.raises(ProjectionError) as caught:
        download(tmp_path, base_url=site.url, retries=0, workers=1)
    assert str(caught.value).startswith("57 of 64 files could not be fetched")
    assert "Stopped early" not in str(caught.value)
    assert set(site.counts()) == {MANIFEST, *chosen(site, "records100")}


@pytest.mark.parametrize("name", ["../evil", "records100/../../evil", "/etc/evil", "records100\\..\\evil", "C:evil"])
def test_paths_that_leave_the_folder_are_refused(site: Site, tmp_path: Path, name: str) -> None:
    site.files[MANIFEST] += manifest({name: b"evil"})
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
    site.files[MANIFEST] = manifest({"scp_statements.csv": b""})
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
    assert content(tmp_path / "full") == chosen(site, "records100")


def test_ctrl_c_ends_at_once_even_if_the_server_is_silent(site: Site, tmp_path: Path) -> None:
    site.fail(RECORD, ["stall"])
    call = f"from pathlib import Path; m.download(Path({str(tmp_path)!r}), base_url={site.url!r})"
    light = "assert not {'requests', 'rich', 'torch'} & set(sys.modules)"
    # where the tests run in the background, children would inherit that Ctrl-C is ignored
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code = f"import sys; {heard}; import projection.corpus.download as m; {light}; {call}"
    process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True, env=os.environ)
    deadline = time.monotonic() + 60
    while site.counts().keys() != set(chosen(site, "records100")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=25)  # the client itself would wait for 30 s
    assert process.returncode != 0
    assert "Run the same command again to continue" in errors
    download(tmp_path, base_url=site.url)
    assert content(tmp_path) == chosen(site, "records100")


@pytest.mark.thorough
@pytest.mark.parametrize("rates", [["500"], ["[500]"], ["[100,500]"], []])
def test_the_command_line_takes_one_rate_or_a_list(site: Site, tmp_path: Path, rates: list[str]) -> None:
    options = ["--output", str(tmp_path), "--base_url", site.url, *[f"--sampling_rates={rate}" for rate in rates]]
    auto_cli(download, as_positional=False, args=options)
    wanted = [f"records{rate}" for rate in (100, 500) if str(rate) in (rates or ["100"])[0]]
    assert content(tmp_path) == chosen(site, *wanted)
