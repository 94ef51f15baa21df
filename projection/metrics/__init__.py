"""How predictions are judged."""

from projection.metrics.bootstrap import bootstrap_auroc
from projection.metrics.macro import MacroAUROC, MacroAveragePrecision
from projection.metrics.ranking import auroc, average_precision

__all__ = ["MacroAUROC", "MacroAveragePrecision", "auroc", "average_precision", "bootstrap_auroc"]
