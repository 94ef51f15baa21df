import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import wfdb

from projection import __version__
from projection.corpus import convert as module
from projection.corpus import record_writer
from projection.corpus.convert import convert
from projection.corpus.statements import LEADS
from projection.corpus.store import open_store
from projection.corpus.verify import verify
from projection.errors import ProjectionError
from tests.data.files import assert_equals_raw
from tests.raw import Raw, read_counts


def copied(corpus: Path, folder: Path) -> Path:
    return Path(shutil.copytree(corpus, folder))


@pytest.mark.thorough
def test_every_real_record_at_100_hz_equals_its_file(ptbxl: Path, ptbxl_file: Path) -> None:
    store = open_store(ptbxl_file)
    signals, names = store.signals(), store.tables.records["filename_lr"]
    for row, name in enumerate(names):  # format 16, one sample after the other
        assert np.array_equal(np.fromfile(ptbxl / f"{name}.dat", "<i2").reshape(-1, 12).T, signals[row]), name
    for row in range(0, len(names), len(names) // 50 + 1):
        assert np.array_equal(read_counts(ptbxl / names[row]), signals[row]), names[row]


def test_real_records_at_500_hz_equal_wfdb(ptbxl: Path, tmp_path: Path) -> None:
    if not (ptbxl / "records500").is_dir():
        pytest.skip("no records500 in this PTB-XL")
    source = tmp_path / "source"
    source.mkdir()
    lines = (ptbxl / "ptbxl_database.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    (source / "ptbxl_database.csv").write_text("".join(lines[:41]), encoding="utf-8")
    (source / "records500").symlink_to((ptbxl / "records500").resolve())
    convert(source, tmp_path / "file.h5", sampling_rate=500, workers=1)
    store = open_store(tmp_path / "file.h5")
    assert store.shape == (40, 12, 5000)
    for samples, name in zip(store.signals(), store.tables.records["filename_hr"], strict=True):
        assert np.array_equal(read_counts(ptbxl / name), samples), name


def test_a_file_holds_what_the_corpus_s_files_say(corpus_file: Path, raw: Raw) -> None:
    assert_equals_raw(corpus_file, raw)


def test_the_records_of_500_hz_are_taken_from_their_own_column(both_rates: Path, tmp_path: Path) -> None:
    convert(both_rates, tmp_path / "file.h5", sampling_rate=500, workers=1)
    store = open_store(tmp_path / "file.h5")
    assert (store.sampling_rate, store.shape) == (500, (60, 12, 5000))
    assert store.attributes["filename_column"] == "filename_hr"
    for row in (0, 33, 59):
        assert np.array_equal(store.signals()[row], read_counts(both_rates / store.tables.records["filename_hr"][row]))
    verify(tmp_path / "file.h5", both_rates)
    with pytest.raises(ProjectionError, match="is sampled at 100 Hz, not at 500 Hz"):
        convert(both_rates, tmp_path / "other.h5", 500, filename_column="filename_lr")


def test_the_schema(corpus_file: Path) -> None:
    with h5py.File(corpus_file) as file:
        signals = file["signals"]
        assert (signals.shape, signals.dtype.str) == ((160, 12, 1000), "<i2")
        assert (signals.chunks, signals.compression) == (None, None)
        assert signals.id.get_offset() % 4096 == 0
        about = dict(signals.attrs)
        leads = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
        assert about.pop("leads").tolist() == leads
        assert about == {"gain": 1000, "baseline": 0, "units": "mV", "sampling_rate": 100}
        assert set(file) == {"signals", "records", "statements", "scp_statements", "checksums"}
        attributes = dict(file.attrs)
        assert all(len(attributes.pop(name)) == 64 for name in ("signals_sha256", "tables_sha256"))
        assert attributes == {
            "schema_version": 1,
            "created_by": f"projection {__version__}",
            "source": "synthetic",
            "source_version": "unknown",
            "table": "ptbxl_database.csv",
            "filename_column": "filename_lr",
        }


@pytest.mark.parametrize(
    ("folder", "arguments", "name"),
    [("any", {}, "PTB-XL"), ("chapman", {"table": "mine.csv"}, "chapman"), ("any", {"source_name": "own"}, "own")],
)
def test_a_data_set_has_its_own_name_and_not_every_one_is_ptbxl(
    corpus: Path, tmp_path: Path, folder: str, arguments: dict[str, Any], name: str
) -> None:
    source = Path(shutil.copytree(corpus, tmp_path / folder))
    (source / "SYNTHETIC.txt").unlink()
    shutil.copy(source / "ptbxl_database.csv", source / "mine.csv")
    convert(source, tmp_path / "file.h5", workers=1, **arguments)
    assert open_store(tmp_path / "file.h5").attributes["source"] == name


@pytest.mark.parametrize(
    ("folder", "given", "version"),
    [
        ("physionet.org/files/ptb-xl/1.0.3", None, "1.0.3"),
        ("ptb-xl-a-large-dataset-1.0.12", None, "1.0.12"),
        ("ptbxl-1.0", None, "unknown"),
        ("1.0.3", "2.0.0", "2.0.0"),
    ],
)
def test_the_version_is_the_folder_s_unless_given(
    corpus: Path, tmp_path: Path, folder: str, given: str | None, version: str
) -> None:
    source = tmp_path / folder
    source.parent.mkdir(parents=True, exist_ok=True)
    source.symlink_to(copied(few(corpus, tmp_path), tmp_path / f"copy/{Path(folder).name}"))
    convert(source, tmp_path / "file.h5", source_version=given, source_name="mine", workers=1)
    attributes = open_store(tmp_path / "file.h5").attributes
    assert (attributes["source"], attributes["source_version"]) == ("mine", version)


def few(corpus: Path, tmp_path: Path) -> Path:
    """The first five records of a corpus."""
    folder = tmp_path / "few"
    folder.mkdir()
    lines = (corpus / "ptbxl_database.csv").read_text().splitlines(keepends=True)
    (folder / "ptbxl_database.csv").write_text("".join(lines[:6]))
    for path in sorted((corpus / "records100/00000").iterdir())[:10]:
        (folder / path.relative_to(corpus)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, folder / path.relative_to(corpus))
    return folder


@pytest.mark.thorough
def test_two_processes_write_the_same_as_one(
    corpus: Path, corpus_file: Path, raw: Raw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_writer, "_CHUNK", 32)
    convert(corpus, tmp_path / "two.h5", workers=2)
    assert_equals_raw(tmp_path / "two.h5", raw)
    one, two = open_store(corpus_file), open_store(tmp_path / "two.h5")
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


@pytest.mark.parametrize("odd", [0, 7])
def test_records_of_another_length_than_most_are_refused(corpus: Path, tmp_path: Path, odd: int) -> None:
    source = few(corpus, tmp_path) if odd == 0 else copied(corpus, tmp_path / "source")
    stem = sorted((source / "records100").rglob("*.hea"))[odd]
    names = [lead.upper() for lead in LEADS]
    wfdb.wrsamp(stem.stem, 100, ["mV"] * 12, names, d_signal=np.zeros((500, 12), int), fmt=["16"] * 12,
                adc_gain=[1000.0] * 12, baseline=[0] * 12, write_dir=str(stem.parent))  # fmt: skip
    with pytest.raises(ProjectionError, match=rf"1 of \d+ .*\n.*{stem.stem} has 500 samples a lead, most have 1000"):
        convert(source, tmp_path / "file.h5", workers=1)
    convert(source, tmp_path / "file.h5", workers=1, on_error="skip")
    store = open_store(tmp_path / "file.h5")
    assert store.skipped()["ecg_id"].tolist() == [odd + 1]
    assert store.shape[1:] == (12, 1000)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"workers": 0}, "at least 1, found 0 and 100"),
        ({"sampling_rate": 0}, "at least 1, found 2 and 0"),
        ({"sampling_rate": 250}, "no column filename,"),
        ({"table": "other.csv"}, r"No other\.csv in"),
    ],
)
def test_bad_arguments_are_named(corpus: Path, tmp_path: Path, arguments: dict[str, Any], told: str) -> None:
    with pytest.raises(ProjectionError, match=told):
        convert(corpus, tmp_path / "out" / "file.h5", **arguments)
    assert not list(tmp_path.iterdir())
