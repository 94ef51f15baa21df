"""A PTB-XL-shaped corpus without PTB-XL: modelled hearts, recorded in the official layout."""

import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from projection.corpus import SYNTHETIC
from projection.errors import ProjectionError
from projection.synthetic.corpus_writer import record_name, write_record, write_tables
from projection.synthetic.records import Record, draw_patients, draw_record
from projection.synthetic.render import render

__all__ = ["synthesize"]

_RATES = (100, 500)
_CHUNK = 50
_FEWEST, _MOST = 10, 99_999
_MARK_TEXT = """Synthetic electrocardiograms in the layout of PTB-XL, made by `python -m projection synthesize`.
No patient is behind them: not for clinical use, and no substitute for PTB-XL in published results.
records: {records}, seed: {seed}
"""


def _check(output: Path, records: int, seed: int, rates: Sequence[int], workers: int, overwrite: bool) -> None:
    """Refuse bad arguments before anything is written."""
    if not _FEWEST <= records <= _MOST:
        raise ProjectionError(f"--records is {records}; ten folds need at least {_FEWEST}, ids allow at most {_MOST}.")
    if seed < 0:
        raise ProjectionError(f"--seed is {seed}; use 0 or a positive whole number.")
    if unknown := sorted(set(rates) - set(_RATES)):
        raise ProjectionError(f"--sampling_rates has {unknown}; PTB-XL has 100 and 500 Hz: use 100, 500 or [100,500].")
    if not rates:
        raise ProjectionError("--sampling_rates is empty; use 100, 500 or [100,500].")
    if workers < 1:
        raise ProjectionError(f"--workers is {workers}; use 1 or more processes.")
    if output.exists() and not output.is_dir():
        raise ProjectionError(f"{output} is a file; give --output a folder that does not exist yet.")
    if output.is_dir() and any(output.iterdir()):
        _check_replaceable(output, overwrite)


def _check_replaceable(output: Path, overwrite: bool) -> None:
    """Let only a synthetic corpus be overwritten, never downloaded or foreign data."""
    if not (output / SYNTHETIC).exists():
        first = min(entry.name for entry in output.iterdir())
        raise ProjectionError(
            f"{output} is not empty (it holds {first}) and was not made by synthesize, so it is left alone. "
            "Choose another --output or empty the folder yourself."
        )
    if not overwrite:
        raise ProjectionError(
            f"{output} already holds a synthetic corpus. Add --overwrite true to replace it or choose another --output."
        )


@contextmanager
def _finished_or_nothing(output: Path) -> Iterator[Path]:
    """Give a folder beside the output that takes its name when all went well and vanishes otherwise."""
    draft = output.with_name(f".{output.name}.{os.getpid()}.partial")
    draft.mkdir(parents=True)
    try:
        yield draft
        if output.exists():
            shutil.rmtree(output)
        draft.rename(output)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write_signals(root: Path, records: Sequence[Record], rates: tuple[int, ...]) -> int:
    """Draw and write some records; returns how many."""
    for record in records:
        for rate, counts in render(record, rates).items():
            write_record(root, record.number, rate, counts)
    return len(records)


def _ignore_interrupt() -> None:
    """Leave Ctrl-C to the parent, which stops the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _written(root: Path, records: Sequence[Record], rates: tuple[int, ...], workers: int) -> Iterator[int]:
    """Write all records, in processes where more than one is asked for, and yield how many are done at a time."""
    chunks = [records[start : start + _CHUNK] for start in range(0, len(records), _CHUNK)]
    if workers == 1 or len(chunks) == 1:
        yield from (_write_signals(root, chunk, rates) for chunk in chunks)
        return
    pool = ProcessPoolExecutor(min(workers, len(chunks)), get_context("spawn"), _ignore_interrupt)
    try:
        for done in as_completed([pool.submit(_write_signals, root, chunk, rates) for chunk in chunks]):
            yield done.result()
    finally:
        pool.shutdown(cancel_futures=True)


def synthesize(
    output: Path,
    records: int = 2000,
    seed: int = 0,
    sampling_rates: Literal[100, 500] | list[Literal[100, 500]] = 100,
    workers: int = 2,
    overwrite: bool = False,
) -> None:
    """Make a PTB-XL-shaped corpus of synthetic electrocardiograms.

    Ten-second, twelve-lead records in the official layout, drawn from a published model of the heart as a moving
    dipole, with findings that can be seen in the signal and learned from it. The same seed gives the same corpus,
    whatever the number of workers.

    Args:
        output: Folder to make.
        records: Number of records, 10 to 99,999.
        seed: Whole number that determines the corpus.
        sampling_rates: Rates in Hz: 100, 500 or [100, 500].
        workers: Processes to use.
        overwrite: Replace a synthetic corpus at output; anything else is never replaced.
    """
    from rich.progress import Progress

    rates = tuple(sorted({sampling_rates} if isinstance(sampling_rates, int) else set(sampling_rates)))
    _check(output, records, seed, rates, workers, overwrite)
    patients = draw_patients(records, seed)
    plan = [draw_record(seed, number, int(patient)) for number, patient in enumerate(patients, start=1)]
    with _finished_or_nothing(output) as draft:
        for folder in {(draft / record_name(record.number, rate)).parent for record in plan for rate in rates}:
            folder.mkdir(parents=True)
        write_tables(draft, plan)
        (draft / SYNTHETIC).write_text(_MARK_TEXT.format(records=records, seed=seed), encoding="utf-8")
        with Progress() as progress:
            task = progress.add_task("Synthesizing", total=records)
            for done in _written(draft, plan, rates, workers):
                progress.advance(task, done)
    target = output.with_name(f"{output.name}_{rates[0]}hz.h5")
    rate = "" if rates[0] == 100 else f" --sampling_rate {rates[0]}"
    print(f"{output}: {records} records. They are converted by")
    print(f"    python -m projection convert --source {output} --output {target}{rate}")
