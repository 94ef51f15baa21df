"""Judging runs by the predictions that they stored."""

from projection.evaluation.evaluate_runs import evaluate

__all__ = ["evaluate"]
