import re
import shutil
from pathlib import Path
from typing import Any

import h5py
import pytest

from projection.corpus.convert import convert
from projection.corpus.statements import LABEL_SETS
from projection.corpus.store import open_store
from projection.corpus.verify import info, verify
from projection.errors import ProjectionError
from projection.synthetic.corpus_writer import write_record
from tests.raw import Raw, read_counts

RECORD = 2 * 12 * 1000  # bytes


@pytest.fixture
def copy(corpus_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(corpus_file, tmp_path / "file.h5"))


def test_a_whole_file_is_said_to_be_whole(corpus: Path, corpus_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    verify(corpus_file)
    assert capsys.readouterr().out == f"{corpus_file}: whole, 160 records.\n"
    verify(corpus_file, corpus)
    assert capsys.readouterr().out == f"{corpus_file}: whole, 160 records, equal to {corpus}.\n"


@pytest.mark.parametrize("place", [0, 5 * RECORD + 77, 160 * RECORD - 1])
def test_a_changed_sample_is_found(copy: Path, raw: Raw, place: int) -> None:
    store = open_store(copy)
    assert store.offset is not None
    with copy.open("r+b") as file:
        file.seek(store.offset + place)
        (value,) = file.read(1)
        file.seek(store.offset + place)
        file.write(bytes([value ^ 1]))
    told = (
        f"is damaged:\n  record {raw.ids[place // RECORD]}: its samples do not match their checksum\nConvert it again"
    )
    with pytest.raises(ProjectionError, match=re.escape(told)):
        verify(copy)


def test_many_damaged_records_are_counted(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        file["signals"][20:35, 3, 4] += 1
    with pytest.raises(ProjectionError, match=r"record 21: (.|\n)*record 30: its samples .*\n  and 5 more\n"):
        verify(copy)


def changed(value: Any) -> Any:
    return f"{value.decode()}x" if isinstance(value, bytes) else value + 1


DAMAGES = {
    "checksums/signals": "record 1: its samples do not match",
    "records/ecg_id": "the metadata does not match tables_sha256",
    "records/age": "the metadata does not match tables_sha256",
    "records/report": "the metadata does not match tables_sha256",
    "records/strat_fold": "the metadata does not match tables_sha256",
    "statements/codes": "the metadata does not match tables_sha256",
    "statements/likelihoods": "the metadata does not match tables_sha256",
    "statements/names": "the metadata does not match tables_sha256",
    "scp_statements/diagnostic_class": "the metadata does not match tables_sha256",
}


@pytest.mark.parametrize("name", DAMAGES)
def test_any_other_change_within_the_file_is_found(copy: Path, name: str) -> None:
    with h5py.File(copy, "r+") as file:
        values = file[name][...]
        first = (0,) * values.ndim
        values[first] = changed(values[first])
        file[name][...] = values
    with pytest.raises(ProjectionError, match=DAMAGES[name]):
        verify(copy)


@pytest.mark.parametrize("name", ["signals_sha256", "tables_sha256"])
def test_a_changed_fingerprint_is_found(copy: Path, name: str) -> None:
    with h5py.File(copy, "r+") as file:
        file.attrs[name] = "0" * 64
    with pytest.raises(ProjectionError, match=f"does not match {name}"):
        verify(copy)


def test_a_record_and_its_checksum_that_were_both_changed_are_found(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        for name in ("signals", "checksums/signals"):
            file[name][3] = file[name][4]
    with pytest.raises(ProjectionError, match="checksums/signals does not match signals_sha256"):
        verify(copy)


def test_a_source_that_differs_is_found(corpus: Path, corpus_file: Path, tmp_path: Path) -> None:
    source = Path(shutil.copytree(corpus, tmp_path / "source"))
    counts = read_counts(source / "records100/00000/00050_lr")
    counts[3, 4] += 1
    write_record(source, 50, 100, counts.T)  # right by itself
    (source / "records100/00000/00060_lr.dat").write_bytes(b"")
    (source / "records100/00000/00070_lr.hea").unlink()
    with pytest.raises(ProjectionError, match="is damaged") as raised:
        verify(corpus_file, source)
    told = str(raised.value).splitlines()[1:-1]
    assert told[0].startswith("  record 50: its samples differ from")
    assert "00060_lr.dat has 0 bytes" in told[1]
    assert "00070_lr.hea cannot be read" in told[2]
    assert len(told) == 3
    table = source / "ptbxl_database.csv"
    table.write_text(table.read_text().replace("SR", "AFIB"))
    with pytest.raises(ProjectionError, match="the tables differ from those in"):
        verify(corpus_file, source)


def test_a_file_of_500_hz_is_compared_with_records_of_500_hz(both_rates: Path, tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    convert(both_rates, path, sampling_rate=500, workers=1)
    with h5py.File(path, "r+") as file:
        del file.attrs["filename_column"]  # of a file that an older version wrote
    verify(path, both_rates)
    (both_rates / "records500/00000/00007_hr.dat").rename(tmp_path / "kept")
    with pytest.raises(ProjectionError, match=r"00007_hr\.dat cannot be read"):
        verify(path, both_rates)
    (tmp_path / "kept").rename(both_rates / "records500/00000/00007_hr.dat")


@pytest.mark.parametrize("content", [b"", b"not HDF5 at all"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.h5"
    path.write_bytes(content)
    with pytest.raises(ProjectionError, match="is not a file that"):
        verify(path)


def test_a_file_that_was_cut_is_refused(copy: Path) -> None:
    copy.write_bytes(copy.read_bytes()[:-100_000])
    with pytest.raises(ProjectionError, match="or it is damaged"):
        verify(copy)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ProjectionError, match=r"There is no file .*none\.h5"):
        info(tmp_path / "none.h5")


def test_another_schema_version_is_refused(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        file.attrs["schema_version"] = 99
    with pytest.raises(ProjectionError, match="schema version 99"):
        open_store(copy)


def told_by_info(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, list[str]]:
    """The rows of info's tables by their first cells."""
    monkeypatch.setenv("COLUMNS", "200")
    info(path)
    lines = re.sub(r"[┃│|]", ",", capsys.readouterr().out).splitlines()
    cells = [[cell.strip() for cell in line.split(", ") if cell.strip()] for line in lines if line.startswith(", ")]
    return {first.strip(" ,"): [one.strip(" ,") for one in others] for first, *others in cells}


def test_info_tells_the_numbers_of_the_file(
    corpus_file: Path, raw: Raw, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told = told_by_info(corpus_file, capsys, monkeypatch)
    assert told["records"] == ["160"]
    assert told["patients"] == [str(len(set(raw.patients)))]
    assert told["signals"] == ["12 leads", "10 s at 100 Hz"]
    assert told["layout"] == ["contiguous"]
    assert told["source"] == ["synthetic"]
    assert told["records per fold"] == [f"{fold}: {(raw.folds == fold).sum()}" for fold in range(1, 11)]
    assert told["label set"] == ["classes", "that occur", "records with a label"]
    for task in LABEL_SETS:
        labels = raw.labels(task)
        numbers = (labels.shape[1], labels.any(axis=0).sum(), labels.any(axis=1).sum())
        assert told[task] == [str(number) for number in numbers], task
