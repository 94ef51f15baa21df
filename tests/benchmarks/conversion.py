"""How fast WFDB records become an HDF5 file."""

import subprocess
from pathlib import Path

from projection.corpus.convert import convert
from projection.corpus.record_tables import Tables, read_tables
from projection.corpus.record_writer import Chunk, convert_chunk, spread, write_records
from tests.benchmarks.table import Row, seconds, side_by_side

COLUMNS = {100: "filename_lr", 500: "filename_hr"}
TARGETS = {100: 50, 500: 25}


def conversion_rows(source: Path, source_500: Path | None, scratch: Path, rounds: int) -> list[Row]:
    """Compare conversion with copying, with wfdb, and with itself on two processes."""
    rows = [*copying_rows(source, scratch, rounds), wfdb_row(source, 100, scratch)]
    return [*rows, wfdb_row(source_500, 500, scratch)] if source_500 else rows


def copying_rows(source: Path, scratch: Path, rounds: int) -> list[Row]:
    """Compare with `cat`, and one process with two.

    Both `cat` and ours read every file and write one, without waiting for the disk; ours also proves the checksums of
    all headers. Reading the tables and hashing the result belong to the whole command, which the note tells. Two
    processes divide the records among them, but not the tables, so that these are left out there.
    """
    tables, output, copy = read_tables(source), scratch / "converted.h5", scratch / "copy"
    stems = [f"{source}/{name}" for name in tables.records[COLUMNS[100]]]
    chunks = [Chunk(start, stems[start : start + 512]) for start in range(0, len(stems), 512)]

    def converted() -> None:
        output.unlink(missing_ok=True)
        write_records(output, source, tables, COLUMNS[100], 100, workers=1)

    def copied() -> None:
        copy.unlink(missing_ok=True)
        command = 'cat records100/*/*.dat records100/*/*.hea > "$0"'
        subprocess.run(["bash", "-c", command, str(copy.resolve())], cwd=source, check=True)

    copied()  # so that all files are in the page cache
    ours, cat = side_by_side(converted, copied, rounds=rounds)
    copy.unlink()
    output.unlink()
    target, _ = write_records(output, source, tables, COLUMNS[100], 100, workers=1)
    one, two = side_by_side(
        lambda: list(spread(convert_chunk, chunks, target, 1)),
        lambda: list(spread(convert_chunk, chunks, target, 2)),
        rounds=rounds,
    )
    output.unlink()
    whole = min(seconds(lambda: convert(source, scratch / "whole.h5", overwrite=True)) for _ in range(2))
    note = f"{len(tables):,} records: {ours:.2f} s, cat {cat:.2f} s; the whole command, 2 workers, {whole:.2f} s"
    return [
        Row("convert 100 Hz, checksums proved, one process, against cat", cat / ours, 0.7, note=note),
        Row("convert records with 2 processes against 1", one / two, 1.5, note=f"{two:.2f} s and {one:.2f} s"),
    ]


def wfdb_row(source: Path, sampling_rate: int, scratch: Path) -> Row:
    """Compare records per second with reading them by wfdb."""
    tables, output = read_tables(source), scratch / "converted.h5"
    ours = min(
        seconds(lambda: write_records(output, source, tables, COLUMNS[sampling_rate], sampling_rate, 1))
        for _ in range(3)
    )
    output.unlink()
    rate, by_wfdb = len(tables) / ours, wfdb_rate(source, tables, sampling_rate)
    note = f"{len(tables):,} records: {rate:,.0f} and {by_wfdb:,.0f} records/s"
    return Row(f"convert {sampling_rate} Hz against wfdb.rdsamp", rate / by_wfdb, TARGETS[sampling_rate], note=note)


def wfdb_rate(source: Path, tables: Tables, sampling_rate: int) -> float:
    import wfdb

    stems = [str(source / name) for name in tables.records[COLUMNS[sampling_rate]][:300]]
    return len(stems) / min(seconds(lambda: [wfdb.rdsamp(stem) for stem in stems]) for _ in range(2))
