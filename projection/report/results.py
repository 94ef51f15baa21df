"""What the page says of test predictions: tables, curves, confusions, subgroups and single records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray
from torch import Tensor

from projection.data.data_set import DataSet
from projection.errors import ProjectionError
from projection.evaluation.judge import Judgement, comparison
from projection.evaluation.protocol import Protocol
from projection.report.attribution import Model
from projection.report.cases import MEANINGS, choose_cases, show_cases
from projection.report.curves import class_curves, counts_of, in_words, precision_recall_chart, roc_chart
from projection.report.electrocardiogram import paper
from projection.report.forest import forest_plot
from projection.report.matrices import MOST_CLASSES, co_occurrence, confusion_matrix, matrix_figure, mistakes
from projection.report.reliability import reliability_charts, reliability_table
from projection.report.tables import auroc_table, class_table, mistake_table, subgroup_table, summary_table
from projection.runs.differences import unlike
from projection.runs.folder import BEST
from projection.runs.run import Run, columns, open_data

# classes whose curves are in sight, and whose records are drawn, where a task has more of them
_CURVES, _CASES = 12, 8


@dataclass(frozen=True)
class Options:
    """What is wanted on the page, as the command's arguments say."""

    protocol: Protocol
    cases: int
    classes: Sequence[str] | None
    attribution: bool
    trust: bool = False


@dataclass(frozen=True)
class Source:
    """A run's data, and columns of their table of records with an entry for each test prediction."""

    data: DataSet
    records: Mapping[str, NDArray[Any]]


def results_of(runs: Sequence[Run], judged: Mapping[str, Judgement], options: Options) -> dict[str, Any]:
    """Collect everything that follows from predictions, as the template's `results`.

    Args:
        runs: Of the same classes and test records.
        judged: Their judgements by name, in the same order.
        options: What is wanted.

    Raises:
        ProjectionError: If a class in `options` is not one of the runs'.
    """
    first, judgement = runs[0], next(iter(judged.values()))
    source, why = _source(first)
    patients = torch.from_numpy(source.records["patient_id"]) if source and options.protocol.by_patient else None
    counts = counts_of(first.test, options.protocol, patients)
    return {
        "protocol": options.protocol,
        "records": len(first.test.ids),
        "validation_records": len(first.validation.ids),
        "folds": {key: _folds(first, key) for key in ("train_folds", "val_folds", "test_folds")},
        "judged_classes": sum(np.isfinite(row["auroc"]) for row in judgement.classes.values()),
        "classes": len(judgement.classes),
        "meanings": {name: MEANINGS[name] for name in judgement.classes if name in MEANINGS},
        "notes": sorted({note for each in judged.values() for note in each.notes}),
        "summary": summary_table(judged, options.protocol),
        "comparison": comparison(runs, list(judged.values())),
        "auroc": auroc_table(judged, not unlike(runs)) if len(runs) > 1 else None,
        "by_class": {name: class_table(each) for name, each in judged.items()},
        **_curves(runs, judged, counts, options.protocol.confidence),
        "reliability": _reliability(runs, judged, counts, options.protocol.confidence),
        **_matrices(first, judgement),
        "subgroups": _subgroups(judged, options.protocol),
        **_cases(first, judgement, options, source, why),
    }


def _folds(run: Run, key: str) -> list[int] | None:
    found = run.data_arguments().get(key)
    return found if isinstance(found, list) else None  # another data module may mean something else by it


def _source(run: Run) -> tuple[Source | None, str]:
    try:
        data = open_data(run)
        return Source(data, columns(data, run.test.ids.numpy())), ""
    except ProjectionError as error:
        return None, str(error)


def _frequent(run: Run, most: int) -> list[str]:
    counts = run.test.labels.long().sum(dim=0)
    order = torch.argsort(counts, descending=True, stable=True).tolist()
    kept = set(order if len(order) <= most else order[:most])
    return [name for place, name in enumerate(run.test.class_names) if place in kept]


def _curves(runs: Sequence[Run], judged: Mapping[str, Judgement], counts: Tensor, confidence: float) -> dict[str, Any]:
    curves = [class_curves(run.test, counts, confidence) for run in runs]
    in_sight, panels = _frequent(runs[0], _CURVES), []
    for name in curves[0]:
        numbers = [each.classes[name] for each in judged.values()]
        positives, records = int(numbers[0]["positives"]), len(runs[0].test.ids)
        roc, precision_recall = zip(*(each[name] for each in curves), strict=True)
        panels.append(
            {
                "name": name,
                "positives": positives,
                "roc": roc_chart(name, roc, numbers).svg(),
                "precision_recall": precision_recall_chart(name, precision_recall, numbers, positives / records).svg(),
                "words": [in_words(each, confidence) for each in numbers],
            }
        )
    return {
        "curves": [panel for panel in panels if panel["name"] in in_sight],
        "more_curves": [panel for panel in panels if panel["name"] not in in_sight],
    }


def _reliability(
    runs: Sequence[Run], judged: Mapping[str, Judgement], counts: Tensor, confidence: float
) -> dict[str, Any]:
    shown = {}
    for run, (name, judgement) in zip(runs, judged.items(), strict=True):
        temperature = judgement.summary["temperature"]
        charts = [chart.svg() for chart in reliability_charts(run.test, temperature, counts, confidence)]
        shown[name] = {"charts": charts, "table": reliability_table(run.test, temperature)}
    return shown


def _matrices(run: Run, judgement: Judgement) -> dict[str, Any]:
    names = _frequent(run, MOST_CLASSES)
    kept = [run.test.class_names.index(name) for name in names]

    def drawn(title: str, shares: Tensor, corner: str) -> Markup:
        return matrix_figure(title, names, names, shares[kept][:, kept], corner)

    decisions = run.test.scores >= torch.from_numpy(_thresholds(judgement))
    hits, records = confusion_matrix(run.test.labels, decisions)
    together = co_occurrence(run.test.labels)
    return {
        "co_occurrence": drawn("Statements that are true together", together, "true \\ also true"),
        "confusion": drawn("Statements that are predicted", hits / records, "true \\ predicted"),
        "matrix_classes": len(names),
        "mistakes": mistake_table(mistakes(run.test, decisions)),
    }


def _thresholds(judgement: Judgement) -> NDArray[np.float64]:
    return np.array([row["threshold"] for row in judgement.classes.values()])


def _subgroups(judged: Mapping[str, Judgement], protocol: Protocol) -> dict[str, Any]:
    return {
        name: {
            "forest": forest_plot(each.subgroups, each.summary["auroc"]),
            "table": subgroup_table(each.subgroups, protocol),
        }
        for name, each in judged.items()
        if each.subgroups
    }


def _cases(run: Run, judgement: Judgement, options: Options, source: Source | None, why: str) -> dict[str, Any]:
    if unknown := set(options.classes or []) - set(run.test.class_names):
        raise ProjectionError(f"No class of {run.folder} is named {', '.join(sorted(unknown))}.")
    names = options.classes or _frequent(run, _CASES)
    shown: dict[str, Any] = {"paper": "", "cases": {}, "case_note": "", "attribution_note": ""}
    if source is None or not options.cases:
        return {**shown, "case_note": f"No records are drawn: {why or 'none were asked for (cases is 0).'}"}
    thresholds = _thresholds(judgement)
    chosen = choose_cases(run.test, thresholds, names, options.cases)
    left_out = (None, "it was not asked for (attribution is false).")
    model, note = _model(run, source.data, options.trust) if options.attribution else left_out
    if model is not None:
        print(f"Attributing {len(chosen)} records; `--attribution false` leaves that out ...")
    cases = show_cases(chosen, run.test, thresholds, source.data, source.records, model)
    by_class = {name: [each for each in cases if each.case.statement == name] for name in names}
    return {**shown, "paper": paper(), "cases": by_class, "attribution_note": note}


def _model(run: Run, data: DataSet, trust: bool) -> tuple[Model | None, str]:
    # only now: Lightning takes seconds to import
    from projection.runs.load import load

    try:
        task = load(run.folder / BEST, trust)
    except ProjectionError as error:
        return None, str(error)
    if (rate := task.sampling_rate) != data.sampling_rate:
        return None, f"the model takes records at {rate} Hz, and the data have {data.sampling_rate} Hz."
    return task, ""
