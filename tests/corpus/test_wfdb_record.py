from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from projection.corpus.statements import LEADS
from projection.corpus.wfdb_record import read_record, read_records
from projection.errors import ProjectionError

Samples = NDArray[np.int64]


def write(
    folder: Path,
    samples: Samples,
    leads: tuple[str, ...] = LEADS,
    gain: float | list[float] = 1000.0,
    units: str = "mV",
    fmt: str = "16",
    frame: int = 1,
    name: str = "record",
    baseline: int = 0,
) -> Path:
    count = len(leads)
    # where frames are given, even of one sample, wfdb writes another header, which the plain path leaves to it
    signals = (
        {"d_signal": samples} if frame == 1 else {"e_d_signal": list(samples.T), "samps_per_frame": [frame] * count}
    )
    wfdb.wrsamp(
        name,
        100,
        [units] * count,
        list(leads),
        fmt=[fmt] * count,
        adc_gain=gain if isinstance(gain, list) else [gain] * count,
        baseline=[baseline] * count,
        write_dir=str(folder),
        **signals,
    )
    return folder / name


def damage(stem: Path) -> None:
    """Change one sample by a little."""
    content = bytearray(stem.with_suffix(".dat").read_bytes())
    content[96] ^= 1
    stem.with_suffix(".dat").write_bytes(content)


@pytest.fixture
def samples() -> Samples:
    return np.random.default_rng(0).integers(-2000, 2000, (50, 12))


@pytest.mark.thorough
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


@pytest.mark.parametrize(
    ("gain", "units", "factor"),
    [(200.0, "mV", 5), (1.0, "uV", 1), (500.0, "mV", 2), (1e6, "V", 1), (0.001, "nV", 1), (100.0, "uV", 0.01)],
)
def test_other_units_are_converted(tmp_path: Path, samples: Samples, gain: float, units: str, factor: float) -> None:
    found = read_record(write(tmp_path, samples, gain=gain, units=units), 100)
    assert np.array_equal(found, np.rint(factor * samples.T))


def test_each_lead_has_its_own_gain_and_place(tmp_path: Path, samples: Samples) -> None:
    order = np.random.default_rng(2).permutation(12)
    gains = 100.0 * np.arange(2, 14)
    stem = write(tmp_path, samples[:, order], tuple(LEADS[i] for i in order), gains[order].tolist(), baseline=7)
    assert np.abs(read_record(stem, 100) - 1000 * (samples - 7).T / gains[:, None]).max() <= 0.501


def test_other_leads_are_left_out(tmp_path: Path, samples: Samples) -> None:
    wide = np.column_stack([samples[:, :1] + 5, samples, samples[:, :1] - 5])
    stem = write(tmp_path, wide, ("RESP", *LEADS, "PLETH"))
    assert np.array_equal(read_record(stem, 100), samples.T)


@pytest.mark.parametrize("frame", [1, 2])
@pytest.mark.parametrize("fmt", ["16", "24", "32", "212"])
def test_any_format_is_read_as_it_is_and_proved_by_its_checksums(
    tmp_path: Path, samples: Samples, fmt: str, frame: int
) -> None:
    stem = write(tmp_path, samples, fmt=fmt, frame=frame, gain=500.0)
    assert np.array_equal(read_record(stem, 100 * frame), 2 * samples.T)
    damage(stem)
    with pytest.raises(ProjectionError, match=r"record\.dat is damaged: wrong checksum in signal\(s\) \[\d+\]"):
        read_record(stem, 100 * frame)


@pytest.mark.thorough
@pytest.mark.parametrize("cut", [1, 24, 600])
@pytest.mark.parametrize("fmt", ["24", "32", "212"])
def test_a_record_that_is_cut_is_found_in_any_format(tmp_path: Path, samples: Samples, fmt: str, cut: int) -> None:
    stem = write(tmp_path, samples, fmt=fmt)
    stem.with_suffix(".dat").write_bytes(stem.with_suffix(".dat").read_bytes()[:-cut])
    with pytest.raises(ProjectionError, match="record"):
        read_record(stem, 100)


def test_several_samples_a_frame_multiply_the_rate(tmp_path: Path, samples: Samples) -> None:
    stem = write(tmp_path, samples, frame=5)
    assert np.array_equal(read_record(stem, 500), samples.T)
    with pytest.raises(ProjectionError, match="sampled at 500 Hz, not at 100 Hz"):
        read_record(stem, 100)


def test_signals_of_different_rates_are_refused(tmp_path: Path, samples: Samples) -> None:
    fast = [samples[:, 0], *samples[::2, 1:].T]
    wfdb.wrsamp("record", 100, ["mV"] * 12, list(LEADS), e_d_signal=fast, fmt=["16"] * 12, adc_gain=[1000.0] * 12,
                baseline=[0] * 12, samps_per_frame=[2] + [1] * 11, write_dir=str(tmp_path))  # fmt: skip
    with pytest.raises(ProjectionError, match="signals of different sampling rates"):
        read_record(tmp_path / "record", 100)


def test_a_signal_without_a_checksum_is_taken_as_it_is(tmp_path: Path, samples: Samples) -> None:
    stem = write(tmp_path, samples)
    first, *lines = stem.with_suffix(".hea").read_text().splitlines()
    fields = [line.split() for line in lines]
    stem.with_suffix(".hea").write_text("\n".join([first, *(" ".join([*f[:6], f[8]]) for f in fields)]) + "\n")
    assert np.array_equal(read_record(stem, 100), samples.T)


def test_segments_keep_their_own_gains_and_checksums(tmp_path: Path, samples: Samples) -> None:
    first, second = write(tmp_path, samples[:20], name="one"), write(tmp_path, samples[20:], name="two", gain=500.0)
    whole = tmp_path / "record"
    whole.with_suffix(".hea").write_text("record/2 12 100 50\none 20\ntwo 30\n")
    assert np.array_equal(read_record(whole, 100), np.concatenate([samples[:20], 2 * samples[20:]]).T)
    damage(second)
    with pytest.raises(ProjectionError, match=r"two\.dat is damaged"):
        read_record(whole, 100)
    whole.with_suffix(".hea").write_text("record/3 12 100 60\none 20\n~ 20\none 20\n")
    with pytest.raises(ProjectionError, match="missing samples: its segments have a gap"):
        read_record(whole, 100)
    assert first.with_suffix(".dat").exists()


@pytest.mark.parametrize("fmt", ["16", "212"])
def test_missing_samples_are_refused_where_a_format_marks_them(tmp_path: Path, samples: Samples, fmt: str) -> None:
    samples[3, 4] = {"16": -32768, "212": -2048}[fmt]
    with pytest.raises(ProjectionError, match="missing samples or samples beyond"):
        read_record(write(tmp_path, samples, fmt=fmt, gain=200.0), 100)


def test_voltages_beyond_the_file_s_range_are_refused(tmp_path: Path, samples: Samples) -> None:
    samples[:, 0] = 6553
    assert read_record(write(tmp_path, samples, gain=200.0), 100)[0, 0] == 32765
    extremes = samples.copy()
    extremes[5, :2] = 32767, -32767
    assert read_record(write(tmp_path, extremes, fmt="32"), 100)[:2, 5].tolist() == [32767, -32767]
    samples[5, 0] = 6554
    with pytest.raises(ProjectionError, match=r"beyond 32\.767 mV"):
        read_record(write(tmp_path, samples, gain=200.0), 100)


def test_reading_many_is_reading_each(tmp_path: Path, samples: Samples) -> None:
    stems = [
        write(tmp_path, samples, name="plain"),
        write(tmp_path, samples + 1, name="packed", fmt="212"),
        tmp_path / "gone",
        write(tmp_path, samples + 2, name="damaged"),
        write(tmp_path, samples[:40], name="short"),
        write(tmp_path, samples[:40], name="short_packed", fmt="212"),
        write(tmp_path, samples + 3, name="last"),
    ]
    damage(stems[3])
    found, failures = read_records([str(stem) for stem in stems], 100, 50)
    for place in (0, 1, 6):
        assert np.array_equal(found[place], read_record(stems[place], 100))
    assert sorted(failures) == [2, 3, 4, 5]
    assert "gone.hea cannot be read" in failures[2]
    assert "damaged.dat is damaged: wrong checksum" in failures[3]
    assert failures[4].endswith("short has 40 samples a lead, most have 50")
    assert failures[5].endswith("short_packed has 40 samples a lead, most have 50")


def test_a_missing_lead_is_named(tmp_path: Path, samples: Samples) -> None:
    with pytest.raises(ProjectionError, match=r"lacks lead\(s\) V6"):
        read_record(write(tmp_path, samples[:, :11], LEADS[:11]), 100)


def test_unknown_units_are_named(tmp_path: Path, samples: Samples) -> None:
    with pytest.raises(ProjectionError, match="mmHg"):
        read_record(write(tmp_path, samples, units="mmHg"), 100)


def test_another_sampling_rate_is_refused(tmp_path: Path, samples: Samples) -> None:
    with pytest.raises(ProjectionError, match=r"record\.hea is sampled at 100 Hz, not at 500 Hz"):
        read_record(write(tmp_path, samples), 500)


@pytest.mark.thorough
@pytest.mark.parametrize("place", range(12))
def test_a_changed_sample_is_found_in_any_lead(tmp_path: Path, samples: Samples, place: int) -> None:
    stem = write(tmp_path, samples)
    content = bytearray(stem.with_suffix(".dat").read_bytes())
    content[24 * 30 + 2 * place] ^= 1
    stem.with_suffix(".dat").write_bytes(content)
    with pytest.raises(
        ProjectionError, match=rf"record\.dat is damaged: wrong checksum in signal\(s\) \[{place + 1}\]"
    ):
        read_record(stem, 100)


@pytest.mark.parametrize(("size", "told"), [(1190, "1190"), (600, "600"), (0, "0"), (1202, "more")])
def test_a_record_of_another_size_is_found(tmp_path: Path, samples: Samples, size: int, told: str) -> None:
    stem = write(tmp_path, samples)
    stem.with_suffix(".dat").write_bytes((stem.with_suffix(".dat").read_bytes() + b"\0\0")[:size])
    with pytest.raises(ProjectionError, match=f"has {told} bytes, its header promises 1200"):
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
