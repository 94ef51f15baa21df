"""How ischaemia, drugs and strain bend ST and T. Sources and the meaning of arguments: `findings`."""

import numpy as np

from projection.synthetic.heart import Heart, lift_st, turn, turn_t


def injury(heart: Heart, grade: float, rng: np.random.Generator, xyz: tuple[float, float, float]) -> None:
    """Lift or lower the ST segment (INJAS, ANEUR, STD_, STE_, NST_)."""
    lift_st(heart, *(grade * np.array(xyz)))


def ischaemia(heart: Heart, grade: float, rng: np.random.Generator, xyz: tuple[float, float, float]) -> None:
    """Turn the T wave away from the ischaemic wall, ST after it (ISCAL, ISCIN, ISCAS)."""
    turn_t(heart, 0.8, *(grade * np.array(xyz)))
    lift_st(heart, *(0.25 * grade * np.array(xyz)))


def strain(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Lower ST and invert T opposite to the QRS complex (ISC_)."""
    turn_t(heart, 0.3, -0.15 * grade, -0.06 * grade, -0.09)
    lift_st(heart, -0.12 * grade, -0.06 * grade, -0.04)


def scale_t(heart: Heart, grade: float, rng: np.random.Generator, lower: float, upper: float) -> None:
    """Flatten or invert the T wave (LOWT, INVT)."""
    turn_t(heart, rng.uniform(lower, upper))


def lateral_flat_t(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Flatten the T wave on the left (NDT)."""
    turn_t(heart, 0.85, -0.10 * grade, -0.04 * grade, 0.02)


def biphasic_t(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Make the T wave negative, then positive (TAB_)."""
    turn(heart.conducted.recovery, "t_rise", -0.9 * grade)
    turn(heart.conducted.recovery, "t_fall", 1.1)
    heart.conducted.recovery["t_fall"].at += 0.03


def long_qt(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Lengthen QT (LNGQT)."""
    heart.qt *= 1.13 + 0.12 * grade


def digitalis(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Scoop ST, flatten T and shorten QT (DIG)."""
    st = heart.conducted.recovery["st"]
    st.at, st.width = st.at + 0.02, 0.055
    lift_st(heart, -0.14 * grade, -0.11 * grade, 0.02)
    turn_t(heart, 0.5)
    heart.qt *= 0.87


def peaked_t(heart: Heart, grade: float, rng: np.random.Generator) -> None:
    """Make the T wave tall and narrow, as hyperkalaemia does (EL)."""
    turn_t(heart, 1.4 + 0.5 * grade)
    for name in ("t_rise", "t_fall"):
        heart.conducted.recovery[name].width *= 0.66
    heart.conducted.recovery["t_rise"].at += 0.012
