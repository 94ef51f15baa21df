"""Who is recorded: patients, their findings with realistic co-occurrence, and how clean each record is.

Shares follow the published label counts of PTB-XL (Wagner et al., Scientific Data 7:154, 2020), with the rarest
statements raised to about one in a hundred records, so that a corpus of 2,000 has some of each in every fold.
"""

from collections.abc import Set
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from projection.corpus.statements import BY_CODE

# Share of patients (scaled to 100 %), then the statements that brought them to the recording.
_CASES = """
50.0 NORM;
4.6 IMI; 4.2 ASMI; 0.8 ASMI IMI; 1.7 ILMI; 1.6 AMI; 1.7 ALMI; 1.7 LMI;
5.6 LVH; 1.7 RVH; 1.3 LAO/LAE; 1.6 RAO/RAE;
2.4 LAFB; 1.6 LPFB; 2.6 IRBBB; 1.9 CRBBB; 2.1 CLBBB; 1.7 ILBBB; 1.7 IVCD; 2.0 1AVB; 1.7 WPW;
3.4 NDT; 1.9 NST_; 0.8 ISC_; 1.7 ISCAL; 1.6 ISCIN; 1.6 ISCAS; 1.7 LNGQT; 1.6 DIG; 1.6 EL;
1.6 ASMI ANEUR; 1.6 INJAS;
1.7 PACE ABQRS
"""

# A statement, then others with the share of its records that have them as well.
_COMPANIONS = """
LVH   VCLVH   0.50   ISC_    0.45   LAO/LAE 0.10
ISC_  STD_    0.15   INVT    0.08
IMI   ABQRS   0.40   QWAVE   0.12   INVT    0.10
ILMI  ABQRS   0.40
ASMI  ABQRS   0.40   LAFB    0.15   QWAVE   0.12
AMI   ABQRS   0.40   INVT    0.10
ALMI  ABQRS   0.40
LMI   QWAVE   0.15
CRBBB LAFB    0.25   1AVB    0.10
CLBBB 1AVB    0.15   LAO/LAE 0.08
LAFB  1AVB    0.06
1AVB  LPR     0.25
NDT   LOWT    0.16   INVT    0.28   TAB_    0.16
NST_  STD_    0.20   LOWT    0.10
IRBBB LVOLT   0.06
NORM  LVOLT   0.03   HVOLT   0.028  STE_    0.028  LPR     0.025  QWAVE   0.018
NORM  TAB_    0.018  LOWT    0.012  STD_    0.012  ABQRS   0.01
"""

# Rhythm, then its share of normal records and of others, in percent.
_RHYTHMS = """
SR        77.0 63.2
SBRAD      6.0  4.0
STACH      3.6  5.5
SARRH      6.4  3.0
AFIB       1.6 11.0
AFLT       0.4  2.7
SVTAC      0.6  2.5
PSVT       0.6  2.4
SR+BIGU    1.9  3.0
SR+TRIGU   1.9  2.7
"""

_NEEDS_P = {"1AVB", "LPR", "LAO/LAE", "RAO/RAE", "WPW", "PACE"}
_WITHOUT_P = {"AFIB", "AFLT", "SVTAC", "PSVT"}
_SUBTLE = ("IMI", "LMI", "ASMI", "QWAVE", "NDT", "NST_", "STE_", "ISCAL", "ISCIN", "ISCAS", "INJAS", "ABQRS", "IRBBB")
_AGES = {"NORM": (50.0, 17.0), "WPW": (44.0, 16.0)}


@dataclass(frozen=True)
class Noise:
    """How unclean a record is.

    Args:
        wander: Baseline wander of each electrode in mV.
        muscle: Muscle noise of each electrode in mV, standard deviation at the model's rate.
        burst: Size of a burst of noise at one electrode in mV; 0 for none.
        mains: Size of 50 Hz hum in mV; 0 for none.
    """

    wander: float = 0.0
    muscle: float = 0.0
    burst: float = 0.0
    mains: float = 0.0


@dataclass(frozen=True)
class Record:
    """What is to be recorded: enough to draw the signal and to fill a row of the table.

    Args:
        seed: The corpus' seed.
        number: The record's ecg_id, from 1.
        patient: The patient's index, from 0.
        age: Years.
        female: PTB-XL writes sex 1.
        statements: SCP codes with their likelihoods, diagnostic ones first.
        grades: How pronounced each finding is; one too subtle to be reported has a grade but no statement.
    """

    seed: int
    number: int
    patient: int
    age: float
    female: bool
    statements: dict[str, float]
    grades: dict[str, float] = field(default_factory=dict)
    noise: Noise = Noise()


@cache
def _table(text: str, end: str = "\n") -> list[list[str]]:
    return [row.split() for row in text.strip().split(end)]


def _spread(index: int, offset: float, step: float) -> float:
    """Return the index-th number of an evenly spread sequence in [0, 1): shares come out exact in small corpora too.

    The additive recurrence with the plastic number's powers as steps, after Roberts, The unreasonable effectiveness
    of quasirandom sequences (2018).
    """
    return (offset + index * step) % 1.0


def _choose(weights: list[float], at: float) -> int:
    """Pick an entry by its share, `at` in [0, 1)."""
    return int(np.searchsorted(np.cumsum(weights), at * sum(weights), side="right"))


def _case(patient: int, seed: int) -> set[str]:
    rows = _table(_CASES, end=";")
    offset = float(np.random.default_rng([seed, 3]).random())
    return set(rows[_choose([float(row[0]) for row in rows], _spread(patient, offset, 0.7548776662466927))][1:])


def _rhythm(found: Set[str], number: int, seed: int) -> set[str]:
    if "PACE" in found:
        return set()
    rows = _table(_RHYTHMS)
    offset = float(np.random.default_rng([seed, 4]).random())
    column = 1 if "NORM" in found else 2
    weights = [0.0 if found & _NEEDS_P and row[0] in _WITHOUT_P else float(row[column]) for row in rows]
    if "DIG" in found:  # Given for fibrillation, mostly.
        weights[4] *= 6
    return set(rows[_choose(weights, _spread(number, offset, 0.5698402909980532))][0].split("+"))


def _statements(record: int, patient: int, seed: int, rng: np.random.Generator) -> set[str]:
    """Draw a record's statements: the patient's case and its companions, a rhythm, and ectopic beats."""
    found = _case(patient, seed)
    found |= _rhythm(found, record, seed)
    for first, *pairs in _table(_COMPANIONS):
        for second, share in zip(pairs[::2], pairs[1::2], strict=True):
            impossible = second in _NEEDS_P and found & _WITHOUT_P
            if first in found and rng.random() < float(share) and not impossible:
                found.add(second)
    if found & {"BIGU", "TRIGU"}:
        found.add("PVC" if rng.random() < 0.7 else "PAC")
    elif not found & {"AFLT", "SVTAC", "PSVT", "PACE", "STACH"}:
        if rng.random() < (0.02 if "NORM" in found else 0.06):
            found.add("PVC")
        elif "AFIB" not in found and rng.random() < 0.025:
            found.add("PAC")
    if found >= {"SR", "NORM"} and rng.random() < 0.01:  # Reports sometimes leave the rhythm out.
        found.remove("SR")
    return found


def _likelihood(code: str, grade: float) -> float:
    """Be surer of pronounced findings; only diagnostic statements have a likelihood in PTB-XL."""
    if not BY_CODE[code].diagnostic:
        return 0.0
    steps = ((0.47, 15.0), (0.49, 35.0), (0.57, 50.0), (0.70, 80.0))
    least = 50.0 if code == "NORM" else 15.0
    return max(least, next((likelihood for upper, likelihood in steps if grade < upper), 100.0))


def _noise(rng: np.random.Generator) -> Noise:
    return Noise(
        wander=float(np.exp(rng.normal(np.log(0.028), 0.65))),
        muscle=float(np.exp(rng.normal(np.log(0.012), 0.5))),
        burst=float(rng.uniform(0.08, 0.25)) if rng.random() < 0.03 else 0.0,
        mains=float(rng.uniform(0.005, 0.03)) if rng.random() < 0.2 else 0.0,
    )


def draw_record(seed: int, number: int, patient: int) -> Record:
    """Draw what is to be recorded of a patient, counted from 0, as the record `number`, counted from 1."""
    rng = np.random.default_rng([seed, 5, number])
    body = np.random.default_rng([seed, 6, patient])
    found = _statements(number, patient, seed, rng)
    grades = {code: float(rng.uniform(0.45, 1.25)) for code in sorted(found)}
    ordered = sorted(found, key=lambda code: (not BY_CODE[code].diagnostic, BY_CODE[code].rhythm, code))
    case = _case(patient, seed)
    mean, spread = next((_AGES[code] for code in _AGES if code in case), (66.0, 12.0))
    age = float(np.clip(np.rint(body.normal(mean, spread)), 17, 95))
    female = bool(body.random() < (0.40 if case & {"IMI", "ASMI", "AMI", "ALMI", "ILMI", "LMI"} else 0.50))
    subtle = str(rng.choice(_SUBTLE))
    if rng.random() < 0.4 and subtle not in found and not found & {"CLBBB", "CRBBB"}:
        grades[subtle] = float(rng.uniform(0.15, 0.50))
    likelihoods = {code: _likelihood(code, grades[code]) for code in ordered}
    return Record(seed, number, patient, age, female, likelihoods, grades, _noise(rng))


def draw_patients(records: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Say whose record each one is, counted from 0: most patients have one, one in eight has two to five."""
    rng = np.random.default_rng([seed, 7])
    visits = rng.choice([1, 2, 3, 4, 5], size=records, p=[0.88, 0.09, 0.02, 0.007, 0.003])
    patients = np.repeat(np.arange(records), visits)[:records]
    return np.asarray(rng.permutation(patients))
