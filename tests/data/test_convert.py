import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest
import wfdb

from projection.data import convert as module
from projection.data import record_writer
from projection.data.convert import convert
from projection.data.statements import LEADS
from projection.data.store import open_store
from projection.data.verify import info, verify
from projection.errors import ProjectionError


def assert_equals_wfdb(store_path: Path, source: Path, column: str) -> int:
    store = open_store(store_path)
    signals, names = store.signals(), store.tables.records[column]
    for row, name in enumerate(names):
        record = wfdb.rdrecord(str(source / name), physical=False)
        assert [lead.lower() for lead in record.sig_name] == [lead.lower() for lead in LEADS]
        assert np.array_equal(record.d_signal.T, signals[row]), name
    return len(names)


def part_of(source: Path, folder: Path, records: int) -> Path:
    """A data set with the first records of another."""
    folder.mkdir()
    lines = (source / "ptbxl_database.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (folder / "ptbxl_database.csv").write_text("".join(lines[: records + 1]), encoding="utf-8")
    shutil.copy(source / "scp_statements.csv", folder)
    for rate in ("records100", "records500"):
        if (source / rate).is_dir():
            (folder / rate).symlink_to((source / rate).resolve())
    return folder


def copied(corpus: Path, folder: Path) -> Path:
    return Path(shutil.copytree(corpus, folder))


def test_every_real_record_at_100_hz_equals_wfdb(ptbxl: Path, ptbxl_file: Path) -> None:
    assert assert_equals_wfdb(ptbxl_file, ptbxl, "filename_lr") == len(open_store(ptbxl_file).tables)


def test_real_records_at_500_hz_equal_wfdb(ptbxl: Path, tmp_path: Path) -> None:
    if not (ptbxl / "records500").is_dir():
        pytest.skip("no records500 in this PTB-XL")
    source = part_of(ptbxl, tmp_path / "source", 95)
    convert(source, tmp_path / "file.h5", sampling_rate=500)
    assert assert_equals_wfdb(tmp_path / "file.h5", source, "filename_hr") == 95
    assert open_store(tmp_path / "file.h5").shape == (95, 12, 5000)


def test_every_synthetic_record_equals_wfdb(corpus: Path, corpus_file: Path) -> None:
    assert assert_equals_wfdb(corpus_file, corpus, "filename_lr") == 160


def test_the_schema(corpus_file: Path) -> None:
    with h5py.File(corpus_file) as file:
        signals = file["signals"]
        assert signals.shape == (160, 12, 1000)
        assert signals.dtype == np.int16
        assert signals.chunks is None
        assert signals.compression is None
        assert signals.id.get_offset() % 4096 == 0
        assert dict(signals.attrs)["units"] == "mV"
        assert list(signals.attrs["leads"]) == list(LEADS)
        assert (signals.attrs["gain"], signals.attrs["baseline"], signals.attrs["sampling_rate"]) == (1000, 0, 100)
        assert set(file) == {"signals", "records", "statements", "scp_statements", "checksums"}
        made = {"schema_version", "created_by", "signals_sha256", "tables_sha256"}
        assert set(file.attrs) == made | {"source", "source_version", "table", "filename_column"}


def test_two_processes_write_the_same_as_one(corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_writer, "_CHUNK", 32)
    convert(corpus, tmp_path / "one.h5", workers=1)
    convert(corpus, tmp_path / "two.h5", workers=2)
    one, two = open_store(tmp_path / "one.h5"), open_store(tmp_path / "two.h5")
    assert np.array_equal(one.signals(), two.signals())
    assert one.attributes == two.attributes


def test_an_existing_file_is_kept_unless_told_otherwise(corpus: Path, tmp_path: Path) -> None:
    output = tmp_path / "file.h5"
    output.write_text("precious")
    with pytest.raises(ProjectionError, match="exists"):
        convert(corpus, output)
    assert output.read_text() == "precious"
    convert(corpus, output, overwrite=True)
    verify(output, corpus)


def test_all_damaged_records_are_reported_and_nothing_is_left(corpus: Path, tmp_path: Path) -> None:
    source = copied(corpus, tmp_path / "source")
    stems = sorted((source / "records100").rglob("*.dat"))
    stems[3].unlink()
    stems[140].write_bytes(stems[140].read_bytes()[:-2])
    with pytest.raises(ProjectionError, match=r"2 of 160 records") as raised:
        convert(source, tmp_path / "out" / "file.h5")
    assert stems[3].name in str(raised.value)
    assert stems[140].name in str(raised.value)
    assert list((tmp_path / "out").iterdir()) == []


def test_an_interrupted_conversion_leaves_nothing(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "seal", interrupt)
    with pytest.raises(KeyboardInterrupt):
        convert(corpus, tmp_path / "out" / "file.h5", workers=1)
    assert list((tmp_path / "out").iterdir()) == []


def test_records_of_another_length_are_refused(corpus: Path, tmp_path: Path) -> None:
    source = copied(corpus, tmp_path / "source")
    stem = sorted((source / "records100").rglob("*.hea"))[7]
    wfdb.wrsamp(
        stem.stem,
        100,
        ["mV"] * 12,
        list(LEADS),
        d_signal=np.zeros((500, 12), int),
        fmt=["16"] * 12,
        adc_gain=[1000.0] * 12,
        baseline=[0] * 12,
        write_dir=str(stem.parent),
    )
    with pytest.raises(ProjectionError, match="has 500 samples a lead, most have 1000"):
        convert(source, tmp_path / "file.h5")


def test_verify_names_a_damaged_record(corpus: Path, corpus_file: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "file.h5"
    shutil.copy(corpus_file, damaged)
    store = open_store(damaged)
    assert store.offset is not None
    with damaged.open("r+b") as file:
        file.seek(store.offset + 5 * 12 * 1000 * 2 + 77)
        file.write(b"\x55")
    with pytest.raises(ProjectionError, match=f"record {store.tables.records['ecg_id'][5]}: its samples"):
        verify(damaged)


def test_verify_compares_with_the_source(corpus: Path, corpus_file: Path, tmp_path: Path) -> None:
    verify(corpus_file, corpus)
    changed = copied(corpus, tmp_path / "source")
    path = changed / "ptbxl_database.csv"
    path.write_text(path.read_text().replace("SR", "AFIB"))
    with pytest.raises(ProjectionError, match="tables differ"):
        verify(corpus_file, changed)


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.h5"
    path.write_bytes(content)
    with pytest.raises(ProjectionError, match="is not a file that"):
        verify(path)


def test_another_schema_version_is_refused(corpus_file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(corpus_file, tmp_path / "file.h5"))
    with h5py.File(path, "r+") as file:
        file.attrs["schema_version"] = 99
    with pytest.raises(ProjectionError, match="schema version 99"):
        open_store(path)


def test_info_describes_the_file(corpus_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    info(corpus_file)
    told = capsys.readouterr().out
    assert "12 leads, 10 s at 100 Hz" in told
    assert "superdiagnostic" in told
