"""Rows of a benchmark: measured side by side, printed, and written as Markdown and JSON."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Row:
    """One comparison.

    Args:
        name: What is compared with what.
        ratio: The result: how many times as fast, or in the unit that the name tells.
        target: What it should reach.
        better: Whether larger or smaller numbers are better.
        note: The times behind it.
    """

    name: str
    ratio: float
    target: float
    better: Literal["higher", "lower"] = "higher"
    note: str = ""

    @property
    def reached(self) -> bool:
        return self.ratio >= self.target if self.better == "higher" else self.ratio <= self.target


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def side_by_side(*works: Callable[[], object], rounds: int) -> list[float]:
    """Time several ways in turn, round after round, and keep the best of each: machines are noisy."""
    times = [[seconds(work) for work in works] for _ in range(rounds)]
    return [min(column) for column in zip(*times, strict=True)]


def markdown(rows: Sequence[Row]) -> str:
    lines = ["| what | measured | target | |  |", "|---|---:|---:|---|---|"]
    for row in rows:
        sign = "≥" if row.better == "higher" else "≤"
        verdict = "reached" if row.reached else "MISSED"
        lines.append(f"| {row.name} | {row.ratio:.2f} | {sign} {row.target:g} | {verdict} | {row.note} |")
    return "\n".join(lines)


def publish(rows: Sequence[Row], output: Path) -> None:
    """Print the table and write it beside its JSON."""
    text = markdown(rows)
    print(f"\n{text}\n\n{sum(row.reached for row in rows)} of {len(rows)} targets reached.")
    output.parent.mkdir(parents=True, exist_ok=True)
    output.with_suffix(".md").write_text(text + "\n", encoding="utf-8")
    output.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    print(f"Written: {output} and {output.with_suffix('.md')}")
