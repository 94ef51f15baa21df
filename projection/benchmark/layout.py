"""How a table is laid out: Markdown to read, CSV to go on with."""

import csv
import io
from collections.abc import Mapping, Sequence
from math import isnan

from projection.benchmark.cells import Row
from projection.benchmark.published import TEST_RECORDS, Published, read_published, verdict
from projection.evaluation.wording import percent

# ours and what was published of the same net; either may be missing
Line = tuple[Row | None, Published | None]

_WORDS = {"overlap": "overlap", "above": "ours above", "below": "ours below", "unknown": ""}
_COLUMNS = (
    *("labels", "net", "auroc", "low", "high", "deviation", "seeds", "seed_aurocs", "epochs", "test_records", "data"),
    *("published_model", "published_auroc", "published_uncertainty", "intervals", "source"),
)


def beside_published(rows: Sequence[Row]) -> dict[str, list[Line]]:
    """List the lines of each label set: our nets from the best to the worst, then what others published besides."""
    published, order = read_published(), list(TEST_RECORDS)
    label_sets: dict[str, list[Line]] = {}
    trained = {row.label_set for row in rows}
    for label_set in [name for name in order if name in trained] + sorted(trained.difference(order)):
        others = {each.net or each.model: each for each in published if each.label_set == label_set}
        ours = sorted((row for row in rows if row.label_set == label_set), key=lambda row: -row.mean)
        lines: list[Line] = [(row, others.pop(row.net, None)) for row in ours]
        rest = sorted(others.values(), key=lambda each: -each.auroc)
        label_sets[label_set] = lines + [(None, each) for each in rest]
    return label_sets


def as_markdown(label_sets: Mapping[str, Sequence[Line]], confidence: float) -> str:
    """Write the table as Markdown: a section for each label set, and the sources."""
    sources = list(dict.fromkeys(each.source for lines in label_sets.values() for _, each in lines if each))
    head = ["net", "AUROC", f"{percent(confidence)} interval", "s.d.", "seeds", "epochs", "published", "intervals"]
    text = ["# Macro AUROC on the test fold, beside published numbers", ""]
    for label_set, lines in label_sets.items():
        first = next(row for row, _ in lines if row)
        text += [f"## {label_set}: {first.classes} classes, {first.records:,} test records", ""]
        for note in notes(label_set, lines):
            text += [f"> {note}", ""]
        text += [*_aligned([head, *(_cells(line, sources) for line in lines)]), ""]
    text += [f"[{number}] {source}  " for number, source in enumerate(sources, 1)]
    return "\n".join(text) + "\n"


def notes(label_set: str, lines: Sequence[Line]) -> list[str]:
    """Say in sentences what keeps numbers from being compared with published ones: of other data, or of fewer."""
    rows = [row for row, _ in lines if row]
    found = [row.note for row in rows if row.note]
    for source in sorted({row.data[0] for row in rows} - {"PTB-XL"}):
        found.append(f"The data are {source!r}, not PTB-XL: these numbers are no result.")
    fewest, expected = min(row.records for row in rows), TEST_RECORDS.get(label_set, 0)
    if fewest < expected:
        found.append(f"Published numbers stand on all of PTB-XL ({expected:,} test records), these on {fewest:,}.")
    if len({(row.data, row.records) for row in rows}) > 1:
        found.append("These nets were not all trained and judged on the same data file.")
    return found


def _cells(line: Line, sources: Sequence[str]) -> Sequence[str]:
    row, published = line
    theirs, compared = "", ""
    if published:
        theirs = f"{with_uncertainty(published)} [{sources.index(published.source) + 1}]"
    if row is None:
        return [published.model if published else "", *[""] * 5, theirs, ""]
    if published:
        compared = _WORDS[verdict(row.low, row.high, published)]
    each = ", ".join(f"{seed}: {_short(value)}" for seed, value in row.aurocs.items())
    ends = f"{_short(row.low)} to {_short(row.high)}" if not isnan(row.low) else ""
    return [row.net, _short(row.mean), ends, _short(row.deviation), each, row.epochs, theirs, compared]


def _aligned(rows: Sequence[Sequence[str]]) -> Sequence[str]:
    widths = [max(3, *map(len, column)) for column in zip(*rows, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = [f"| {' | '.join(row)} |" for row in padded]
    return [lines[0], f"|{'|'.join('-' * (width + 2) for width in widths)}|", *lines[1:]]


def with_uncertainty(published: Published) -> str:
    """Write a published number as its authors do: `.925(07)`, or `.941` where it has no uncertainty."""
    digits = f"({round(published.uncertainty * 1000):02d})" if published.uncertainty else ""
    return _short(published.auroc) + digits


def _short(value: float) -> str:
    return "" if isnan(value) else f"{value:.3f}".removeprefix("0")


def as_csv(label_sets: Mapping[str, Sequence[Line]]) -> str:
    """Write the table as CSV: a line for each net and label set, and for each published number besides."""
    file = io.StringIO()
    writer = csv.DictWriter(file, _COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    for label_set, lines in label_sets.items():
        for row, published in lines:
            record = {"labels": label_set, **_ours(row), **_theirs(published)}
            if row and published:
                record["intervals"] = verdict(row.low, row.high, published)
            writer.writerow(record)
    return file.getvalue()


def _precise(value: float) -> str:
    return "" if isnan(value) else f"{value:.6f}"


def _ours(row: Row | None) -> dict[str, object]:
    if row is None:
        return {}
    record = {"auroc": row.mean, "low": row.low, "high": row.high, "deviation": row.deviation}
    return {
        "net": row.net,
        **{name: _precise(value) for name, value in record.items()},
        "seeds": " ".join(map(str, row.aurocs)),
        "seed_aurocs": " ".join(map(_precise, row.aurocs.values())),
        "epochs": row.epochs,
        "test_records": row.records,
        "data": row.data[0],
    }


def _theirs(published: Published | None) -> dict[str, object]:
    if published is None:
        return {}
    return {
        "published_model": published.model,
        "published_auroc": published.auroc,
        "published_uncertainty": published.uncertainty or "",
        "source": published.source,
    }
