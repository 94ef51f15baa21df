"""From a record's description to its twelve-lead signal in counts of a microvolt."""

from dataclasses import replace

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from projection.synthetic.findings import apply_findings
from projection.synthetic.heart import (
    DOWER,
    GRID,
    MARGIN,
    MODEL_RATE,
    SECONDS,
    Array,
    Heart,
    Wave,
    add_wave,
    normal_beat,
    rotation,
    vary,
    ventricular_beat,
)
from projection.synthetic.records import Noise, Record
from projection.synthetic.rhythm import Rhythm, draw_rhythm

_MUSCLE = np.repeat([1.3, 0.7], [3, 6]).astype(np.float32)[:, None]
_SLIDE = np.repeat([1.0, 1.7], [3, 6])[:, None]
"""The three limb electrodes pick up more muscle noise, the six on the chest move more with the breath."""

_ECTOPIC_SITES = np.array([[0.45, 1.15, 0.95], [-0.80, -0.70, -1.05], [0.85, -0.95, 0.85], [-0.70, 0.85, -0.95]])
"""Right outflow tract, left posterior wall, right apex and left outflow tract: where their beats point, in mV."""


def draw_heart(record: Record, rng: np.random.Generator) -> Heart:
    """Draw the patient's own heart, of the same anatomy in every record, and apply the record's findings to it."""
    body = np.random.default_rng([record.seed, 1, record.patient])
    beat = normal_beat()
    vary(beat, body, 0.14)
    turns = np.clip([12, 10] * body.standard_normal(2), -22, 22)
    upright = 24.0 - 0.50 * min(record.age, 90.0)  # The axis turns left with age.
    heart = Heart(
        beats={"N": beat},
        pr=float(np.clip(body.normal(0.153, 0.014), 0.125, 0.180)),
        qt=float(np.exp(0.03 * body.standard_normal())) * (1.02 if record.female else 1.0),
        gain=float(np.clip(np.exp(0.17 * body.standard_normal() - 0.002 * (record.age - 50)), 0.68, 1.35)),
        orientation=rotation(upright + turns[0], turns[1]),
        leads=DOWER * (1 + 0.08 * body.standard_normal((8, 3))) * np.exp(0.12 * body.standard_normal((8, 1))),
    )
    if record.female:
        heart.leads[2:] *= 0.88
    site = _ECTOPIC_SITES[rng.integers(len(_ECTOPIC_SITES))] + 0.2 * rng.standard_normal(3)
    heart.beats["V"] = ventricular_beat(site * rng.uniform(0.75, 1.15))
    apply_findings(heart, record.grades, rng)
    origin = rng.uniform([0.3, -1.2, -0.5], [1.0, -0.4, 1.2])
    atrial = {name: Wave(wave.at, wave.width, wave.xyz * origin) for name, wave in heart.conducted.atrial.items()}
    heart.beats["A"] = replace(heart.conducted, atrial=atrial)
    return heart


def _dipole(heart: Heart, rhythm: Rhythm, rng: np.random.Generator) -> Array:
    """Add up all waves of all beats, shape (3, time)."""
    dipole = rhythm.atrial.copy()
    breath = 1 + 0.045 * np.sin(2 * np.pi * rng.uniform(0.2, 0.3) * rhythm.times + rng.uniform(0, 2 * np.pi))
    gains = breath + 0.015 * rng.standard_normal(rhythm.times.size)
    # McSharry et al. scale the interval from R to T with the square root of RR; it follows the mean with inertia.
    stretch = heart.qt * np.sqrt(0.75 * np.median(rhythm.intervals) + 0.25 * rhythm.intervals) ** 0.9
    for kind, beat in heart.beats.items():
        chosen = rhythm.kinds == kind
        times, size, long = rhythm.times[chosen], gains[chosen], stretch[chosen]
        for wave in beat.qrs.values():
            add_wave(dipole, wave, times + wave.at, np.full(times.size, wave.width), size * heart.gain)
        for wave in beat.recovery.values():
            add_wave(dipole, wave, times + wave.at * long, wave.width * long, size * heart.gain**0.5)
        seen = rhythm.p_waves & (rhythm.intervals[chosen] > 0.415)
        pr = heart.pr * np.minimum(1.0, (rhythm.intervals[chosen] / 0.8) ** 0.25)
        for wave in beat.atrial.values():
            at = (times - pr + wave.at)[seen]
            add_wave(dipole, wave, at, np.full(at.size, wave.width), size[seen])
    return dipole


def _noise(noise: Noise, rng: np.random.Generator) -> Array:
    """Draw electrode noise in mV and read it through the leads, shape (8, time).

    Baseline wander, muscle noise with a burst, and mains hum, all at the nine electrodes, so that it obeys
    Einthoven's and Wilson's equations as real noise does.
    """
    electrodes = noise.muscle * _MUSCLE * rng.standard_normal((9, GRID.size), dtype=np.float32)
    if noise.burst:
        window = np.exp(-0.5 * ((GRID - rng.uniform(1, SECONDS - 1)) / 0.4) ** 2)
        electrodes[rng.integers(9)] += noise.burst * window * rng.standard_normal(GRID.size)
    slow = rng.uniform(0.05, 0.5, 3)
    angles = (2 * np.pi * np.append(slow, 50.0)[:, None] * GRID).astype(np.float32)
    sizes = np.append(noise.wander / np.sqrt(1 + (slow / 0.25) ** 2), noise.mains)
    for waves in (np.sin(angles), np.cos(angles)):
        swings = _SLIDE * sizes * rng.standard_normal((9, 4))
        electrodes += np.einsum("ef,ft->et", swings.astype(np.float32), waves)
    right_arm, left_arm, leg = electrodes[:3].astype(np.float64)
    limbs = [left_arm - right_arm, leg - right_arm]
    return np.concatenate([limbs, electrodes[3:] - (right_arm + left_arm + leg) / 3])


def _lowpass(cutoff: float, taps: int = 51) -> Array:
    """Design a windowed-sinc filter for the model's rate, cutoff in Hz."""
    at = np.arange(taps) - taps // 2
    kernel = np.sinc(2 * cutoff / MODEL_RATE * at) * np.hamming(taps)
    return np.asarray(kernel / kernel.sum())


_KERNELS = {500: _lowpass(150.0), 100: _lowpass(38.0)}
_STEPS = {500: 5, 100: 1}
"""Resolution in microvolts: the recorders' 5 at 500 Hz, finer once filtered to 100 Hz."""


def _sample(leads: Array, sampling_rate: int) -> Array:
    """Filter and decimate the eight measured leads to whole counts, shape (8, time)."""
    kernel, every = _KERNELS[sampling_rate], MODEL_RATE // sampling_rate
    edge = round(MARGIN * MODEL_RATE) - kernel.size // 2
    windows = sliding_window_view(leads[:, edge : leads.shape[1] - edge], kernel.size, axis=1)
    step = _STEPS[sampling_rate]
    # einsum, not matmul: BLAS threads of several workers would fight over the cores.
    sampled = np.einsum("ltk,k->lt", windows[:, ::every], kernel)
    return np.asarray(np.rint(1000 * sampled / step) * step)


def twelve_leads(measured: Array) -> NDArray[np.int16]:
    """Derive the limb leads by Einthoven's and Goldberger's equations.

    From leads I, II and V1 to V6 in whole counts `(8, time)` come twelve in PTB-XL's order, `(time, 12)`.
    """
    first, second = measured[:2]
    limbs = [first, second, second - first, -(first + second) / 2, first - second / 2, second - first / 2]
    counts: NDArray[np.int16] = np.rint(np.concatenate([limbs, measured[2:]])).T.astype(np.int16)
    return counts


def render(record: Record, sampling_rates: tuple[int, ...]) -> dict[int, NDArray[np.int16]]:
    """Draw a record's signal at 100 Hz, 500 Hz or both, the same whichever are asked for.

    Returns:
        Counts of a microvolt by sampling rate, shape (10 * sampling rate, 12).
    """
    rng = np.random.default_rng([record.seed, 2, record.number])
    heart = draw_heart(record, rng)
    rhythm = draw_rhythm(record.statements.keys(), rng)
    leads = np.einsum("lx,xt->lt", heart.leads @ heart.orientation, _dipole(heart, rhythm, rng))
    leads += _noise(record.noise, rng)
    return {rate: twelve_leads(_sample(leads, rate)) for rate in sampling_rates}
