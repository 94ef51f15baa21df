"""One process at a time trains in a run folder."""

import fcntl
import json
import multiprocessing
import os
import re
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from projection.errors import ProjectionError
from projection.runs import lock
from projection.runs.folder import LOCK
from projection.runs.lock import held
from tests.conftest import Run
from tests.scripted import scripted

ELSEWHERE = {"host": "elsewhere", "pid": 12, "beat": 3}


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_BEAT", 0.05)
    monkeypatch.setattr(lock, "_SILENCE", 0.5)


def _hold(folder: Path, told: "multiprocessing.synchronize.Event") -> None:
    with held(folder):
        told.set()
        signal.pause()


def test_a_second_process_is_refused_until_the_first_ends_however_it_ends(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    told = context.Event()
    first = context.Process(target=_hold, args=(tmp_path, told))
    first.start()
    assert told.wait(60)
    who = f"process {first.pid} on {socket.gethostname()} trains in it"
    with (
        pytest.raises(ProjectionError, match=rf"{re.escape(str(tmp_path))} is in use: {re.escape(who)}"),
        held(tmp_path),
    ):
        pass
    first.kill()
    first.join()
    with held(tmp_path):
        assert json.loads((tmp_path / LOCK).read_text())["pid"] == os.getpid()
    assert (tmp_path / LOCK).read_text() == ""


def test_a_process_of_another_machine_is_known_by_its_marks(tmp_path: Path) -> None:
    """Here, another machine is one whose lock is not seen."""
    (tmp_path / LOCK).write_text(json.dumps(ELSEWHERE))
    over = threading.Event()

    def mark() -> None:
        beat = 3
        while not over.wait(0.1):
            beat += 1
            (tmp_path / LOCK).write_text(json.dumps(ELSEWHERE | {"beat": beat}))

    other = threading.Thread(target=mark)
    other.start()
    try:
        with pytest.raises(ProjectionError, match="process 12 on elsewhere trains in it"), held(tmp_path):
            pass
    finally:
        over.set()
        other.join()
    with held(tmp_path):  # it died
        assert json.loads((tmp_path / LOCK).read_text())["host"] == socket.gethostname()


def test_whoever_ends_while_another_watches_leaves_the_folder(tmp_path: Path) -> None:
    (tmp_path / LOCK).write_text(json.dumps(ELSEWHERE))
    ending = threading.Timer(0.2, (tmp_path / LOCK).write_text, [""])
    ending.start()
    with held(tmp_path):
        pass
    ending.join()


def test_where_a_file_system_has_no_locks_the_marks_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(*_: int) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    with held(tmp_path), pytest.raises(ProjectionError, match=f"process {os.getpid()} on "), held(tmp_path):
        pass


@pytest.mark.parametrize("work", [lambda folder: None, lambda folder: (folder / "config.yaml").touch()])
def test_a_folder_in_which_nothing_came_to_be_is_removed(tmp_path: Path, work: Callable[[Path], None]) -> None:
    folder = tmp_path / "runs" / "1"
    with held(folder):
        work(folder)
    assert folder.parent.exists() == folder.exists() == (folder / "config.yaml").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told = f"The run folder {tmp_path}/file/run cannot be written: Not a directory"
    with pytest.raises(ProjectionError, match=re.escape(told)), held(tmp_path / "file" / "run"):
        pass


@pytest.mark.thorough
def test_fit_holds_its_run_folder_and_touches_no_other(run: Run, corpus_file: Path) -> None:
    options = scripted(corpus_file, "--trainer.max_epochs", "1", "--trainer.default_root_dir", "mine")
    folder = run("fit", *options)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with held(folder), pytest.raises(SystemExit, match="is in use: process"):
        run("fit", *options, "--trainer.max_epochs", "2", "--ckpt_path", "last")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    run("test", *options, "--ckpt_path", str(folder / "checkpoints" / "best.ckpt"))
