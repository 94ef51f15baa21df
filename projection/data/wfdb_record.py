"""One WFDB record as 12 x T int16 samples, 1000 per millivolt, leads in standard order.

PTB-XL's own records (format 16, all leads in one file, 1000 per millivolt) are read directly: `wfdb` spends 5 ms
on parsing a header that one regular expression parses in microseconds. Anything else goes through `wfdb`.
Format: https://physionet.org/physiotools/wag/header-5.htm and signal-5.htm.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from projection.data.statements import LEADS
from projection.errors import ProjectionError

GAIN = 1000.0
"""Samples per millivolt in the HDF5 file, as in PTB-XL."""

_SIGNAL_LINE = r"(\S+) 16 1000(?:\.0*)?(?:\(0\))?/mV 16 0 -?\d+ (-?\d+) 0 {lead}[ \t]*\r?\n?"
_PLAIN_HEADER = re.compile(
    (
        r"\A\S+ 12 (\d+(?:\.0*)?) (\d+)[^\n]*\n"
        + "".join(_SIGNAL_LINE.format(lead=lead) for lead in LEADS)
        + r"(?:#.*)?\Z"
    ).encode("ascii"),
    re.IGNORECASE | re.DOTALL,
)
_PLAIN_HEADER_BYTES = 1 << 14  # a longer one is not plain
_PER_MILLIVOLT = {"mv": 1.0, "uv": 1e-3, "µv": 1e-3, "v": 1e3, "nv": 1e-6}


def read_record(stem: str | Path, sampling_rate: int) -> NDArray[np.int16]:
    """Read one record and prove it against the checksums of its header.

    Args:
        stem: The record's path without extension.
        sampling_rate: The sampling rate that the record must have, in Hz.

    Returns:
        int16 samples `(12, T)`, 1000 per millivolt, leads I, II, III, aVR, aVL, aVF, V1 to V6.

    Raises:
        ProjectionError: If the record is missing, damaged, sampled at another rate, or lacks a lead.
    """
    # plain strings and system calls: pathlib and buffered files would take as long as everything else together
    stem = os.fspath(stem)
    plain = _PLAIN_HEADER.match(_content(f"{stem}.hea", _PLAIN_HEADER_BYTES))
    if plain is None or len(set(plain.groups()[2::2])) != 1:
        return _read_with_wfdb(stem, sampling_rate)
    rate, length, data_file, *_ = plain.groups()
    _check_rate(stem, float(rate), sampling_rate)
    samples = _read_samples(os.path.join(os.path.dirname(stem), os.fsdecode(data_file)), int(length))  # noqa: PTH118, PTH120
    _check_sums(stem, samples.view(np.uint16), plain.groups()[3::2])
    return samples


def _content(path: str, size: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return os.read(descriptor, size)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise ProjectionError(f"{path} cannot be read ({error.strerror})") from None


def _read_samples(path: str, length: int) -> NDArray[np.int16]:
    expected = length * len(LEADS) * 2
    content = _content(path, expected + 1)
    if len(content) != expected:
        found = "more" if len(content) > expected else len(content)
        raise ProjectionError(f"{path} has {found} bytes, its header promises {expected}")
    by_time = np.frombuffer(content, "<i2").reshape(length, len(LEADS))
    return np.ascontiguousarray(by_time.T, np.int16)


def _check_rate(stem: str, found: float, expected: int) -> None:
    if found != expected:
        raise ProjectionError(f"{stem}.hea is sampled at {found:g} Hz, not at {expected} Hz")


def _check_sums(stem: str, samples: NDArray[np.uint16], expected: Sequence[bytes | int]) -> None:
    # a header's checksum is the sum of all samples of a lead, modulo 65,536, written signed or unsigned
    found = np.add.reduce(samples, axis=1, dtype=np.uint16).tolist()
    promised = [int(value) & 0xFFFF for value in expected]
    if found != promised:
        wrong = [signal for signal, pair in enumerate(zip(found, promised, strict=True), start=1) if len(set(pair)) > 1]
        raise ProjectionError(f"{stem}.dat is damaged: wrong checksum in signal(s) {wrong}")


def _read_with_wfdb(stem: str, sampling_rate: int) -> NDArray[np.int16]:
    import wfdb  # imports pandas and more: half a second that the plain path never needs

    try:
        record: Any = wfdb.rdrecord(stem, physical=False)
    except Exception as error:  # wfdb raises whatever its parsing stumbled over
        raise ProjectionError(f"{stem} cannot be read by wfdb ({type(error).__name__}: {error})") from None
    _check_rate(stem, record.fs, sampling_rate)
    _check_sums(stem, record.d_signal.T.astype(np.uint16), record.checksum)
    names = [str(name).strip().lower() for name in record.sig_name]
    if missing := [lead for lead in LEADS if lead.lower() not in names]:
        raise ProjectionError(f"{stem}.hea lacks lead(s) {', '.join(missing)}; it has {', '.join(record.sig_name)}")
    order = [names.index(lead.lower()) for lead in LEADS]
    if unknown := {record.units[i] for i in order if record.units[i].lower() not in _PER_MILLIVOLT}:
        raise ProjectionError(f"{stem}.hea has signals in {', '.join(unknown)}; known units: V, mV, uV, nV")
    scale = np.array([_PER_MILLIVOLT[record.units[i].lower()] for i in order])
    counts = np.rint(record.dac()[:, order] * scale * GAIN)
    if not np.isfinite(counts).all() or np.abs(counts).max() > np.iinfo(np.int16).max:
        raise ProjectionError(f"{stem} has missing samples or samples beyond 32.767 mV")
    return np.ascontiguousarray(counts.T.astype(np.int16))
