"""Findings of the synthetic corpus that can be measured in the signal."""

import csv
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from projection.corpus.statements import LEADS
from projection.synthetic.records import Noise, Record
from projection.synthetic.render import render

Signal = NDArray[np.float64]
pytestmark = pytest.mark.thorough


@cache
def hearts(*codes: str, count: int = 9, rate: int = 100) -> Signal:
    """Draw noise-free records of different patients with the same findings, in mV, shape (count, time, 12)."""
    grades = dict.fromkeys(codes, 1.0)
    drawn = [Record(7, n, n, 55.0, n % 2 == 0, dict.fromkeys(codes, 0.0), grades, Noise()) for n in range(1, count + 1)]
    return np.stack([render(record, (rate,))[rate] for record in drawn]) / 1000


def peaks(record: Signal, rate: int = 100) -> Signal:
    """Find QRS complexes in a noise-free record: seconds of the steepest places, at least 0.25 s apart."""
    slope = np.square(np.diff(record, axis=0)).sum(axis=1)
    found = []
    for at in np.argsort(slope)[::-1]:
        if slope[at] < 0.03 * slope.max():
            break
        if all(abs(at - other) > 0.25 * rate for other in found):
            found.append(int(at))
    return np.sort(found) / rate


def heart_rate(record: Signal) -> float:
    """Measure the rate per minute."""
    return 60 / np.median(np.diff(peaks(record)))


def irregularity(record: Signal) -> float:
    """Measure the coefficient of variation of RR."""
    rr = np.diff(peaks(record))
    return rr.std() / rr.mean()


def beat(record: Signal, rate: int) -> Signal:
    """Cut the median beat, 0.25 s before to 0.55 s after the R peak, shape (time, 12), baseline before the P-R."""
    before, after = round(0.25 * rate), round(0.55 * rate)
    starts = [round(t * rate) for t in peaks(record, rate)]
    beats = [record[s - before : s + after] for s in starts if before <= s <= len(record) - after]
    middle = np.median(beats, axis=0)
    return middle - np.median(middle, axis=0)


def qrs_width(record: Signal, rate: int = 500) -> float:
    """Measure how long the median beat is steep, in seconds."""
    slope = np.sqrt(np.square(np.diff(beat(record, rate), axis=0)).sum(axis=1))[round(0.13 * rate) : round(0.42 * rate)]
    steep = np.flatnonzero(slope > 0.15 * slope.max())
    return (steep[-1] - steep[0]) / rate


def lead(*names: str) -> list[int]:
    """Give the columns of leads."""
    return [LEADS.index(name) for name in names]


def test_sinus_rates() -> None:
    assert all(heart_rate(record) < 60 for record in hearts("NORM", "SBRAD"))
    assert all(heart_rate(record) > 100 for record in hearts("NORM", "STACH"))
    assert all(59 < heart_rate(record) < 100 for record in hearts("NORM", "SR"))
    assert all(heart_rate(record) > 145 for record in hearts("NST_", "SVTAC"))


def test_irregular_rhythms() -> None:
    steady, arrhythmic, fibrillating = (
        [irregularity(record) for record in hearts("NORM", code)] for code in ("SR", "SARRH", "AFIB")
    )
    assert max(steady) < 0.06 < np.median(arrhythmic)
    assert np.median(fibrillating) > 2.5 * np.median(steady)
    assert min(fibrillating) > 0.08

    def atrial(record: Signal) -> float:
        return beat(record, 500)[round(0.05 * 500) : round(0.17 * 500), lead("II")].max()

    assert np.median([atrial(r) for r in hearts("NORM", "AFIB", rate=500)]) < 0.7 * np.median(
        [atrial(r) for r in hearts("NORM", "SR", rate=500)]
    )


def test_premature_beats_come_early() -> None:
    for code in ("PVC", "PAC"):
        ratios = [np.diff(peaks(r)).min() / np.median(np.diff(peaks(r))) for r in hearts("NORM", "SR", code)]
        assert np.median(ratios) < 0.8
    changes = [np.median(np.abs(np.diff(peaks(record), n=2))) for record in hearts("NORM", "SR", "BIGU", "PVC")]
    assert np.median(changes) > 0.3


def test_conduction_blocks_widen_the_qrs() -> None:
    normal, left, right = (hearts(*codes, rate=500) for codes in (("NORM",), ("CLBBB",), ("CRBBB",)))
    widths = [np.median([qrs_width(record) for record in group]) for group in (normal, left, right)]
    assert 0.05 < widths[0] < 0.11 < min(widths[1:])
    spikeless = [uniform_filter1d(record, 15, axis=0) for record in hearts("PACE", rate=500)]
    assert np.median([qrs_width(record) for record in spikeless]) > 0.12
    column = lead("V1")
    assert np.median([beat(r, 500)[90:180, column].min() + beat(r, 500)[90:160, column].max() for r in left]) < -0.5
    assert np.median([beat(r, 500)[140:190, column].max() for r in right]) > 0.3


def test_axis_of_fascicular_blocks() -> None:
    def net(code: str, name: str) -> float:
        extremes = [beat(record, 500)[90:180, lead(name)] for record in hearts(code, rate=500)]
        return np.median([wave.max() + wave.min() for wave in extremes])

    assert net("LAFB", "aVF") < 0 < net("LAFB", "I")
    assert net("LPFB", "I") < 0 < net("LPFB", "aVF")


def test_infarction_shows_in_its_leads() -> None:
    def initial(code: str, names: list[str]) -> float:
        return np.median([beat(r, 500)[105:130, lead(*names)].min() for r in hearts(code, rate=500)])

    assert initial("IMI", ["III", "aVF"]) < -0.2 < initial("NORM", ["aVF"])
    r_wave = {
        code: np.median([beat(r, 500)[105:135, lead("V2")].max() for r in hearts(code, rate=500)])
        for code in ("NORM", "ASMI")
    }
    assert r_wave["ASMI"] < 0.5 * r_wave["NORM"]


def test_voltages() -> None:
    def sokolow(record: Signal) -> float:
        return -record[:, lead("V1")].min() + record[:, lead("V5", "V6")].max()

    high = np.median([sokolow(record) for record in hearts("LVH", "VCLVH", "SR")])
    assert high > 3.5 > np.median([sokolow(record) for record in hearts("NORM", "SR")]) > 1.2
    assert all(np.ptp(record[:, :6], axis=0).max() < 0.9 for record in hearts("LVOLT", "NORM", "SR"))
    assert np.median([np.ptp(record[:, :6], axis=0).max() for record in hearts("LVOLT", "NORM", "SR")]) < 0.6


def test_intervals() -> None:
    def peak(record: Signal, start: int, stop: int) -> float:
        return start / 500 + np.argmax(beat(record, 500)[start:stop, lead("II")]) / 500

    pr = {code: np.median([peak(r, 0, 85) for r in hearts(code, "SR", rate=500)]) for code in ("NORM", "1AVB")}
    qt = {code: np.median([peak(r, 200, 400) for r in hearts(code, "SR", rate=500)]) for code in ("NORM", "LNGQT")}
    assert pr["1AVB"] < pr["NORM"] - 0.03
    assert qt["LNGQT"] > qt["NORM"] + 0.03


def test_normal_record_looks_normal() -> None:
    middle = np.median([beat(record, 100) for record in hearts("NORM", "SR", count=24)], axis=0)
    r_waves = middle[18:36].max(axis=0)
    assert np.all(np.diff(r_waves[lead("V1", "V2", "V3", "V4")]) > 0)
    assert -middle[:, lead("aVR")].min() > 3 * middle[:, lead("aVR")].max()
    assert np.all(middle[45:62, lead("I", "II", "V3", "V4", "V5", "V6")].max(axis=0) > 0.08)


def test_amplitudes_are_in_the_range_of_real_records(ptbxl: Path) -> None:
    with (ptbxl / "ptbxl_database.csv").open(newline="") as file:
        normal = [row["filename_lr"] for row in csv.DictReader(file) if "'NORM'" in row["scp_codes"]]
    names = [name for name in normal if (ptbxl / f"{name}.dat").exists()][:150]
    theirs = np.stack([np.fromfile(ptbxl / f"{name}.dat", "<i2").reshape(-1, 12) for name in names]) / 1000
    ours = hearts("NORM", "SR", count=60)
    for quantile in (0.5, 99.5):
        mine, other = (
            np.median(np.percentile(x - np.median(x, axis=1, keepdims=True), quantile, axis=1), axis=0)
            for x in (ours, theirs)
        )
        assert np.all(np.abs(mine - other) < 0.5 * np.abs(other) + 0.1)
