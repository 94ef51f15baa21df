"""Single records: which are chosen, and what is drawn and said of them."""

import ast
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.ndimage
import scipy.special
import torch
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

from projection.corpus.statements import LEADS
from projection.data.signal_sets import open_signals
from projection.metrics import fit_thresholds
from projection.report.cases import Case, choose_cases, show_cases, statements
from projection.runs.predictions import Predictions, read_predictions
from projection.runs.run import columns, open_data, positions, read_run
from tests.report.conftest import Report, articles
from tests.report.drawings import halos, strips
from tests.report.test_ecg import expected_colours

pytestmark = pytest.mark.thorough

KINDS = ("False positive", "False negative", "Typical hit")


def most_telling(scores: np.ndarray, true: np.ndarray, threshold: float) -> dict[str, list[int]]:
    """Sort records by how far they are off, and hits by how near to their median."""
    rows = range(len(scores))
    hits = [row for row in rows if true[row] and scores[row] >= threshold]
    middle = np.median(scores[hits]) if hits else 0
    return {
        "false positive": sorted((r for r in rows if not true[r] and scores[r] >= threshold), key=lambda r: -scores[r]),
        "false negative": sorted((r for r in rows if true[r] and scores[r] < threshold), key=lambda r: scores[r]),
        "typical hit": sorted(hits, key=lambda r: abs(scores[r] - middle)),
    }


def stated(cell: str) -> str:
    """Write what the table says, surest first; 0 stands for a likelihood that is not known."""
    codes = sorted(ast.literal_eval(cell).items(), key=lambda item: -item[1])
    return ", ".join(f"{code} {likelihood:g}" if likelihood else code for code, likelihood in codes)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 3), st.sampled_from([0.2, 0.5, 0.9, 2.0]))
def test_the_most_confident_errors_and_median_hits_are_chosen(seed: int, each: int, threshold: float) -> None:
    generator = np.random.default_rng(seed)
    scores, labels = generator.integers(0, 11, (30, 3)) / 10, generator.random((30, 3)) < 0.4
    test = Predictions(torch.arange(30), torch.from_numpy(scores), torch.from_numpy(labels).byte(), ("A", "B", "C"))
    found = choose_cases(test, np.array([0.5, 0.1, threshold]), ["C", "A"], each)
    expected = [
        Case(name, kind, row)
        for name, column, at in (("C", 2, threshold), ("A", 0, 0.5))
        for kind, rows in most_telling(scores[:, column], labels[:, column], at).items()
        for row in rows[:each]
    ]
    assert found == expected


def test_shown_are_the_records_of_the_test_predictions_by_thresholds_of_validation(
    page: str, fitted: Path, corpus: Path
) -> None:
    validation, test = read_predictions(fitted, "val"), pd.read_csv(fitted / "predictions" / "test.csv")
    thresholds = fit_thresholds(validation.scores, validation.labels, "youden", 0.9).numpy()
    table = pd.read_csv(corpus / "ptbxl_database.csv").set_index("ecg_id")
    names, shown = validation.class_names, articles(page)
    expected = [
        (name, kind.capitalize(), row)
        for name, at in zip(names, thresholds, strict=True)
        for kind, rows in most_telling(test[name].to_numpy(), test[f"label_{name}"].to_numpy() == 1, at).items()
        for row in rows[:2]
    ]
    assert {kind for _, kind, _ in expected} == set(KINDS)
    assert [each.heading for each in shown] == [
        f"{kind} of {name}: record {test.ecg_id[row]}" for name, kind, row in expected
    ]
    for (name, _, row), article in zip(expected, shown, strict=True):
        known = table.loc[test.ecg_id[row]]
        years = "over 89 years" if known.age > 89 else f"{known.age:.0f} years"
        assert article.facts == {
            "patient": f"{['male', 'female'][known.sex]}, {years}",
            "device": known.device.strip(),
            "recorded": known.recording_date,
            "report": known.report,
            "statements": stated(known.scp_codes),
        }
        falling = sorted(names, key=lambda each: -test[each][row])
        verdicts = {(1, True): " true, predicted", (1, False): " true, missed", (0, True): " predicted, not true"}
        decided = {each: test[each][row] >= at for each, at in zip(names, thresholds, strict=True)}
        assert article.chips == [
            f"{each} {test[each][row]:.3f}{verdicts.get((test[f'label_{each}'][row], decided[each]), '')}"
            for each in falling
        ]
        # the very record, as WFDB's authors read it
        signals, fields = wfdb.rdsamp(str(corpus / known.filename_lr))
        leads = [lead.upper() for lead in fields["sig_name"]]
        for strip in strips(article.drawing):
            expected_mv = np.interp(strip.seconds, np.arange(1000) / 100, signals[:, leads.index(strip.lead.upper())])
            assert np.abs(strip.millivolts - expected_mv).max() < 0.002
        logit, again = re.findall(rf"the logit of {name}: ([-+.\d]+) \(probability ([.\d]+),", article.words)[0]
        assert float(again) == pytest.approx(test[name][row], abs=6e-4)
        assert scipy.special.expit(float(logit)) == pytest.approx(test[name][row], abs=2e-3)


def test_records_of_the_wanted_classes_are_drawn_one_of_each_kind(fitted: Path, report: Report) -> None:
    page = report(fitted, "--classes", "[NORM, CD]", "--attribution", "false")
    found = [re.sub(r": record \d+", "", each.heading) for each in articles(page)]
    order = [f"{kind} of {name}" for name in ("NORM", "CD") for kind in KINDS]
    assert found == sorted(set(found), key=order.index)
    assert {each.split()[-1] for each in found} == {"NORM", "CD"}
    assert "What the model looked at is not shown: it was not asked for" in page
    assert not any(list(halos(each.drawing)) or each.words for each in articles(page))


def test_of_a_record_is_told_what_is_known_and_a_threshold_reached_is_a_prediction(fitted: Path) -> None:
    run = read_run(fitted)
    scores, labels = run.test.scores.clone(), run.test.labels.clone()
    scores[:3], labels[:3] = torch.tensor([0.5, 0.4, 0.3, 0.2, 0.1]), torch.tensor([[1, 0, 1, 0, 0]]).byte()
    test = Predictions(run.test.ids, scores, labels, tuple("ABCDE"))
    records = {
        "sex": np.array([0.0, 1.0, np.nan]),
        "age": np.array([89.0, 300.0, np.nan]),
        "device": np.array(["CS-12   ", "nan", ""], object),
        "report": np.array(["sinus", " ", "nan"], object),
    }
    cases = [Case("A", "typical hit", row) for row in range(3)]
    shown = show_cases(cases, test, np.array([0.5, 0.4, 0.31, 0.21, 1]), open_data(run), records, None)
    assert [list(each.facts)[:-1] for each in shown] == [
        [("patient", "male, 89 years"), ("device", "CS-12"), ("report", "sinus")],
        [("patient", "female, over 89 years")],
        [("patient", "sex unknown, age unknown")],
    ]
    verdicts = [("A", "0.500", "hit"), ("B", "0.400", "false"), ("C", "0.300", "missed"), ("D", "0.200", "")]
    assert shown[0].probabilities == [*verdicts, ("E", "0.100", "")]


def test_statements_are_those_of_the_record_in_whichever_file_it_is(fitted: Path) -> None:
    run = read_run(fitted)
    (store,) = open_data(run).stores
    codes, none = np.array([1, 0, 2], np.int16), np.zeros(0, np.int16)
    empty = replace(store.tables, indptr=np.zeros(4, np.int64), codes=none, likelihoods=none.astype(np.float32))
    full = replace(
        store.tables,
        names=["AFIB", "LVH", "SR"],
        indptr=np.array([0, 0, 3]),
        codes=codes,
        likelihoods=np.array([50, 100, 0], np.float32),
    )
    data = replace(open_data(run), stores=(replace(store, tables=empty), replace(store, tables=full)))
    assert [statements(data, row) for row in (0, 3, 4)] == [
        [("statements", "none")],
        [("statements", "none")],
        [("statements", "AFIB 100, LVH 50, SR")],
    ]


@pytest.mark.thorough
def test_coloured_is_what_counts_for_the_class_at_hand_in_the_record_itself(fitted: Path) -> None:
    run = read_run(fitted)
    data, ids = open_data(run), run.test.ids
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(len(ids), 10, generator=generator) < 0.3).byte()
    scores = torch.rand(len(ids), 10, generator=generator).double()
    test = Predictions(ids, scores, labels, tuple("ABCDEFGHIJ"))
    weights, base = torch.randn(10, 12, 1000, generator=generator), torch.arange(10.0)
    cases = [Case("C", "false positive", 4), Case("H", "typical hit", 11), Case("A", "false negative", 0)]
    shown = show_cases(
        cases,
        test,
        np.full(10, 0.5),
        data,
        columns(data, ids.numpy()),
        lambda x: torch.einsum("blt,clt->bc", x, weights) - base,
    )
    signals = open_signals(data.stores).read(positions(data, ids.numpy())).double().numpy() / data.gain
    for case, each in zip(cases, shown, strict=True):
        column = test.class_names.index(case.statement)
        # of a linear model, integrated gradients are the terms of its sum
        attribution = weights[column].double().numpy() * signals[case.row]
        smoothed = scipy.ndimage.uniform_filter1d(attribution, 5, axis=1, mode="constant")
        found = {tuple(pair.flatten()): colour for colour, pair in halos(each.drawing)}
        expected = expected_colours(strips(each.drawing), smoothed, 100)
        assert len(expected) > 100
        # float32 may fall on the other side of an edge
        assert sum(found.get(place) != expected.get(place) for place in {*found, *expected}) <= 2
        share = np.abs(attribution).sum(axis=1) / np.abs(attribution).sum()
        most = ", ".join(f"{LEADS[lead]} {share[lead]:.0%}" for lead in np.argsort(-share)[:4])
        lead, sample = np.unravel_index(np.abs(smoothed).argmax(), smoothed.shape)
        lowest = (
            f"The strongest part is in {LEADS[lead]} at {sample / 100:.2f} s: the lowest row has ten seconds of that"
        )
        assert each.attribution.endswith(f"share of absolute attribution: {most}. {lowest} lead.")
        assert strips(each.drawing)[-1].lead == LEADS[lead]
        logit = attribution.sum() - column
        assert f"{logit:+.2f} (probability {scipy.special.expit(logit):.3f}, " in each.attribution
        assert f"against {-column:+.2f} for a flat line; 0.00 of the difference is error" in each.attribution
        # the six most probable statements, and what is true beside them
        falling = np.argsort(-scores[case.row].numpy())
        listed = [test.class_names[c] for place, c in enumerate(falling) if place < 6 or labels[case.row, c]]
        assert [name for name, _, _ in each.probabilities] == listed
        assert each.ecg_id == ids[case.row]
        assert f"record {each.ecg_id}: {case.kind} of {case.statement}" in each.drawing
