"""The command `table`: many runs beside the published numbers, as Markdown, CSV and a picture."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from projection.benchmark.cells import Row, find_runs, read_row
from projection.benchmark.layout import as_csv, as_markdown, beside_published
from projection.benchmark.picture import draw
from projection.errors import ProjectionError
from projection.evaluation.protocol import Protocol
from projection.files import completed_or_removed
from projection.runs.folder import is_finished

Runs = Mapping[tuple[str, str], Mapping[int, Path]]


def table(
    folder: Path,
    output: Path | None = None,
    labels: list[str] | None = None,
    nets: list[str] | None = None,
    seeds: list[int] | None = None,
    resamples: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
) -> None:
    """Lay finished runs beside the published numbers: table.md, table.csv and table.svg.

    The runs are in FOLDER/<label set>/<net>/<seed>/, where `make table` trains them. Each seed counts with the macro
    AUROC of its best checkpoint on the test fold. The interval is the bootstrap percentile interval of the seeds' mean:
    test records are drawn with replacement, every class keeping both outcomes, and each draw judges all seeds on the
    same records. The standard deviation is that over seeds. Published numbers come with their own uncertainty, or are
    points.

    Args:
        folder: The folder of the runs.
        output: Where the table is written; by default in that folder.
        labels: Only these label sets; by default all that are there.
        nets: Only these; by default all that are there.
        seeds: Only these; by default all that are there.
        resamples: Resamples of the bootstrap over test records (1 or more).
        seed: Of the bootstrap.
        confidence: Of the bootstrap's interval (0 to 1).

    Raises:
        ProjectionError: If there is no run that has finished, or some of them cannot be judged; the others are.
    """
    protocol = Protocol(resamples=resamples, seed=seed, confidence=confidence)
    chosen = _chosen(find_runs(folder), labels, nets, seeds)
    finished = {key: {each: run for each, run in runs.items() if is_finished(run)} for key, runs in chosen.items()}
    rows, problems = _read(finished, protocol)
    if not rows:
        place = folder / "<label set>" / "<net>" / "<seed>"
        raise ProjectionError("\n".join([f"There is no finished run {place} to make a table of.", *problems]))
    lines = beside_published(rows)
    place = output or folder
    text = as_markdown(lines, confidence)
    _write(place / "table.md", text.encode())
    _write(place / "table.csv", as_csv(lines).encode())
    _write(place / "table.svg", draw(lines, confidence).encode())
    print(text)
    print(f"Written to {place}: table.md, table.csv, table.svg")
    unfinished = [f"{' '.join(key)} {each}" for key, runs in chosen.items() for each in runs.keys() - finished[key]]
    if unfinished:
        print(f"Not finished: {', '.join(sorted(unfinished))}")
    if problems:
        raise ProjectionError("\n".join(["Not in the table:", *problems]))


def _chosen(found: Runs, label_sets: list[str] | None, nets: list[str] | None, seeds: list[int] | None) -> Runs:
    return {
        (label_set, net): {seed: run for seed, run in runs.items() if seeds is None or seed in seeds}
        for (label_set, net), runs in found.items()
        if (label_sets is None or label_set in label_sets) and (nets is None or net in nets)
    }


def _read(finished: Runs, protocol: Protocol) -> tuple[Sequence[Row], Sequence[str]]:
    rows, problems = [], []
    for (label_set, net), runs in finished.items():
        row, found = read_row(label_set, net, runs, protocol)
        rows += [row] if row else []
        problems += found
    return rows, problems


def _write(path: Path, content: bytes) -> None:
    with completed_or_removed(path) as partial:
        partial.write_bytes(content)
