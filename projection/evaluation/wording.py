"""How numbers are called and written: in a terminal of 80 columns, and on a page."""

from math import isfinite

SUMMARY = {
    "validation_auroc": ("AUROC of validation", "AUROC of the validation records"),
    "average_precision": ("average precision", "average precision"),
    "fmax": ("Fmax", "Fmax (best record-centred F1 over all thresholds)"),
    "f2": ("F2", "F2, votes shared by a record's statements"),
    "g2": ("G2", "G2, votes shared by a record's statements"),
    "sensitivity": ("sensitivity", "sensitivity"),
    "specificity": ("specificity", "specificity"),
    "ppv": ("PPV", "positive predictive value"),
    "npv": ("NPV", "negative predictive value"),
    "f1": ("F1", "F1"),
    "brier": ("Brier score", "Brier score"),
    "ece": ("calibration error", "expected calibration error"),
    "ece_with_temperature": ("with temperature", "expected calibration error with temperature"),
    "temperature": ("temperature", "temperature"),
}
CLASSES = {
    "average_precision": ("AP", "average precision"),
    "brier": ("Brier", "Brier score"),
    "threshold": ("thr.", "threshold"),
    "sensitivity": ("sens.", "sensitivity"),
    "specificity": ("spec.", "specificity"),
    "ppv": ("PPV", "PPV"),
    "npv": ("NPV", "NPV"),
    "f1": ("F1", "F1"),
}


def shown(value: float, decimals: int) -> str:
    """Write a number; a dash where it is undefined, as for classes that do not occur."""
    return f"{value:.{decimals}f}" if isfinite(value) else "-"


def percent(share: float) -> str:
    """Write a confidence in percent, with the decimals that it has: 95% or 97.5%."""
    return f"{100 * share:.6g}%"
