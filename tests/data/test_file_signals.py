import os
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projection.corpus.store import Store, open_store
from projection.data.datamodule import PTBXLDataModule
from projection.data.file_signals import DiskSignals
from projection.errors import ProjectionError
from tests.data.files import every_kind, rewrite


@pytest.mark.thorough
@settings(max_examples=30)
@given(rows=st.lists(st.integers(0, 159), max_size=40))
def test_every_kind_gathers_the_same_samples(files: dict[str, Store], rows: list[int]) -> None:
    expected = files["whole"].signals()[rows]
    for name, signals in every_kind(files).items():
        signals.prefetch(np.array(rows, np.int64))
        assert np.array_equal(signals.read(np.array(rows, np.int64)).numpy(), expected), name


@pytest.mark.parametrize("row", [-1, 160])
def test_rows_beyond_the_file_are_an_error_everywhere(files: dict[str, Store], row: int) -> None:
    for signals in every_kind(files).values():
        with pytest.raises(IndexError):
            signals.read(np.array([0, row]))


RECORD = 2 * 12 * 1000  # bytes


@pytest.mark.parametrize(
    ("rows", "kept"),
    [
        ([150], 80 * RECORD),  # all of it is gone
        ([150], 151 * RECORD - 1),  # its last byte
        ([3, 150, 4], 150 * RECORD + 10),
        (range(100, 120), 110 * RECORD),  # a run of neighbours, read in one go, ends between two of them
        (range(100, 120), 110 * RECORD + 5),
        (range(100, 120), 120 * RECORD - 2),
    ],
)
def test_a_file_that_is_cut_off_under_a_run_is_an_error(
    corpus_file: Path, tmp_path: Path, rows: list[int], kept: int
) -> None:
    path = tmp_path / "file.h5"
    path.write_bytes(corpus_file.read_bytes())
    store = open_store(path)
    signals, expected = DiskSignals(store), store.signals()[:100].copy()
    assert store.offset is not None
    os.truncate(path, store.offset + kept)
    with pytest.raises(EOFError, match=f"ends within record {max(rows)}: it was cut off"):
        signals.read(np.array(rows))
    whole = np.arange(60, 80)  # what was not cut off can be read still
    assert np.array_equal(signals.read(whole).numpy(), expected[whole])


@pytest.mark.skipif(not hasattr(os, "posix_fadvise"), reason="this system takes no advice about files")
@settings(max_examples=20)
@given(rows=st.lists(st.integers(0, 159), max_size=30, unique=True))
def test_what_is_announced_is_what_will_be_read(files: dict[str, Store], rows: list[int]) -> None:
    announced: list[tuple[int, int]] = []
    calls: list[int] = []

    def note(_: int, place: int, size: int, advice: int) -> None:
        if advice == os.POSIX_FADV_WILLNEED:
            announced.extend((place + at, RECORD) for at in range(0, size, RECORD))
            calls.append(place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "posix_fadvise", note)
        DiskSignals(files["whole"]).prefetch(np.array(rows, np.int64))
    offset = files["whole"].offset
    assert offset is not None
    assert announced == [(offset + row * RECORD, RECORD) for row in sorted(rows)]
    assert len(calls) == len(set(rows) - {row + 1 for row in rows})  # neighbours go together


@pytest.mark.parametrize(("name", "value"), [("sampling_rate", 50), ("gain", 500.0)])
def test_files_that_are_not_alike_are_refused(files: dict[str, Store], tmp_path: Path, name: str, value: float) -> None:
    other = tmp_path / "other.h5"
    rewrite(files["whole"].path, other, slice(None))
    with h5py.File(other, "r+") as file:
        file["signals"].attrs[name] = value
        file["records/ecg_id"][...] += 1000
    with pytest.raises(ProjectionError, match="must be alike"):
        PTBXLDataModule([files["whole"].path, other]).setup("fit")


def test_records_that_are_in_two_files_are_refused(files: dict[str, Store]) -> None:
    with pytest.raises(ProjectionError, match="70 ecg_id are in more than one"):
        PTBXLDataModule([files["whole"].path, files["first"].path]).setup("fit")
