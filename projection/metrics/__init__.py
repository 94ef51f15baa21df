"""How predictions are judged."""

from projection.metrics.bootstrap import bootstrap_auroc
from projection.metrics.calibration import Reliability, brier, fit_temperature, reliability
from projection.metrics.confusion import Confusion, challenge_weights, confusion, fmax
from projection.metrics.macro import MacroAUROC, MacroAveragePrecision
from projection.metrics.ranking import auroc, average_precision
from projection.metrics.thresholds import fit_thresholds

__all__ = [
    "Confusion",
    "MacroAUROC",
    "MacroAveragePrecision",
    "Reliability",
    "auroc",
    "average_precision",
    "bootstrap_auroc",
    "brier",
    "challenge_weights",
    "confusion",
    "fit_temperature",
    "fit_thresholds",
    "fmax",
    "reliability",
]
