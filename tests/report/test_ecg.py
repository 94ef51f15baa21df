"""Electrocardiograms to scale, and the colours along them."""

import re
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

from projection.corpus.statements import LEADS
from projection.report import electrocardiogram as ecg
from projection.report.electrocardiogram import MM, draw_ecg, paper, smoothed, strips_of
from tests.report.drawings import Strip, halos, numbers, points, strips

ROWS = (("I", "aVR", "V1", "V4"), ("II", "aVL", "V2", "V5"), ("III", "aVF", "V3", "V6"), ("II",))
CSS = (Path(ecg.__file__).parent / "page.css").read_text()


def layout(signals: np.ndarray, rate: int, attribution: np.ndarray | None = None) -> tuple[list[int], int]:
    return ecg.layout(signals, rate, strips_of(rate, attribution))


def record(rate: int, seconds: float = 10) -> np.ndarray:
    """Give every lead a height of its own, in mV."""
    time = np.arange(round(seconds * rate)) / rate
    return np.stack([0.1 * lead + 0.5 * np.sin(2 * np.pi * 0.8 * time) for lead in range(12)])


@pytest.mark.parametrize("rate", [100, 250, 500])
def test_a_drawing_is_to_scale(rate: int) -> None:
    signals = record(rate)
    svg = draw_ecg("drawing", signals, rate)
    assert f'viewBox="0 0 2600 {MM * layout(signals, rate)[1]}"' in svg
    assert f"25 mm/s, 10 mm/mV, sampled at {rate} Hz; a small square is 0.04 s by 0.1 mV" in svg
    assert '<use href="#ecg-paper"/>' in svg
    found = strips(svg)
    assert [each.lead for each in found] == [lead for row in ROWS for lead in row]
    for place, strip in enumerate(found):
        row, column = divmod(place, 4)
        assert strip.row == row
        expected = np.interp(strip.seconds, np.arange(10 * rate) / rate, signals[LEADS.index(strip.lead)])
        # a hundredth of a millimetre is 1 microvolt
        assert np.abs(strip.millivolts - expected).max() < 0.004
        # to the next strip, or the record's last sample
        start, end = 2.5 * column, 10 - 1 / rate if row == 3 or column == 3 else 2.5 * (column + 1)
        assert strip.seconds[[0, -1]] == pytest.approx([start, end], abs=0.001)


def test_the_calibration_pulse_is_a_millivolt_and_a_fifth_of_a_second() -> None:
    svg = draw_ecg("drawing", np.zeros((12, 1000)), 100)
    pulses = [points(data) for data in re.findall(r'class="calibration" d="([^"]*)"', svg)]
    assert [pulse[0, 1] for pulse in pulses] == [MM * baseline for baseline in layout(np.zeros((12, 1000)), 100)[0]]
    for pulse in pulses:
        assert (pulse - pulse[0]).tolist() == [[0, 0], [10, 0], [10, -100], [60, -100], [60, 0], [70, 0]]


def test_the_paper_is_ruled_in_millimetres_and_reaches_below_the_tallest_record() -> None:
    tall = np.zeros((12, 1000))
    tall[0, 0], tall[2, 0] = 9, -9
    strongest = np.zeros_like(tall)
    strongest[2, 0] = 1
    height = MM * layout(tall, 100, strongest)[1]
    assert '<g id="ecg-paper">' in paper()
    for name, apart in (("fine", 10), ("coarse", 50)):
        (data,) = re.findall(f'class="{name}" d="([^"]*)"', paper())
        upright = [numbers(line) for line in re.findall(r"M[^MHV]*V[^M]*", data)]
        level = [numbers(line) for line in re.findall(r"M[^MHV]*H[^M]*", data)]
        assert upright == [[x, 0, height] for x in range(0, 2601, apart)]
        assert level == [[0, y, 2600] for y in range(0, height + 1, apart)]


def test_large_deflections_get_room_and_short_or_long_records_are_drawn() -> None:
    flat = np.zeros((12, 1000))
    usual, height = layout(flat, 100)
    tall = flat.copy()
    tall[0, 100], tall[1, 900] = 2.5, -2.5
    higher, more = layout(tall, 100)
    assert higher[0] - usual[0] == 10
    assert more - height == 20
    tall = flat.copy()
    tall[6, 100], tall[1, 900] = 2.5, 2.5  # V1 before its strip begins, and II upwards
    assert layout(tall, 100) == (usual, height)
    short = strips(draw_ecg("drawing", record(100, 4), 100, np.ones((12, 400))))
    assert [(each.lead, each.seconds[-1]) for each in short[::2]] == [
        *(("I", 2.5), ("II", 2.5), ("III", 2.5)),
        ("II", pytest.approx(3.99)),
    ]
    assert (short[-1].lead, short[-1].seconds[-1]) == ("I", pytest.approx(3.99))
    assert "nan" not in draw_ecg("drawing", np.ones((12, 3000)), 100, np.ones((12, 3000)))


def expected_colours(drawn: list[Strip], attribution: np.ndarray, rate: int) -> dict[tuple[float, ...], str]:
    """Compute the colour between each two neighbouring samples from the largest absolute value of the record."""
    relative, colours = attribution / np.abs(attribution).max(), {}
    for strip in drawn:
        first, lead = round(strip.seconds[0] * rate), LEADS.index(strip.lead)
        for step in range(len(strip.places) - 1):
            mean = relative[lead, first + step : first + step + 2].mean()
            level = sum(abs(mean) >= edge for edge in (0.08, 0.2, 0.4, 0.7))
            if level:
                colour = f"{'for' if mean > 0 else 'against'} level{level}"
                colours[tuple(strip.places[step : step + 2].flatten())] = colour
    return colours


@pytest.mark.thorough
@pytest.mark.parametrize("rate", [100, 500])
def test_colours_tell_sign_and_strength_relative_to_the_largest_absolute_value(rate: int) -> None:
    signals = record(rate)
    # the largest value is negative, and not among the columns: V1 is drawn once more
    attribution = smoothed(np.random.default_rng(0).normal(size=signals.shape), rate, 0.2)
    attribution[6, : rate // 10] = -1.2 * np.abs(attribution).max()
    svg = draw_ecg("drawing", signals, rate, attribution)
    found = {tuple(pair.flatten()): colour for colour, pair in halos(svg)}
    assert found == expected_colours(strips(svg), attribution, rate)
    assert {f"{side} level{level}" for side, level in product(("for", "against"), (1, 2, 3))} <= set(found.values())
    assert not list(halos(draw_ecg("drawing", signals, rate, np.zeros_like(signals))))
    assert not list(halos(draw_ecg("drawing", signals, rate)))


@pytest.mark.parametrize("lead", LEADS)
@pytest.mark.parametrize("seconds", [0.3, 6.2])
def test_the_strongest_attribution_is_always_drawn(lead: str, seconds: float) -> None:
    signals = record(100)
    attribution = np.full_like(signals, 0.01)
    attribution[LEADS.index(lead), round(100 * seconds) : round(100 * seconds) + 2] = -1
    svg = draw_ecg("drawing", signals, 100, attribution)
    drawn = strips(svg)
    assert [each.lead for each in drawn] == [*(name for row in ROWS for name in row), *([lead] if lead != "II" else [])]
    lowest = drawn[-1]
    assert lowest.lead == lead
    assert lowest.seconds[[0, -1]] == pytest.approx([0, 9.99], abs=0.001)
    expected = np.interp(lowest.seconds, np.arange(1000) / 100, signals[LEADS.index(lead)])
    assert np.abs(lowest.millivolts - expected).max() < 0.004
    strongest = [pair for colour, pair in halos(svg) if colour == "against level4"]
    assert any(np.allclose(pair[0], lowest.places[round(100 * seconds)], atol=0.1) for pair in strongest)
    assert len(ecg.layout(signals, 100, strips_of(100, attribution))[0]) == len({each.row for each in drawn})


@pytest.mark.parametrize(("length", "place", "first"), [(30, 2400, 20), (10.24, 1015, 0.24)])
def test_of_longer_records_ten_seconds_with_the_strongest_attribution_are_drawn(
    length: float, place: int, first: float
) -> None:
    signals = record(100, length)
    attribution = np.zeros_like(signals)
    attribution[1, place : place + 2] = 1
    svg = draw_ecg("drawing", signals, 100, attribution)
    lowest = strips(svg)[-1]
    assert (lowest.lead, lowest.row) == ("II", 4)
    expected = np.interp(lowest.seconds + first, np.arange(signals.shape[1]) / 100, signals[1])
    assert np.abs(lowest.millivolts - expected).max() < 0.004
    assert any(colour == "for level4" for colour, _ in halos(svg))


@pytest.mark.parametrize(("rate", "width"), [(100, 5), (500, 25)])
def test_attributions_are_averaged_over_fifty_milliseconds(rate: int, width: int) -> None:
    attribution = np.random.default_rng(0).normal(size=(12, 700))
    expected = scipy.ndimage.uniform_filter1d(attribution, width, axis=1, mode="constant")
    np.testing.assert_allclose(smoothed(attribution, rate), expected, atol=1e-12)


def test_what_speaks_for_a_statement_is_warm_and_stronger_colours_hide_more() -> None:
    colours = {name: re.findall(rf"\.{name} {{ stroke: #(..)(..)(..);", CSS) for name in ("for", "against")}
    red, _, blue = (int(part, 16) for part in colours["for"][0])
    assert red > 2 * blue
    red, _, blue = (int(part, 16) for part in colours["against"][0])
    assert blue > 2 * red
    opacities = [float(each) for each in re.findall(r"\.level\d { stroke-opacity: ([\d.]+);", CSS)]
    assert len(opacities) == len(set(opacities)) == len(ecg.LEVELS)
    assert opacities == sorted(opacities)
