"""Runs as one page to look at, by themselves and side by side."""

from projection.report.report_runs import report

__all__ = ["report"]
