"""Judging runs by the predictions that they stored."""

from projection.evaluation.command import evaluate

__all__ = ["evaluate"]
