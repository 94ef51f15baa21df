"""How fast WFDB records become an HDF5 file."""

import subprocess
from itertools import islice
from pathlib import Path

import wfdb

from projection.data.convert import convert
from projection.data.record_writer import write_records
from projection.data.tables import Tables, read_tables
from tests.benchmarks.table import Row, seconds, side_by_side

COLUMNS = {100: "filename_lr", 500: "filename_hr"}


def conversion_rows(source: Path, source_500: Path, scratch: Path, rounds: int) -> list[Row]:
    """Compare conversion with copying, with wfdb, and with itself on two processes.

    Both sides of the first comparison read every file and write one, without waiting for the disk; ours also proves
    the checksums of all headers. Reading the tables and hashing the result belong to the whole command, in the note.
    """
    tables, tables_500 = read_tables(source), read_tables(source_500)
    output, copy = scratch / "converted.h5", scratch / "copy"

    def converted(workers: int = 1) -> None:
        output.unlink(missing_ok=True)
        write_records(output, source, tables, COLUMNS[100], 100, workers)

    def copied() -> None:
        copy.unlink(missing_ok=True)
        command = 'cat records100/*/*.dat records100/*/*.hea > "$0"'
        subprocess.run(["bash", "-c", command, str(copy.resolve())], cwd=source, check=True)

    def converted_500() -> None:
        output.unlink(missing_ok=True)
        write_records(output, source_500, tables_500, COLUMNS[500], 500, 1)

    def whole_command() -> None:
        convert(source, scratch / "whole.h5", workers=2, overwrite=True)

    copied()  # so that all files are in the page cache
    one, two, cat = side_by_side(converted, lambda: converted(2), copied, rounds=rounds)
    copy.unlink()
    rate, records = len(tables) / one, f"{len(tables):,} records at 100 Hz"
    high = min(seconds(converted_500) for _ in range(2))
    output.unlink()
    rate_500 = len(tables_500) / high
    by_wfdb, by_wfdb_500 = wfdb_rate(source, tables, 100), wfdb_rate(source_500, tables_500, 500)
    return [
        Row(
            "convert 100 Hz, one process, against cat", cat / one, 0.7, note=f"{records}: {one:.2f} s, cat {cat:.2f} s"
        ),
        Row("convert 100 Hz against wfdb.rdsamp", rate / by_wfdb, 50, note=f"{rate:,.0f} and {by_wfdb:,.0f} records/s"),
        Row(
            "convert 500 Hz against wfdb.rdsamp",
            rate_500 / by_wfdb_500,
            25,
            note=f"{len(tables_500):,} records: {rate_500:,.0f} and {by_wfdb_500:,.0f} records/s",
        ),
        Row("convert with 2 processes against 1", one / two, 1.5, note=f"{two:.2f} s and {one:.2f} s"),
    ]


def wfdb_rate(source: Path, tables: Tables, sampling_rate: int) -> float:
    stems = [str(source / name) for name in islice(tables.records[COLUMNS[sampling_rate]], 300)]
    return len(stems) / min(seconds(lambda: [wfdb.rdsamp(stem) for stem in stems]) for _ in range(2))
