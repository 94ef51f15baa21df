"""How disturbed conduction bends the QRS complex. Sources and the meaning of arguments: `findings`."""

import numpy as np

from projection.synthetic.heart import Beat, Heart, Wave, turn, turn_t, ventricular_beat


def complete_left_block(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Reach the left ventricle late, through the septum: wide, notched, leftward and backward, T opposite (CLBBB)."""
    y = rng.uniform(-0.2, 0.35)
    heart.beats["N"] = Beat(
        atrial=heart.conducted.atrial,
        qrs={
            "septal": Wave.of(-0.042, 0.012, 0.25, 0.10, 0.10),
            "free_wall": Wave.of(-0.008, 0.018, 0.68, 0.32 + y, 0.40 + 0.90 * grade),
            "basal": Wave.of(0.034, 0.018, 0.82, 0.10 + y, 0.35 + 0.85 * grade),
            "terminal": Wave.of(0.066, 0.013, 0.22, 0.0, 0.30),
        },
        recovery={
            "st": Wave.of(0.145, 0.045, -0.09, -0.03, -0.17 * grade),
            "t_rise": Wave.of(0.245, 0.045, -0.14 * grade, -0.03, -0.25),
            "t_fall": Wave.of(0.290, 0.034, -0.16 * grade, -0.04, -0.28),
        },
    )


def incomplete_left_block(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Lose the septal q and lengthen the QRS complex a little (ILBBB)."""
    qrs = heart.conducted.qrs
    turn(qrs, "septal", 0.0, 0.12 * grade, 0.05, 0.08)
    turn(qrs, "apical", 0.5, 0.15, 0.05, 0.15)
    turn(qrs, "basal", 1.0, 0.45 * grade, 0.05, 0.10)
    turn(qrs, "terminal", 0.0, 0.10, 0.05, 0.10)
    heart.conducted.widen(1.25)
    turn_t(heart, 0.5, -0.03, 0.0, -0.03)


def right_block(heart: Heart, grade: float, rng: np.random.Generator, complete: bool) -> None:
    """Reach the right ventricle late: a terminal wave to the right and front (CRBBB, IRBBB)."""
    beat = heart.conducted
    turn(beat.qrs, "basal", 0.75, 0.0, 0.0, -0.05)
    if complete:
        beat.qrs["terminal"] = Wave.of(0.044, 0.013, -0.30 * grade, -0.03, -0.15 * grade)
        beat.qrs["right"] = Wave.of(0.072, 0.017, -0.40 * grade, -0.06, -0.60 * grade)
        turn_t(heart, 0.9, 0.05, 0.02, 0.17)
    else:
        beat.qrs["terminal"] = Wave.of(0.045, 0.010, -0.28 * grade, -0.05, -0.40 * grade)
        turn_t(heart, 1.0, 0.02, 0.0, 0.05)


def anterior_fascicular_block(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Turn the axis up and left after an initial wave down and right (LAFB)."""
    qrs = heart.conducted.qrs
    turn(qrs, "septal", 0.4, -0.10, 0.24, -0.04)
    turn(qrs, "apical", 1.0, 0.0, -0.15, 0.0)
    turn(qrs, "free_wall", 1.0, 0.05, -0.95 * grade, 0.0)
    turn(qrs, "basal", 1.0, 0.35, -0.65 * grade, -0.05)
    turn(qrs, "terminal", 0.3, 0.0, -0.20 * grade, 0.05)
    heart.conducted.widen(1.10)


def posterior_fascicular_block(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Turn the axis down and right after an initial wave up and left (LPFB)."""
    qrs = heart.conducted.qrs
    turn(qrs, "septal", 0.4, 0.15, -0.20, -0.08)
    turn(qrs, "free_wall", 1.0, -0.65 * grade, 0.35, 0.05)
    turn(qrs, "basal", 0.8, -0.55 * grade, 0.50, -0.05)
    turn(qrs, "terminal", 0.3, -0.20, 0.15, 0.05)
    heart.conducted.widen(1.10)


def intraventricular_delay(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Widen the QRS complex without the pattern of either bundle branch (IVCD)."""
    turn(heart.conducted.qrs, "terminal", 1.0, *(0.20 * grade * rng.standard_normal(3)))
    heart.conducted.widen(1.25 + 0.25 * grade)


def pre_excitation(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Bypass the AV node: short PR, a slow delta wave from the accessory pathway, T opposite to it (WPW)."""
    paths = np.array([[0.10, 0.25, -0.55], [0.45, -0.30, 0.20], [0.40, 0.30, 0.25]])
    delta = grade * (paths[rng.integers(3)] + 0.06 * rng.standard_normal(3))
    beat = heart.conducted
    heart.pr = rng.uniform(0.115, 0.135)
    turn(beat.qrs, "septal", 0.2)
    beat.qrs["delta"] = Wave(-0.035, 0.016, 0.9 * delta)
    for name in ("t_rise", "t_fall"):
        turn(beat.recovery, name, 0.8, *(-0.30 * delta))


def slow_av_node(heart: Heart, grade: float, rng: np.random.Generator, shortest: float, longest: float) -> None:
    """Lengthen PR (1AVB, LPR)."""
    heart.pr = max(heart.pr, rng.uniform(shortest, longest))


def paced(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Pace the right ventricular apex, in half of the patients after the right atrium (PACE)."""
    beat = ventricular_beat(np.array([0.85, -0.95, 1.05]) + 0.18 * rng.standard_normal(3))
    spike = grade * np.array([2.1, 1.9, 1.2])
    beat.qrs["spike"] = Wave(-0.078, 0.0012, spike)
    if rng.random() < 0.5:
        beat.atrial = heart.conducted.atrial | {"spike": Wave(-0.05, 0.0012, 0.6 * spike)}
    heart.pr = rng.uniform(0.19, 0.23)
    heart.beats["S"] = beat
