"""When the heart beats: rhythms as sequences of beats, and the atrial activity of fibrillation and flutter."""

from collections.abc import Set
from dataclasses import dataclass

import numpy as np

from projection.synthetic.heart import GRID, SECONDS, Array

_LEAD_IN = 1.5
"""Seconds of beats before the record, so that it starts at a random point of the cycle."""


@dataclass
class Rhythm:
    """The beats of one record.

    Args:
        times: R peaks in seconds, ascending, shape (beats,).
        kinds: Kind of each beat, one of N, A, V and S (see `Heart`), shape (beats,).
        p_waves: Whether beats of kind N follow a P wave.
        atrial: Continuous atrial activity (fibrillation, flutter) as a dipole in mV, shape (3, time).
    """

    times: Array
    kinds: np.ndarray[tuple[int], np.dtype[np.str_]]
    p_waves: bool
    atrial: Array

    @property
    def intervals(self) -> Array:
        """RR interval before each beat in seconds, shape (beats,)."""
        gaps = np.diff(self.times)
        return np.concatenate([gaps[:1], gaps])


def _regular(rate: float, breath: float, slow: float, jitter: float, rng: np.random.Generator) -> Array:
    """Sinus node: McSharry's two modulations, breath (0.2 to 0.3 Hz) and blood pressure (0.1 Hz), as shares of RR."""
    mean = 60.0 / rate
    at = np.arange(int((SECONDS + 2 * _LEAD_IN) / mean) + 4) * mean
    phases = rng.uniform(0, 2 * np.pi, 2)
    wave = breath * np.sin(2 * np.pi * rng.uniform(0.2, 0.3) * at + phases[0])
    wave += slow * np.sin(2 * np.pi * 0.1 * at + phases[1])
    rr = mean * (1 + wave + jitter * rng.standard_normal(at.size))
    return np.asarray(np.cumsum(rr) - _LEAD_IN - rng.uniform(0, mean))


def _fibrillating(rate: float, rng: np.random.Generator) -> Array:
    """AV node under fibrillation: independent, skewed RR intervals above a refractory period.

    After Petrenas et al., Electrocardiogram modeling during paroxysmal atrial fibrillation, Physiol. Meas. 38 (2017).
    """
    mean, shortest = 60.0 / rate, 0.30
    shape = rng.uniform(3.0, 7.0)
    rr = shortest + rng.gamma(shape, (mean - shortest) / shape, int((SECONDS + 2 * _LEAD_IN) / shortest))
    return np.asarray(np.cumsum(rr) - _LEAD_IN)


def _sawtooth(frequency: float, harmonics: int, unsteady: float, rng: np.random.Generator) -> Array:
    """Atrial waves after Stridh & Sornmo, Spatiotemporal QRST cancellation techniques, IEEE TBME 48(1) (2001)."""
    swing = rng.uniform(0.08, 0.25)
    phase = 2 * np.pi * frequency * GRID + rng.uniform(0, 2 * np.pi)
    phase += unsteady * 4.0 * np.sin(2 * np.pi * swing * GRID + rng.uniform(0, 2 * np.pi))
    size = 1 + unsteady * 0.5 * np.sin(2 * np.pi * rng.uniform(0.2, 0.5) * GRID + rng.uniform(0, 2 * np.pi))
    return np.asarray(-sum(size * np.sin(i * phase) / i for i in range(1, harmonics + 1)))


def _fibrillation_waves(rng: np.random.Generator) -> Array:
    xyz = np.array([-0.45, 0.50, -0.55]) + 0.15 * rng.standard_normal(3)
    size = rng.uniform(0.025, 0.055)
    waves = _sawtooth(rng.uniform(5.0, 7.5), 3, 1.0, rng) + 0.5 * _sawtooth(rng.uniform(6.0, 9.0), 1, 1.0, rng)
    return size * xyz[:, None] * waves


def _ectopic(rhythm: Rhythm, kind: str, beats: Array, rng: np.random.Generator) -> None:
    """Bring beats forward: a ventricular one leaves the sinus node its clock, an atrial one resets it."""
    for beat in beats.astype(int):
        gap = rhythm.times[beat] - rhythm.times[beat - 1]
        early = gap * (1 - (rng.uniform(0.55, 0.70) if kind == "V" else rng.uniform(0.60, 0.74)))
        early = min(early, max(gap - 0.36, 0.08 * gap))
        rhythm.times[beat] -= early
        rhythm.kinds[beat] = kind
        if kind == "A":
            rhythm.times[beat + 1 :] -= 0.8 * early


def _place_ectopics(rhythm: Rhythm, statements: Set[str], rng: np.random.Generator) -> None:
    seen = np.flatnonzero((rhythm.times > 1.0) & (rhythm.times < SECONDS - 0.8))
    for pattern, every in (("BIGU", 2), ("TRIGU", 3)):
        if pattern in statements:
            kind = "V" if "PVC" in statements else "A"
            _ectopic(rhythm, kind, np.arange(1 + rng.integers(every), seen[-1], every), rng)
            return
    # Every third place at most, so that ectopic beats neither touch nor look like bigeminy.
    places = rng.permutation(seen[::3])
    for statement, kind in (("PVC", "V"), ("PAC", "A")):
        if statement in statements:
            count = min(1 + rng.binomial(3, 0.4), max(len(places) - 1, 1))
            _ectopic(rhythm, kind, np.sort(places[:count]), rng)
            places = places[count:]


def _flutter(rng: np.random.Generator) -> tuple[Array, Array]:
    """Flutter waves that drive every second to fourth beat: R peaks, and the atrial dipole."""
    frequency = rng.uniform(4.2, 5.5)
    blocks = rng.choice([2, 3, 4], p=[0.4, 0.25, 0.35])
    steps = np.full(60, blocks) + (rng.random(60) < 0.25) * rng.choice([0, 1])
    times = np.cumsum(steps) / frequency - _LEAD_IN - rng.uniform(0, 1)
    xyz = np.array([-0.02, 0.16, -0.07]) * rng.uniform(0.7, 1.3) + 0.015 * rng.standard_normal(3)
    return times, xyz[:, None] * 0.9 * _sawtooth(frequency, 3, 0.0, rng)


def _paroxysm(rng: np.random.Generator) -> Array:
    """Sinus rhythm that breaks into a fast one, or the other way round, somewhere in the record."""
    slow, fast = 60 / rng.uniform(62, 90), 60 / rng.uniform(150, 195)
    switch = rng.uniform(3.0, 7.0)
    first, second = (slow, fast) if rng.random() < 0.5 else (fast, slow)
    before = np.arange(-_LEAD_IN - rng.uniform(0, first), switch, first)
    after = before[-1] + second + np.arange(0, SECONDS + _LEAD_IN - switch, second)
    times = np.concatenate([before, after])
    return np.asarray(times + 0.008 * rng.standard_normal(times.size))


def _rate(statements: Set[str], rng: np.random.Generator) -> float:
    """Draw the ventricular rate per minute."""
    for code, slowest, fastest in (("SBRAD", 42, 56), ("STACH", 104, 140), ("SVTAC", 150, 205), ("PACE", 60, 80)):
        if code in statements:
            return float(rng.uniform(slowest, fastest))
    mean, spread, least, most = (88, 20, 52, 140) if "AFIB" in statements else (73, 9, 62, 94)
    return float(np.clip(rng.normal(mean, spread), least, most))


def draw_rhythm(statements: Set[str], rng: np.random.Generator) -> Rhythm:
    """Draw the beats of one record from its SCP codes."""
    rate, atrial = _rate(statements, rng), np.zeros((3, GRID.size))
    if "AFIB" in statements:
        times, atrial = _fibrillating(rate, rng), _fibrillation_waves(rng)
    elif "AFLT" in statements:
        times, atrial = _flutter(rng)
    elif "PSVT" in statements:
        times = _paroxysm(rng)
    elif statements & {"SVTAC", "PACE"}:
        times = _regular(rate, 0.0, 0.0, 0.004, rng)
    elif "SARRH" in statements:
        times = _regular(rate, rng.uniform(0.13, 0.24), 0.03, 0.03, rng)
    else:
        times = _regular(rate, rng.uniform(0.005, 0.035), rng.uniform(0.005, 0.02), 0.008, rng)
    kinds = np.full(times.size, "S" if "PACE" in statements else "N")
    p_waves = not statements & {"AFIB", "AFLT", "SVTAC"}
    rhythm = Rhythm(times, kinds, p_waves, atrial)
    _place_ectopics(rhythm, statements, rng)
    return rhythm
