"""A beating heart as one moving dipole, and the twelve leads that see it.

Each wave of a beat is a Gaussian bump of the heart's dipole moment, as in the dynamical model of McSharry et al., A
dynamical model for generating synthetic electrocardiogram signals, IEEE TBME 50(3) (2003), extended to three
dimensions by Sameni et al., Multichannel ECG and noise modeling: application to maternal and fetal ECG signals,
EURASIP JASP 2007:43407 (2007). Their differential equations have the sum of Gaussians as closed-form solution, which
is what is evaluated here: no integration over time steps.

Axes are Frank's: x to the left, y to the feet, z to the back. Times are in seconds, dipole components in millivolts.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MODEL_RATE = 500
"""Sampling rate of the model in Hz; other rates are filtered and decimated from it."""

SECONDS = 10
MARGIN = 0.1
"""Seconds simulated before and after the record, so that filters need no padding."""

GRID = np.arange(-round(MARGIN * MODEL_RATE), round((SECONDS + MARGIN) * MODEL_RATE)) / MODEL_RATE

# Dower, Machado & Osborne, On deriving the electrocardiogram from vectorcardiographic leads, Clin. Cardiol. 3 (1980).
DOWER = np.array(
    [
        [0.632, -0.235, 0.059],  # I
        [0.235, 1.066, -0.132],  # II
        [-0.515, 0.157, -0.917],  # V1
        [0.044, 0.164, -1.387],  # V2
        [0.882, 0.098, -1.277],  # V3
        [1.213, 0.127, -0.601],  # V4
        [1.125, 0.127, -0.086],  # V5
        [0.831, 0.076, 0.230],  # V6
    ]
)
"""Leads I, II, V1 to V6 (rows) from the dipole (columns x, y, z)."""


@dataclass
class Wave:
    """One Gaussian bump of the dipole.

    Args:
        at: Peak in seconds, after the R peak (atrial waves: after the P peak).
        width: Standard deviation in seconds.
        xyz: Dipole at the peak in mV, shape (3,).
    """

    at: float
    width: float
    xyz: Array

    @classmethod
    def of(cls, at: float, width: float, *xyz: float) -> "Wave":
        """Make a wave from plain numbers."""
        return cls(at, width, np.array(xyz))


Waves = dict[str, Wave]


@dataclass
class Beat:
    """The waves of one kind of beat, by name.

    Args:
        atrial: P wave, timed from the P peak.
        qrs: Ventricular depolarisation, timed from the R peak.
        recovery: ST segment and T wave, timed from the R peak and stretched with the RR interval.
    """

    atrial: Waves = field(default_factory=dict)
    qrs: Waves = field(default_factory=dict)
    recovery: Waves = field(default_factory=dict)

    def widen(self, factor: float) -> None:
        """Slow ventricular conduction down: QRS waves `factor` times as long, recovery later by as much."""
        end = max(wave.at for wave in self.qrs.values())
        for wave in self.qrs.values():
            wave.at, wave.width = wave.at * factor, wave.width * factor
        for wave in self.recovery.values():
            wave.at += end * (factor - 1)


@dataclass
class Heart:
    """A heart that findings alter before its beats are drawn.

    Args:
        beats: Templates by kind: N conducted, A premature atrial, V premature ventricular, S paced.
        pr: P peak to R peak in seconds.
        qt: Length of recovery relative to normal.
        gain: Factor on the QRS voltage.
        orientation: Rotation of the heart in the chest, shape (3, 3).
        leads: The patient's lead matrix, shape (8, 3).
    """

    beats: dict[str, Beat]
    pr: float = 0.155
    qt: float = 1.0
    gain: float = 1.0
    orientation: Array = field(default_factory=lambda: np.eye(3))
    leads: Array = field(default_factory=lambda: DOWER.copy())

    @property
    def conducted(self) -> Beat:
        """The template of a conducted beat."""
        return self.beats["N"]


def normal_beat() -> Beat:
    """Make a textbook beat: septal, apical, left ventricular and basal depolarisation, then a concordant T wave."""
    return Beat(
        atrial={
            "right": Wave.of(0.0, 0.018, 0.04, 0.085, -0.05),
            "left": Wave.of(0.030, 0.018, 0.06, 0.055, 0.045),
        },
        qrs={
            "septal": Wave.of(-0.026, 0.0070, -0.11, -0.06, -0.15),
            "apical": Wave.of(-0.011, 0.0080, 0.44, 0.20, -0.36),
            "free_wall": Wave.of(0.003, 0.0090, 0.98, 0.52, 0.24),
            "basal": Wave.of(0.020, 0.0095, 0.12, 0.03, 0.78),
            "terminal": Wave.of(0.036, 0.0090, -0.14, -0.12, 0.14),
        },
        recovery={
            "st": Wave.of(0.110, 0.035, 0.02, 0.012, -0.035),
            "t_rise": Wave.of(0.225, 0.045, 0.12, 0.07, -0.12),
            "t_fall": Wave.of(0.268, 0.030, 0.17, 0.09, -0.12),
        },
    )


def ventricular_beat(xyz: Array) -> Beat:
    """Make a beat that spreads slowly from one ventricular site: wide, without P wave, with an opposite T wave.

    Depolarisation has the main direction and size `xyz` in mV, shape (3,).
    """
    return Beat(
        qrs={
            "onset": Wave(-0.040, 0.018, 0.45 * xyz * [1.0, 0.7, 0.6]),
            "main": Wave(-0.004, 0.020, 0.85 * xyz),
            "late": Wave(0.038, 0.020, 0.50 * xyz * [0.7, 1.0, 1.3]),
        },
        recovery={
            "st": Wave(0.130, 0.040, -0.14 * xyz),
            "t_rise": Wave(0.235, 0.050, -0.20 * xyz),
            "t_fall": Wave(0.285, 0.036, -0.24 * xyz),
        },
    )


def turn(
    waves: Waves, name: str, keep: float, x: float = 0.0, y: float = 0.0, z: float = 0.0, *, widen: float = 1.0
) -> None:
    """Keep a share of a wave, add a dipole in mV, and make it `widen` times as wide."""
    wave = waves[name]
    wave.xyz = keep * wave.xyz + np.array([x, y, z])
    wave.width *= widen


def turn_t(heart: Heart, keep: float, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> None:
    """Keep a share of the T wave and add a dipole in mV."""
    for name in ("t_rise", "t_fall"):
        turn(heart.conducted.recovery, name, keep, x, y, z)


def lift_st(heart: Heart, x: float, y: float, z: float) -> None:
    """Add a dipole in mV to the ST segment."""
    turn(heart.conducted.recovery, "st", 1.0, x, y, z)


def vary(beat: Beat, rng: np.random.Generator, share: float) -> None:
    """Make a textbook beat a patient's own, in place: every wave's size, direction, place and width changes a little.

    The change has a standard deviation of `share` of the wave's size.
    """
    for waves in (beat.atrial, beat.qrs, beat.recovery):
        for wave in waves.values():
            size = float(np.linalg.norm(wave.xyz))
            wave.xyz = wave.xyz * (1 + share * rng.standard_normal()) + 0.7 * share * size * rng.standard_normal(3)
            wave.at += 0.12 * wave.width * rng.standard_normal()
            wave.width *= float(np.exp(0.06 * rng.standard_normal()))


def rotation(frontal: float, horizontal: float) -> Array:
    """Give the matrix `(3, 3)` that rotates the heart in the chest.

    Args:
        frontal: Degrees by which the electrical axis turns clockwise (towards a vertical heart).
        horizontal: Degrees by which the front of the heart turns to the left.
    """
    matrix = np.eye(3)
    for (i, j), degrees in (((0, 1), frontal), ((0, 2), horizontal)):
        turn = np.eye(3)
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        turn[[i, i, j, j], [i, j, i, j]] = cos, -sin, sin, cos
        matrix = turn @ matrix
    return matrix


def add_wave(dipole: Array, wave: Wave, centres: Array, widths: Array, gains: Array) -> None:
    """Add one wave of many beats to the dipole, evaluated only where it differs from zero.

    Args:
        dipole: The signal to add to in mV, shape (3, time), on `GRID`.
        wave: The wave, for its dipole alone.
        centres: Its peak in each beat, in seconds, shape (beats,).
        widths: Its standard deviation in each beat, in seconds, shape (beats,).
        gains: Its size in each beat, shape (beats,).
    """
    reach = int(np.ceil(4.0 * widths.max(initial=0.0) * MODEL_RATE))
    middle = np.rint((centres - GRID[0]) * MODEL_RATE).astype(np.int64)
    index = middle[:, None] + np.arange(-reach, reach + 1)
    seconds = index / MODEL_RATE + GRID[0]
    bumps = gains[:, None] * np.exp(-0.5 * ((seconds - centres[:, None]) / widths[:, None]) ** 2)
    inside = (index >= 0) & (index < GRID.size)
    total = np.bincount(index[inside], weights=bumps[inside], minlength=GRID.size)
    dipole += wave.xyz[:, None] * total
