"""What each SCP statement does to a heart.

Patterns of the vectorcardiogram after Macfarlane et al., Comprehensive Electrocardiology (2nd ed., 2010), and the
AHA/ACCF/HRS recommendations for the standardization and interpretation of the electrocardiogram, parts III to VI,
JACC 53(11) (2009). Each finding alters a heart in place, given a grade (0.5 subtle, 1.25 pronounced) and the record's
generator.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from projection.synthetic import conduction, muscle, repolarisation
from projection.synthetic.heart import Heart

Finding = Callable[[Heart, float, np.random.Generator], None]

# In the order of application: what rebuilds the QRS complex comes before what bends its waves.
FINDINGS: dict[str, Finding] = {
    "PACE": conduction.paced,
    "CLBBB": conduction.complete_left_block,
    "ILBBB": conduction.incomplete_left_block,
    "LAFB": conduction.anterior_fascicular_block,
    "LPFB": conduction.posterior_fascicular_block,
    "CRBBB": partial(conduction.right_block, complete=True),
    "IRBBB": partial(conduction.right_block, complete=False),
    "IVCD": conduction.intraventricular_delay,
    "IMI": muscle.inferior_infarction,
    "LMI": muscle.lateral_infarction,
    "ILMI": muscle.inferolateral_infarction,
    "ASMI": muscle.anteroseptal_infarction,
    "AMI": muscle.anterior_infarction,
    "ALMI": muscle.anterolateral_infarction,
    "LVH": muscle.left_ventricular_hypertrophy,
    "RVH": muscle.right_ventricular_hypertrophy,
    "QWAVE": muscle.q_waves,
    "WPW": conduction.pre_excitation,
    "ABQRS": muscle.abnormal_qrs,
    "VCLVH": muscle.high_voltage,
    "HVOLT": muscle.high_voltage,
    "LVOLT": partial(muscle.voltage, lower=0.30, upper=0.45),
    "LAO/LAE": muscle.left_atrial_enlargement,
    "RAO/RAE": muscle.right_atrial_enlargement,
    "LPR": partial(conduction.slow_av_node, shortest=0.195, longest=0.215),
    "1AVB": partial(conduction.slow_av_node, shortest=0.215, longest=0.310),
    "ISC_": repolarisation.strain,
    "ISCAL": partial(repolarisation.ischaemia, xyz=(-0.30, 0.0, 0.08)),
    "ISCIN": partial(repolarisation.ischaemia, xyz=(0.0, -0.30, 0.0)),
    "ISCAS": partial(repolarisation.ischaemia, xyz=(0.05, 0.0, 0.32)),
    "INJAS": partial(repolarisation.injury, xyz=(0.0, 0.0, 0.22)),
    "ANEUR": partial(repolarisation.injury, xyz=(0.06, -0.02, -0.24)),
    "STD_": partial(repolarisation.injury, xyz=(-0.11, -0.11, 0.05)),
    "STE_": partial(repolarisation.injury, xyz=(0.07, 0.09, -0.13)),
    "NST_": partial(repolarisation.injury, xyz=(-0.07, -0.06, 0.03)),
    "NDT": repolarisation.lateral_flat_t,
    "LOWT": partial(repolarisation.scale_t, lower=0.05, upper=0.35),
    "INVT": partial(repolarisation.scale_t, lower=-0.9, upper=-0.5),
    "TAB_": repolarisation.biphasic_t,
    "EL": repolarisation.peaked_t,
    "DIG": repolarisation.digitalis,
    "LNGQT": repolarisation.long_qt,
}
"""What a statement does to the heart; statements that are not here (NORM, rhythms, ectopic beats) do nothing to it."""


def apply_findings(heart: Heart, grades: Mapping[str, float], rng: np.random.Generator) -> None:
    """Alter a heart in place by findings, graded by SCP code: 0.45 to 1.25 when reported, mostly less when not."""
    for code, finding in FINDINGS.items():
        if code in grades:
            finding(heart, grades[code], rng)
