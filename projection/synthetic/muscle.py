"""How scars and thick walls bend the QRS complex and the P wave. Sources and the meaning of arguments: `findings`."""

import numpy as np

from projection.synthetic.heart import Heart, Wave, lift_st, turn, turn_t

# Infarction: the initial forces point away from the scar, and so does the T wave.


def inferior_infarction(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Point the first 40 ms upwards: Q in II, III and aVF (IMI)."""
    qrs = heart.conducted.qrs
    turn(qrs, "septal", 0.5, 0.03, -0.46 * grade, 0.0, widen=1.45)
    turn(qrs, "apical", 0.9, 0.0, -0.28 * grade, 0.0)
    turn(qrs, "free_wall", 0.9, 0.0, -0.20 * grade, 0.0)
    turn_t(heart, 0.9, 0.02, -0.16 * grade, 0.0)


def lateral_infarction(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Point the first 40 ms to the right: Q in I, aVL and V6 (LMI)."""
    qrs = heart.conducted.qrs
    turn(qrs, "septal", 1.0, -0.40 * grade, 0.0, -0.05, widen=1.35)
    turn(qrs, "apical", 0.8, -0.20 * grade, 0.0, 0.0)
    turn(qrs, "free_wall", 0.75, -0.22 * grade, 0.05, 0.0)
    turn_t(heart, 0.9, -0.15 * grade, 0.0, -0.02)


def inferolateral_infarction(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Join both (ILMI)."""
    inferior_infarction(heart, grade, rng)
    lateral_infarction(heart, 0.8 * grade, rng)


def anteroseptal_infarction(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Point the first 40 ms to the back: QS in V1 to V3 (ASMI)."""
    qrs = heart.conducted.qrs
    turn(qrs, "septal", 0.2, 0.05, 0.0, 0.30 * grade, widen=1.3)
    turn(qrs, "apical", 0.7, 0.0, 0.0, 0.38 * grade)
    turn(qrs, "basal", 1.0, 0.0, 0.0, 0.05 * grade)
    lift_st(heart, 0.0, 0.0, -0.06 * grade)
    turn_t(heart, 0.9, 0.0, 0.0, 0.14 * grade)


def anterior_infarction(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Lose the R progression of V2 to V4 (AMI)."""
    qrs = heart.conducted.qrs
    turn(qrs, "septal", 0.9, -0.12 * grade, 0.0, 0.18 * grade)
    turn(qrs, "apical", 0.3, -0.22 * grade, 0.05, 0.60 * grade, widen=1.2)
    turn(qrs, "free_wall", 0.75, 0.0, 0.0, 0.25 * grade)
    lift_st(heart, 0.05, 0.0, -0.10 * grade)
    turn_t(heart, 0.7, -0.12 * grade, 0.0, 0.24 * grade)


def anterolateral_infarction(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Point the first 40 ms to the right and back: Q in V3 to V6, I and aVL (ALMI)."""
    qrs = heart.conducted.qrs
    turn(qrs, "septal", 0.4, -0.36 * grade, 0.0, 0.25 * grade, widen=1.35)
    turn(qrs, "apical", 0.4, -0.28 * grade, 0.0, 0.40 * grade)
    turn(qrs, "free_wall", 0.65, -0.15 * grade, 0.0, 0.12)
    lift_st(heart, 0.04, -0.02, -0.07 * grade)
    turn_t(heart, 0.7, -0.22 * grade, 0.0, 0.10 * grade)


def q_waves(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Deepen and widen the initial wave (QWAVE)."""
    septal = heart.conducted.qrs["septal"]
    direction = septal.xyz / max(float(np.linalg.norm(septal.xyz)), 0.05)
    septal.xyz = septal.xyz + 0.20 * grade * direction + np.array([-0.06 * grade, -0.10 * grade, 0.0])
    septal.at, septal.width = septal.at - 0.006, septal.width * 1.3


def abnormal_qrs(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Notch the end of the QRS complex (ABQRS)."""
    direction = rng.standard_normal(3) + np.array([0.5, 0.8, 0.0])
    notch = 0.34 * grade * direction / np.linalg.norm(direction)
    heart.conducted.qrs["notch"] = Wave(0.044, 0.0065, notch)
    heart.conducted.qrs["dent"] = Wave(0.028, 0.0065, -0.9 * notch)


# Hypertrophy and voltage


def left_ventricular_hypertrophy(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Enlarge and slow the QRS loop, more to the left and back (LVH)."""
    heart.gain = max(heart.gain, 0.9) * (1.15 + 0.25 * grade)
    qrs = heart.conducted.qrs
    turn(qrs, "free_wall", 1.0, 0.10, -0.10, 0.22 * grade)
    turn(qrs, "basal", 1.0, 0.12, -0.08, 0.20 * grade)
    heart.conducted.widen(1.10)
    turn_t(heart, 0.6, -0.05 * grade, 0.0, -0.04)


def right_ventricular_hypertrophy(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Turn the QRS loop to the front and right, T to the back (RVH)."""
    qrs = heart.conducted.qrs
    turn(qrs, "apical", 0.7, -0.25, 0.05, -0.10)
    turn(qrs, "free_wall", 0.55, -0.42 * grade, 0.12, -0.55 * grade)
    turn(qrs, "basal", 0.3, -0.52 * grade, 0.10, -0.10)
    turn(qrs, "terminal", 1.0, -0.15 * grade, 0.0, 0.0)
    turn_t(heart, 0.8, 0.0, -0.03, 0.20 * grade)


def left_atrial_enlargement(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Delay and enlarge the second half of the P wave (LAO/LAE)."""
    left = heart.conducted.atrial["left"]
    left.at, left.width = 0.052, 0.021
    left.xyz = left.xyz + np.array([0.05 * grade, 0.03, 0.13 * grade])
    heart.pr += 0.018


def right_atrial_enlargement(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Peak the P wave in II, III and aVF (RAO/RAE)."""
    turn(heart.conducted.atrial, "right", 1.0, 0.0, 0.19 * grade, -0.09 * grade)
    turn(heart.conducted.atrial, "left", 0.8)


def voltage(heart: Heart, grade: float, rng: np.random.Generator, lower: float, upper: float) -> None:
    """Scale an ordinary QRS voltage (LVOLT)."""
    heart.gain = float(np.clip(heart.gain, 0.9, 1.1)) * rng.uniform(lower, upper)


def high_voltage(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Raise the QRS voltage above the criteria (HVOLT, VCLVH)."""
    heart.gain = max(1.22 * heart.gain, rng.uniform(1.4, 1.6))
