"""WFDB records as 12 x T int16 samples, 1000 per millivolt, leads in standard order.

PTB-XL's own records (format 16, all leads in one file, 1000 per millivolt) are read directly: `wfdb` spends 5 ms
on parsing a header that one regular expression parses in microseconds. Anything else goes through `wfdb`.
Format: https://physionet.org/physiotools/wag/header-5.htm and signal-5.htm.
"""

import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from projection.corpus.statements import LEADS
from projection.errors import ProjectionError

GAIN = 1000.0
"""Samples per millivolt in the HDF5 file, as in PTB-XL."""

_SIGNAL_LINE = r"(\S+) 16 1000(?:\.0*)?(?:\(0\))?/mV 16 0 -?\d+ (-?\d+) 0 (?i:{lead})[ \t]*\r?\n?"
_SIGNAL_LINES = "".join(_SIGNAL_LINE.format(lead=lead) for lead in LEADS)
_HEADER = r"\A\S+ 12 (\d+(?:\.0*)?) (\d+)[^\n]*\n" + _SIGNAL_LINES + r"(?:#.*)?\Z"
_PLAIN_HEADER = re.compile(_HEADER.encode("ascii"), re.DOTALL)
_PLAIN_HEADER_BYTES = 1 << 14  # a longer one is not plain
_PER_MILLIVOLT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "v": 1e3, "nv": 1e-6}

_Content = TypeVar("_Content")


class _Plain(NamedTuple):
    length: int  # samples per lead
    path: str  # of the data file
    sums: list[int]  # of each lead's samples


def read_record(stem: str | Path, sampling_rate: int) -> NDArray[np.int16]:
    """Read a record by its path without extension and its rate in Hz, and prove it by the checksums of its header.

    Returns:
        Samples `(12, T)`, 1000 per millivolt, in the order of `LEADS`.

    Raises:
        ProjectionError: If the record is missing, damaged, sampled at another rate, or lacks a lead.
    """
    plain = _plain_header(os.fspath(stem), sampling_rate)
    if plain is None:
        return _read_with_wfdb(os.fspath(stem), sampling_rate)
    samples, failures = read_records([os.fspath(stem)], sampling_rate, plain.length)
    if failures:
        raise ProjectionError(failures[0])
    record: NDArray[np.int16] = samples[0]
    return record


def read_records(stems: Sequence[str], sampling_rate: int, length: int) -> tuple[NDArray[np.int16], dict[int, str]]:
    """Read records of `length` samples per lead as `read_record` does, in little more time than copying takes.

    Returns:
        Samples `(records, 12, length)`, and why some could not be read, by their position in `stems`.
    """
    by_time = np.zeros((len(stems), length, len(LEADS)), "<i2")
    promised: list[list[int]] = []
    failures: dict[int, str] = {}
    for place, stem in enumerate(stems):
        sums = [0] * len(LEADS)
        try:
            plain = _plain_header(stem, sampling_rate)
            if plain is None:
                other = _read_with_wfdb(stem, sampling_rate)
                _check_length(stem, other.shape[1], length)
                by_time[place], sums = other.T, np.add.reduce(other.view(np.uint16), 1, np.uint16).tolist()
            else:
                _check_length(stem, plain.length, length)
                _fill(by_time[place], plain.path)
                sums = plain.sums
        except ProjectionError as error:
            failures[place] = str(error)
        promised.append(sums)
    samples: NDArray[np.int16] = np.ascontiguousarray(by_time.transpose(0, 2, 1), np.int16)
    # a header's checksum is the sum of all samples of a lead, modulo 65,536, written signed or unsigned
    wrong = np.add.reduce(samples.view(np.uint16), axis=2, dtype=np.uint16) != np.array(promised) & 0xFFFF
    for place in np.flatnonzero(wrong.any(axis=1)).tolist():
        failures.setdefault(place, _damage(stems[place], wrong[place]))
    return samples, failures


def _plain_header(stem: str, sampling_rate: int) -> _Plain | None:
    # plain strings and system calls: pathlib and buffered files would take as long as everything else together
    found = _PLAIN_HEADER.match(_opened(stem + ".hea", lambda file: os.read(file, _PLAIN_HEADER_BYTES)))
    if found is None:
        return None
    rate, length, data_file, *rest = found.groups()
    if rest[1::2].count(data_file) != len(LEADS) - 1:
        return None
    _check_rate(stem, float(rate), sampling_rate)
    folder = stem[: stem.rfind("/") + 1]
    return _Plain(int(length), folder + os.fsdecode(data_file), list(map(int, rest[::2])))


def _opened(path: str, read: Callable[[int], _Content]) -> _Content:
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return read(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ProjectionError(f"{path} cannot be read ({error.strerror})") from None


def _fill(samples: NDArray[np.int16], path: str) -> None:
    found = _opened(path, lambda file: os.readv(file, [samples.data, bytearray(1)]))
    if found != samples.nbytes:
        size = "more" if found > samples.nbytes else found
        raise ProjectionError(f"{path} has {size} bytes, its header promises {samples.nbytes}")


def _check_length(stem: str, found: int, expected: int) -> None:
    if found != expected:
        raise ProjectionError(f"{stem} has {found} samples a lead, most have {expected}")


def _check_rate(stem: str, found: float, expected: int) -> None:
    if found != expected:
        raise ProjectionError(f"{stem}.hea is sampled at {found:g} Hz, not at {expected} Hz")


def _damage(stem: str, wrong: NDArray[np.bool_]) -> str:
    return f"{stem}.dat is damaged: wrong checksum in signal(s) {(np.flatnonzero(wrong) + 1).tolist()}"


def _read_with_wfdb(stem: str, sampling_rate: int) -> NDArray[np.int16]:
    import wfdb  # imports pandas and more: half a second that the plain path never needs

    try:
        record: Any = wfdb.rdrecord(stem, physical=False, m2s=False, smooth_frames=False)
    except Exception as error:  # wfdb raises whatever its parsing stumbled over
        raise ProjectionError(f"{stem} cannot be read by wfdb ({type(error).__name__}: {error})") from None
    if isinstance(record, wfdb.MultiRecord):
        return _join_segments(stem, record, sampling_rate)
    if len(frames := set(record.samps_per_frame)) > 1:
        raise ProjectionError(f"{stem}.hea has signals of different sampling rates")
    _check_rate(stem, record.fs * frames.pop(), sampling_rate)
    # checksums are optional in WFDB: a signal without one is taken as it is
    promised = zip(record.checksum, record.e_d_signal, strict=True)
    wrong = np.array([known is not None and int(signal.sum() - known) % 65536 > 0 for known, signal in promised])
    if wrong.any():
        raise ProjectionError(_damage(stem, wrong))
    names = [str(name).strip().lower() for name in record.sig_name]
    if missing := [lead for lead in LEADS if lead.lower() not in names]:
        raise ProjectionError(
            f"{stem}.hea lacks lead(s) {', '.join(missing)}; it has {', '.join(map(str, record.sig_name))}"
        )
    order = [names.index(lead.lower()) for lead in LEADS]
    if unknown := {record.units[i] for i in order if record.units[i].lower() not in _PER_MILLIVOLT}:
        raise ProjectionError(f"{stem}.hea has signals in {', '.join(unknown)}; known units: V, mV, uV, nV")
    scale = np.array([_PER_MILLIVOLT[record.units[i].lower()] for i in order])
    counts = np.rint(np.stack(record.dac(expanded=True))[order] * scale[:, None] * GAIN)
    if not np.isfinite(counts).all() or np.abs(counts).max() > np.iinfo(np.int16).max:
        raise ProjectionError(f"{stem} has missing samples or samples beyond 32.767 mV")
    return np.ascontiguousarray(counts, np.int16)


def _join_segments(stem: str, record: Any, sampling_rate: int) -> NDArray[np.int16]:
    # each is a record with gains and checksums of its own, which wfdb forgets when it joins them
    if "~" in record.seg_name or not any(record.seg_len):
        raise ProjectionError(f"{stem} has missing samples: its segments have a gap")
    folder = stem[: stem.rfind("/") + 1]
    segments = zip(record.seg_name, record.seg_len, strict=True)
    # one of length 0 only describes the layout of the others
    parts = [read_record(folder + name, sampling_rate) for name, length in segments if length]
    joined = np.concatenate(parts, axis=1)
    if joined.shape[1] != record.sig_len:
        raise ProjectionError(f"{stem} has segments of {joined.shape[1]} samples, its header promises {record.sig_len}")
    return joined
