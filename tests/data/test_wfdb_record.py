from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from projection.data.statements import LEADS
from projection.data.wfdb_record import read_record
from projection.errors import ProjectionError

Samples = NDArray[np.int64]


def write(
    folder: Path,
    samples: Samples,
    leads: tuple[str, ...] = LEADS,
    gain: float = 1000.0,
    units: str = "mV",
    fmt: str = "16",
) -> Path:
    count = len(leads)
    wfdb.wrsamp(
        "record",
        100,
        [units] * count,
        list(leads),
        d_signal=samples,
        fmt=[fmt] * count,
        adc_gain=[gain] * count,
        baseline=[0] * count,
        write_dir=str(folder),
    )
    return folder / "record"


@pytest.fixture
def samples() -> Samples:
    return np.random.default_rng(0).integers(-2000, 2000, (50, 12))


@settings(max_examples=30)
@given(arrays(np.int64, st.tuples(st.integers(1, 30), st.just(12)), elements=st.integers(-32768, 32767)))
def test_plain_records_are_read_as_they_are(samples: Samples) -> None:
    with TemporaryDirectory() as folder:
        assert np.array_equal(read_record(write(Path(folder), samples), 100), samples.T)


def test_leads_are_put_in_standard_order(tmp_path: Path, samples: Samples) -> None:
    shuffled = np.random.default_rng(1).permutation(12)
    stem = write(tmp_path, samples[:, shuffled], tuple(LEADS[i] for i in shuffled))
    assert np.array_equal(read_record(stem, 100), samples.T)


def test_lead_names_may_be_upper_case(tmp_path: Path, samples: Samples) -> None:
    stem = write(tmp_path, samples, tuple(lead.upper() for lead in LEADS))
    assert np.array_equal(read_record(stem, 100), samples.T)


@pytest.mark.parametrize(("gain", "units", "factor"), [(200.0, "mV", 5), (1.0, "uV", 1), (500.0, "mV", 2)])
def test_other_units_are_converted(tmp_path: Path, samples: Samples, gain: float, units: str, factor: int) -> None:
    assert np.array_equal(read_record(write(tmp_path, samples, gain=gain, units=units), 100), factor * samples.T)


def test_other_formats_are_read(tmp_path: Path, samples: Samples) -> None:
    assert np.array_equal(read_record(write(tmp_path, samples // 2, fmt="212"), 100), samples.T // 2)


def test_a_missing_lead_is_named(tmp_path: Path, samples: Samples) -> None:
    with pytest.raises(ProjectionError, match=r"lacks lead\(s\) V6"):
        read_record(write(tmp_path, samples[:, :11], LEADS[:11]), 100)


def test_unknown_units_are_named(tmp_path: Path, samples: Samples) -> None:
    with pytest.raises(ProjectionError, match="mmHg"):
        read_record(write(tmp_path, samples, units="mmHg"), 100)


def test_another_sampling_rate_is_refused(tmp_path: Path, samples: Samples) -> None:
    with pytest.raises(ProjectionError, match="sampled at 100 Hz, not at 500 Hz"):
        read_record(write(tmp_path, samples), 500)


def test_a_changed_sample_is_found(tmp_path: Path, samples: Samples) -> None:
    stem = write(tmp_path, samples)
    content = bytearray(stem.with_suffix(".dat").read_bytes())
    content[100] ^= 1
    stem.with_suffix(".dat").write_bytes(content)
    with pytest.raises(ProjectionError, match=r"record\.dat is damaged: wrong checksum in signal\(s\) \[3\]"):
        read_record(stem, 100)


def test_a_truncated_record_is_found(tmp_path: Path, samples: Samples) -> None:
    stem = write(tmp_path, samples)
    stem.with_suffix(".dat").write_bytes(stem.with_suffix(".dat").read_bytes()[:-10])
    with pytest.raises(ProjectionError, match="has 1190 bytes, its header promises 1200"):
        read_record(stem, 100)


@pytest.mark.parametrize("suffix", [".hea", ".dat"])
def test_a_missing_file_is_named(tmp_path: Path, samples: Samples, suffix: str) -> None:
    stem = write(tmp_path, samples)
    stem.with_suffix(suffix).unlink()
    with pytest.raises(ProjectionError, match=rf"record\{suffix} cannot be read"):
        read_record(stem, 100)


def test_a_header_that_is_no_header_is_refused(tmp_path: Path, samples: Samples) -> None:
    stem = write(tmp_path, samples)
    stem.with_suffix(".hea").write_text("<html>not found</html>")
    with pytest.raises(ProjectionError, match="record cannot be read by wfdb"):
        read_record(stem, 100)
