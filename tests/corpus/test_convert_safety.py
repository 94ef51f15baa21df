import csv
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb

from projection.corpus import convert as module
from projection.corpus import record_writer
from projection.corpus.convert import convert
from projection.corpus.statements import LEADS
from projection.corpus.store import open_store
from projection.corpus.verify import info, verify
from projection.errors import ProjectionError
from tests.conftest import ROOT
from tests.data.files import assert_equals_raw
from tests.raw import Raw


@pytest.fixture(scope="module")
def long_source(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus whose table lists the same files many times, so that its conversion takes a moment."""
    source = tmp_path_factory.mktemp("long") / "source"
    source.mkdir()
    (source / "records100").symlink_to((corpus / "records100").resolve())
    shutil.copy(corpus / "scp_statements.csv", source)
    with (corpus / "ptbxl_database.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    with (source / "ptbxl_database.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(header)
        for ecg_id in range(1500):
            table.writerow([ecg_id + 1, *rows[ecg_id % len(rows)][1:]])
    return source


@pytest.mark.thorough
def test_killed_at_any_moment_it_leaves_no_file_and_the_next_run_starts_cleanly(
    long_source: Path, tmp_path: Path
) -> None:
    output = tmp_path / "file.h5"
    moments = random.Random(7)
    for _ in range(8):
        child = os.fork()
        if child == 0:
            # a fork has everything imported: what is killed is the conversion itself
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            convert(long_source, output, workers=2)
            os._exit(0)
        time.sleep(moments.uniform(0.0, 0.25))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        if output.exists():  # it had finished before
            verify(output, long_source)
            output.unlink()
        assert len(list(tmp_path.iterdir())) <= 1
    convert(long_source, output)
    assert [path.name for path in tmp_path.iterdir()] == ["file.h5"]
    verify(output, long_source)


@pytest.mark.thorough
def test_processes_end_with_their_killed_parent(long_source: Path, tmp_path: Path) -> None:
    command = ["convert", "--source", str(long_source), "--output", str(tmp_path / "file.h5"), "--workers", "2"]
    parent = subprocess.Popen(
        [sys.executable, "-m", "projection", *command],
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    deadline = time.monotonic() + 60
    while len(_session(parent.pid) - {parent.pid}) < 2:
        assert parent.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.005)
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 60
    while _session(parent.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _session(parent.pid)


def _session(leader: int) -> set[int]:
    members = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = stat.read_text().rpartition(")")[2].split()[:4]
        except OSError:
            continue
        if int(session) == leader and state != "Z":
            members.add(int(stat.parent.name))
    return members


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "none", str(folder)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small disk can be mounted by root only")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_clear_error_and_leaves_nothing(corpus: Path, full_disk: Path) -> None:
    with pytest.raises(ProjectionError, match=r"Too little room in .*disk: 0.00 GB are needed, 0.00 GB are free"):
        convert(corpus, full_disk / "file.h5", workers=2)
    assert list(full_disk.iterdir()) == []


@pytest.mark.parametrize("unnoticed", [("check_room",), ("check_room", "reserve")])
def test_a_disk_that_fills_up_meanwhile_is_a_clear_error_too(
    corpus: Path, full_disk: Path, unnoticed: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in unnoticed:
        monkeypatch.setattr(record_writer, name, lambda *_: None)
    with pytest.raises(ProjectionError, match="No space left on device"):
        convert(corpus, full_disk / "file.h5", workers=2)
    assert list(full_disk.iterdir()) == []


@pytest.mark.thorough
@pytest.mark.parametrize("damaged", [(4, 141), (1, 2, 160), (31, 32, 33, 64)])
def test_damaged_records_can_be_left_out_and_the_others_keep_their_rows(
    corpus: Path,
    raw: Raw,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    damaged: tuple[int, ...],
) -> None:
    monkeypatch.setattr(record_writer, "_CHUNK", 32)
    source, output = tmp_path / "source", tmp_path / "file.h5"
    shutil.copytree(corpus, source)
    for number, ecg_id in enumerate(damaged):
        path = source / f"records100/00000/{ecg_id:05d}_lr.dat"
        if number % 2:
            path.write_bytes(path.read_bytes()[:-2])
        else:
            path.unlink()
    convert(source, output, on_error="skip", workers=1)
    assert f"{160 - len(damaged)} records" in capsys.readouterr().out
    assert_equals_raw(output, raw, [row for row in range(160) if raw.ids[row] not in damaged])
    skipped = open_store(output).skipped()
    assert skipped["ecg_id"].tolist() == list(damaged)
    for number, (ecg_id, reason) in enumerate(zip(damaged, skipped["reason"], strict=True)):
        assert f"{ecg_id:05d}_lr.dat" in reason
        assert ("23998 bytes" if number % 2 else "cannot be read") in reason
    verify(output, source)
    info(output)
    assert f"left out {damaged[-1]}" in capsys.readouterr().out


def test_a_folder_that_changes_meanwhile_is_an_error(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = Path(shutil.copytree(corpus, tmp_path / "source"))
    (source / "records100/00000/00050_lr.dat").unlink()
    written = module.write_records

    def writing(*args: Any) -> Any:
        found = written(*args)
        # gone once it has been read
        (source / "records100/00000/00070_lr.dat").unlink(missing_ok=True)
        return found

    monkeypatch.setattr(module, "write_records", writing)
    with pytest.raises(ProjectionError, match=r"1 of 159 records could not be converted(.|\n)*00070_lr\.dat"):
        convert(source, tmp_path / "out" / "file.h5", on_error="skip", workers=1)
    assert not list((tmp_path / "out").iterdir())


def test_records_that_are_all_damaged_are_an_error_even_if_they_may_be_skipped(corpus: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(corpus, source)
    for path in (source / "records100").rglob("*.dat"):
        path.unlink()
    with pytest.raises(ProjectionError, match="160 of 160 records could not be converted"):
        convert(source, tmp_path / "out" / "file.h5", on_error="skip", workers=1)
    assert not list((tmp_path / "out").iterdir())


def test_alike_failures_are_told_together(corpus: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(corpus, source)
    for path in sorted((source / "records100").rglob("*.dat"))[:50]:
        path.unlink()
    next((source / "records100").rglob("00100_lr.dat")).write_bytes(b"")
    with pytest.raises(ProjectionError, match=r"51 of 160 records (.|\n)*and 47 more like these\n.*has 0 bytes"):
        convert(source, tmp_path / "file.h5")


def test_what_cannot_be_read_is_the_record_s_fault_and_not_the_output_s(corpus: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(corpus, source)
    for name in ("00007_lr.dat", "00009_lr.hea"):
        path = next((source / "records100").rglob(name))
        path.unlink()
        path.mkdir()  # opens, but cannot be read, as on a failing disk
    with pytest.raises(ProjectionError, match=r"2 of 160 records (.|\n)*00007_lr.dat cannot be read \(Is a directory"):
        convert(source, tmp_path / "file.h5")


@pytest.mark.thorough
def test_any_folder_with_such_a_table_is_converted(tmp_path: Path) -> None:
    source = tmp_path / "other"
    source.mkdir()
    generator = np.random.default_rng(0)
    signals = generator.normal(0, 0.5, (6, 750, 12)).round(3)
    names = [lead.upper() for lead in LEADS]
    order = generator.permutation(12)
    for number, signal_ in enumerate(signals):
        millivolts = signal_[:, order]
        wfdb.wrsamp(f"r{number}", 250, ["mV"] * 12, [names[i] for i in order], millivolts, fmt=["16"] * 12,
                    adc_gain=[1000.0] * 12, baseline=[0] * 12, write_dir=str(source))  # fmt: skip
    rows = [f"{number},{number // 2},{number + 1},r{number},\"{{'NORM': 100}}\"" for number in range(6)]
    (source / "table.csv").write_text("\n".join(["ecg_id,patient_id,strat_fold,path,scp_codes", *rows]) + "\n")
    with pytest.raises(ProjectionError, match=r"--filename_column`: ecg_id, patient_id, strat_fold, path"):
        convert(source, tmp_path / "file.h5", sampling_rate=250, table="table.csv")
    convert(source, tmp_path / "file.h5", 250, table="table.csv", filename_column="path", source_name="mine")
    verify(tmp_path / "file.h5", source)
    store = open_store(tmp_path / "file.h5")
    assert store.sampling_rate == 250
    assert store.tables.scp_statements["code"].tolist()[0]
    assert store.tables.labels("superdiagnostic").sum() == 6
    np.testing.assert_allclose(store.signals().transpose(0, 2, 1) / 1000, signals, atol=1e-9)
