"""What is learned, and how it is judged."""

from projection.tasks.classification import ClassificationTask
from projection.tasks.losses import BinaryCrossEntropy, FocalLoss
from projection.tasks.schedules import OneCycle, WarmupCosine

__all__ = ["BinaryCrossEntropy", "ClassificationTask", "FocalLoss", "OneCycle", "WarmupCosine"]
