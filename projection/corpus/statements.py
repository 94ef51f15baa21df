"""The 71 SCP-ECG statements of PTB-XL and the six label sets that the literature derives from them.

Statements and their grouping: Wagner et al., PTB-XL, a large publicly available electrocardiography dataset,
Scientific Data 7:154 (2020), and EN 1064 (SCP-ECG). The label sets: Strodthoff et al., Deep Learning for ECG
Analysis: Benchmarks and Insights from PTB-XL, IEEE JBHI 25(5) (2021).
"""

from dataclasses import dataclass
from typing import Literal, get_args

LabelSet = Literal["all", "diagnostic", "subdiagnostic", "superdiagnostic", "form", "rhythm"]
LABEL_SETS: tuple[LabelSet, ...] = get_args(LabelSet)

LEADS = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")


@dataclass(frozen=True)
class Statement:
    """One SCP-ECG statement.

    Args:
        code: The SCP code as PTB-XL writes it.
        form: Whether it describes the form of the waves.
        superclass: Its diagnostic superclass (NORM, MI, STTC, CD, HYP); empty when not diagnostic.
        subclass: Its diagnostic subclass; empty when not diagnostic.
    """

    code: str
    diagnostic: bool
    form: bool
    rhythm: bool
    superclass: str
    subclass: str
    description: str

    def kinds(self) -> list[str]:
        """Write the columns diagnostic, form and rhythm of scp_statements.csv: 1.0 or nothing."""
        return ["1.0" if kind else "" for kind in (self.diagnostic, self.form, self.rhythm)]


# code, kinds (d diagnostic, f form, r rhythm), superclass, subclass, description
_TABLE = """
1AVB     d   CD    _AVB       first-degree atrioventricular block
2AVB     d   CD    _AVB       second-degree atrioventricular block
3AVB     d   CD    _AVB       third-degree atrioventricular block
ABQRS    f   -     -          abnormal QRS complex
AFIB     r   -     -          atrial fibrillation
AFLT     r   -     -          atrial flutter
ALMI     d   MI    AMI        anterolateral myocardial infarction
AMI      d   MI    AMI        anterior myocardial infarction
ANEUR    d   STTC  STTC       ST-T changes as in a ventricular aneurysm
ASMI     d   MI    AMI        anteroseptal myocardial infarction
BIGU     r   -     -          bigeminy of supraventricular or ventricular origin
CLBBB    d   CD    CLBBB      complete left bundle branch block
CRBBB    d   CD    CRBBB      complete right bundle branch block
DIG      df  STTC  STTC       digitalis effect
EL       d   STTC  STTC       electrolyte disturbance or drug effect
HVOLT    f   -     -          high QRS voltage
ILBBB    d   CD    ILBBB      incomplete left bundle branch block
ILMI     d   MI    IMI        inferolateral myocardial infarction
IMI      d   MI    IMI        inferior myocardial infarction
INJAL    d   MI    AMI        subendocardial injury, anterolateral leads
INJAS    d   MI    AMI        subendocardial injury, anteroseptal leads
INJIL    d   MI    IMI        subendocardial injury, inferolateral leads
INJIN    d   MI    IMI        subendocardial injury, inferior leads
INJLA    d   MI    AMI        subendocardial injury, lateral leads
INVT     f   -     -          inverted T waves
IPLMI    d   MI    IMI        inferoposterolateral myocardial infarction
IPMI     d   MI    IMI        inferoposterior myocardial infarction
IRBBB    d   CD    IRBBB      incomplete right bundle branch block
ISCAL    d   STTC  ISCA       ischaemia, anterolateral leads
ISCAN    d   STTC  ISCA       ischaemia, anterior leads
ISCAS    d   STTC  ISCA       ischaemia, anteroseptal leads
ISCIL    d   STTC  ISCI       ischaemia, inferolateral leads
ISCIN    d   STTC  ISCI       ischaemia, inferior leads
ISCLA    d   STTC  ISCA       ischaemia, lateral leads
ISC_     d   STTC  ISC_       ischaemia, not localised
IVCD     d   CD    IVCD       unspecific intraventricular conduction disturbance
LAFB     d   CD    LAFB/LPFB  left anterior fascicular block
LAO/LAE  d   HYP   LAO/LAE    left atrial overload or enlargement
LMI      d   MI    LMI        lateral myocardial infarction
LNGQT    df  STTC  STTC       long QT interval
LOWT     f   -     -          low T waves
LPFB     d   CD    LAFB/LPFB  left posterior fascicular block
LPR      f   -     -          long PR interval
LVH      d   HYP   LVH        left ventricular hypertrophy
LVOLT    f   -     -          low QRS voltage in frontal and horizontal leads
NDT      df  STTC  STTC       T wave abnormality that is not diagnostic
NORM     d   NORM  NORM       normal electrocardiogram
NST_     df  STTC  NST_       unspecific ST change
NT_      f   -     -          unspecific T wave change
PAC      f   -     -          premature atrial complex
PACE     r   -     -          artificial pacemaker, functioning normally
PMI      d   MI    PMI        posterior myocardial infarction
PRC(S)   f   -     -          premature complexes
PSVT     r   -     -          paroxysmal supraventricular tachycardia
PVC      f   -     -          premature ventricular complex
QWAVE    f   -     -          pathological Q waves
RAO/RAE  d   HYP   RAO/RAE    right atrial overload or enlargement
RVH      d   HYP   RVH        right ventricular hypertrophy
SARRH    r   -     -          sinus arrhythmia
SBRAD    r   -     -          sinus bradycardia
SEHYP    d   HYP   SEHYP      septal hypertrophy
SR       r   -     -          sinus rhythm
STACH    r   -     -          sinus tachycardia
STD_     f   -     -          unspecific ST depression
STE_     f   -     -          unspecific ST elevation
SVARR    r   -     -          supraventricular arrhythmia
SVTAC    r   -     -          supraventricular tachycardia
TAB_     f   -     -          T wave abnormality
TRIGU    r   -     -          trigeminy of supraventricular or ventricular origin
VCLVH    f   -     -          QRS voltage criteria of left ventricular hypertrophy
WPW      d   CD    WPW        Wolff-Parkinson-White pattern
"""


def _parse(line: str) -> Statement:
    code, kinds, superclass, subclass, description = line.split(maxsplit=4)
    diagnostic, form, rhythm = (kind in kinds for kind in "dfr")
    return Statement(code, diagnostic, form, rhythm, superclass.strip("-"), subclass.strip("-"), description)


STATEMENTS = tuple(_parse(line) for line in _TABLE.strip().splitlines())
BY_CODE = {statement.code: statement for statement in STATEMENTS}


def label_of(statement: Statement, label_set: LabelSet) -> str:
    """Name the class that a statement stands for in a label set, or give "" where it plays no part in it."""
    if label_set == "superdiagnostic":
        return statement.superclass
    if label_set == "subdiagnostic":
        return statement.subclass
    has = {"all": True, "diagnostic": statement.diagnostic, "form": statement.form, "rhythm": statement.rhythm}
    return statement.code if has[label_set] else ""


def class_names(label_set: LabelSet) -> tuple[str, ...]:
    """List the classes of a label set in their fixed, alphabetical order: the columns of its label matrix.

    All has 71 classes, diagnostic 44, subdiagnostic 23, superdiagnostic 5, form 19 and rhythm 12.
    """
    return tuple(sorted({label_of(statement, label_set) for statement in STATEMENTS} - {""}))
