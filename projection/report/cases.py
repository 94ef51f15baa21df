"""Single records: the most confident errors of each class, and typical hits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite, isnan
from typing import Any

import numpy as np
import torch
from markupsafe import Markup
from numpy.typing import NDArray

from projection.corpus.statements import LEADS, STATEMENTS
from projection.data.data_set import DataSet
from projection.data.signal_sets import open_signals
from projection.report.attribution import Model, integrated_gradients
from projection.report.electrocardiogram import Floats, draw_ecg, smoothed, strips_of, strongest
from projection.runs.predictions import Predictions
from projection.runs.run import positions

MEANINGS = {
    **{statement.code: statement.description for statement in STATEMENTS},
    "NORM": "normal electrocardiogram",
    "MI": "myocardial infarction",
    "STTC": "ST/T change",
    "CD": "conduction disturbance",
    "HYP": "hypertrophy",
}

_LISTED = 6  # probabilities of a record, beside those of its true statements


@dataclass(frozen=True)
class Case:
    """A record to look at, by its row in the test predictions: a class's false positive, false negative or hit."""

    statement: str
    kind: str
    row: int


@dataclass(frozen=True)
class Shown:
    """A record as the page shows it.

    Args:
        facts: What the table of records says, as pairs of name and text.
        probabilities: Statement, its probability, and `hit`, `missed`, `false` or nothing.
        attribution: What was attributed, in words; empty where it was not computed.
    """

    case: Case
    ecg_id: int
    facts: Sequence[tuple[str, str]]
    probabilities: Sequence[tuple[str, str, str]]
    drawing: Markup
    attribution: str


def choose_cases(test: Predictions, thresholds: NDArray[np.float64], classes: Sequence[str], each: int) -> list[Case]:
    """Choose records to look at, so many of each kind and class, or as many as there are.

    They are the false positives of the highest and the false negatives of the lowest probability, and the true
    positives nearest to the median probability of all of them. A statement is predicted where the probability is not
    below its threshold; there is one for every class of `test`.
    """
    cases = []
    for name in classes:
        column = test.class_names.index(name)
        scores, true = test.scores[:, column].numpy(), test.labels[:, column].numpy() > 0
        reported = scores >= thresholds[column]
        median = float(np.median(scores[true & reported])) if (true & reported).any() else 0.0
        kinds = {
            "false positive": (~true & reported, -scores),
            "false negative": (true & ~reported, scores),
            "typical hit": (true & reported, np.abs(scores - median)),
        }
        for kind, (wanted, order) in kinds.items():
            rows = np.flatnonzero(wanted)
            cases += [Case(name, kind, int(row)) for row in rows[np.argsort(order[rows], kind="stable")][:each]]
    return cases


def show_cases(
    cases: Sequence[Case],
    test: Predictions,
    thresholds: NDArray[np.float64],
    data: DataSet,
    records: Mapping[str, NDArray[Any]],
    model: Model | None,
) -> list[Shown]:
    """Draw records, and say what is known of them.

    Args:
        thresholds: Of every class of `test`.
        records: Columns of the table of records, one entry for each prediction.
        model: To attribute its logits; None draws the traces alone.
    """
    rows = positions(data, test.ids.numpy()[[case.row for case in cases]])
    signals = open_signals(data.stores).read(rows).float() / data.gain
    shown = []
    for case, row, signal in zip(cases, rows.tolist(), signals, strict=True):
        attribution, words = _attributed(case, test, signal, model, data.sampling_rate)
        ecg_id = int(test.ids[case.row])
        title = f"Electrocardiogram of record {ecg_id}: {case.kind} of {case.statement}"
        facts = [*_facts({name: column[case.row] for name, column in records.items()}), *statements(data, row)]
        drawing = draw_ecg(title, signal.numpy(), data.sampling_rate, attribution)
        shown.append(Shown(case, ecg_id, facts, _probabilities(test, thresholds, case.row), drawing, words))
    return shown


def _attributed(
    case: Case, test: Predictions, signal: torch.Tensor, model: Model | None, sampling_rate: int
) -> tuple[Floats | None, str]:
    if model is None:
        return None, ""
    column = test.class_names.index(case.statement)
    found = integrated_gradients(lambda x: model(x)[:, column], signal)
    values, shares = smoothed(found.values, sampling_rate), found.lead_shares()
    most = ", ".join(f"{LEADS[lead]} {shares[lead]:.0%}" for lead in np.argsort(-shares)[:4])
    again = 1 / (1 + np.exp(-found.logit))
    words = (
        f"Attributed is the logit of {case.statement}: {found.logit:+.2f} (probability {again:.3f}, computed again "
        f"from the checkpoint), against {found.flat_logit:+.2f} for a flat line; {abs(found.unexplained):.2f} of the "
        f"difference is error of the summation. Leads with the largest share of absolute attribution: {most}."
    )
    return values, f"{words}{_peak(values, sampling_rate)}"


def _peak(values: Floats, sampling_rate: int) -> str:
    if not values.any():
        return ""
    lead, seconds = strongest(values, sampling_rate)
    first = strips_of(sampling_rate, values)[-1].first
    since = f", from {first:g} s on" if first else ""
    return f" The strongest part is in {lead} at {seconds:.2f} s: the lowest row has ten seconds of that lead{since}."


def statements(data: DataSet, row: int) -> list[tuple[str, str]]:
    """List a record's statements and their likelihoods in per cent, where the table knows them, the surest first."""
    for store in data.stores:
        tables = store.tables
        if row < len(tables):
            break
        row -= len(tables)
    own = slice(tables.indptr[row], tables.indptr[row + 1])
    pairs = zip(tables.codes[own].tolist(), tables.likelihoods[own].tolist(), strict=True)
    found = [
        f"{tables.names[code]} {value:g}" if value else tables.names[code]
        for code, value in sorted(pairs, key=lambda pair: -pair[1])
    ]
    return [("statements", ", ".join(found) or "none")]


def _probabilities(test: Predictions, thresholds: NDArray[np.float64], row: int) -> list[tuple[str, str, str]]:
    scores, true = test.scores[row].numpy(), test.labels[row].numpy() > 0
    order = np.argsort(-scores, kind="stable")
    listed = [column for place, column in enumerate(order) if place < _LISTED or true[column]]
    verdicts = {(True, True): "hit", (True, False): "missed", (False, True): "false", (False, False): ""}
    judged = {i: verdicts[bool(true[i]), bool(scores[i] >= thresholds[i])] for i in listed}
    return [(test.class_names[i], f"{scores[i]:.3f}", verdict) for i, verdict in judged.items()]


def _facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    sex = {0.0: "male", 1.0: "female"}.get(float(record.get("sex", np.nan)), "sex unknown")
    age = float(record.get("age", np.nan))
    # PTB-XL writes 300 for everyone above 89
    years = "age unknown" if isnan(age) or not isfinite(age) else "over 89 years" if age > 89 else f"{age:.0f} years"
    facts = [("patient", f"{sex}, {years}")]
    for column, title in (("device", "device"), ("recording_date", "recorded"), ("report", "report")):
        text = str(record.get(column, "")).strip()
        if text and text != "nan":
            facts.append((title, text))
    return facts
