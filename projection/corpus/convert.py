"""From a folder of WFDB records to one HDF5 file: `python -m projection convert`."""

import re
from pathlib import Path
from typing import Literal

import numpy as np

from projection.corpus import SYNTHETIC
from projection.corpus.record_tables import Tables, read_tables
from projection.corpus.record_writer import Failures, hash_records, write_records
from projection.corpus.store import seal
from projection.errors import ProjectionError
from projection.files import completed_or_removed

TABLE = "ptbxl_database.csv"
_COLUMNS = {100: "filename_lr", 500: "filename_hr"}


def convert(
    source: Path,
    output: Path,
    sampling_rate: int = 100,
    workers: int = 2,
    on_error: Literal["stop", "skip"] = "stop",
    table: str = TABLE,
    filename_column: str | None = None,
    source_name: str | None = None,
    source_version: str | None = None,
    overwrite: bool = False,
) -> None:
    """Convert a folder of WFDB records with PTB-XL's tables to one HDF5 file.

    Every record is proved against the checksums of its header, where that has some. The file appears under its name
    only when it is complete.

    Args:
        source: Folder with the table of records, the records that it names, and, as in PTB-XL, scp_statements.csv.
        output: The HDF5 file to write, for instance data/ptbxl_100hz.h5.
        sampling_rate: That of the records to take, in Hz; PTB-XL has 100 and 500.
        workers: Processes that read records (1 or more).
        on_error: What to do about missing or damaged records: stop after finding all of them, or skip them and list
            them in the file.
        table: Name of the table of records, in PTB-XL's form: at least the columns ecg_id, patient_id, strat_fold,
            scp_codes and one of file names.
        filename_column: The column with the records' paths; by default filename_lr at 100 Hz, filename_hr at 500 Hz.
        source_name: Name of the data set, kept in the file; by default synthetic where `synthesize` made the folder,
            PTB-XL where the table has PTB-XL's name, and the folder's name otherwise.
        source_version: Its version, kept in the file; by default taken from the folder's name, if that ends in one.
        overwrite: Replace an existing file.
    """
    if output.exists() and not overwrite:
        raise ProjectionError(f"{output} exists. Add `--overwrite true` to replace it, or name another file.")
    if workers < 1 or sampling_rate < 1:
        raise ProjectionError(f"workers and sampling_rate must be at least 1, found {workers} and {sampling_rate}.")
    tables = read_tables(source, table)
    column = filename_column or _COLUMNS.get(sampling_rate, "filename")
    _check_column(column, tables, source / table)
    version = source_version or _version_in(source)
    name = source_name or _name_of(source, table)
    about = {"source": name, "source_version": version, "table": table, "filename_column": column}
    with completed_or_removed(output) as partial:
        target, failures = write_records(partial, source, tables, column, sampling_rate, workers)
        if failures and (on_error == "stop" or len(failures) == len(tables)):
            raise _damage(failures, len(tables))
        skipped = {"ecg_id": tables.records["ecg_id"][list(failures)], "reason": np.array([*failures.values()], object)}
        if failures:
            tables = tables.select(~np.isin(np.arange(len(tables)), list(failures)))
            target, failures = write_records(partial, source, tables, column, sampling_rate, workers)
            if failures:  # the folder is changing under our hands
                raise _damage(failures, len(tables))
        checksums = hash_records(target, len(tables), workers)
        seal(partial, checksums, skipped, {**about, "tables_sha256": tables.sha256()})
    print(f"{output}: {len(tables):,} records of {name} (version {version}) at {sampling_rate} Hz.")
    if len(skipped["ecg_id"]):
        print(f"Left out {len(skipped['ecg_id']):,}: `python -m projection info {output}` says why.")


def _check_column(column: str, tables: Tables, path: Path) -> None:
    if column not in tables.records:
        found = ", ".join(tables.records)
        raise ProjectionError(
            f"{path} has no column {column}, where the records' paths should be. Choose one with `--filename_column`: "
            f"{found}."
        )


def _name_of(source: Path, table: str) -> str:
    if (source / SYNTHETIC).exists():
        return "synthetic"
    return "PTB-XL" if table == TABLE else source.resolve().name


def _version_in(source: Path) -> str:
    found = re.search(r"\d+\.\d+\.\d+$", source.resolve().name)
    return found.group() if found else "unknown"


def _damage(failures: Failures, total: int) -> ProjectionError:
    """Tell all failures, alike ones together."""
    kinds: dict[str, list[str]] = {}
    for reason in failures.values():
        kinds.setdefault(re.sub(r"\S*/\S*|\[.*?\]|\d+", "", reason), []).append(reason)
    lines = []
    for reasons in kinds.values():
        lines += [f"  {reason}" for reason in reasons[:3]]
        lines += [f"  and {len(reasons) - 3:,} more like these"] if len(reasons) > 3 else []
    return ProjectionError(
        f"{len(failures):,} of {total:,} records could not be converted, so nothing was written:\n"
        + "\n".join(lines[:40])
        + "\n`python -m projection download` fetches missing and damaged files of PTB-XL again; `--on_error skip` "
        "leaves such records out."
    )
