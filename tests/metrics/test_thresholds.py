"""Fitted thresholds against exact fractions, which try every score."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from projection.metrics import fit_thresholds
from projection.metrics.thresholds import Criterion

Column = tuple[list[int], list[bool], list[int]]
CRITERIA: tuple[Criterion, ...] = ("youden", "f1", "g2", "sensitivity")


@st.composite
def columns(draw: st.DrawFn) -> Column:
    """Scores in percent with ties, labels of both kinds, and whole weights."""
    records = draw(st.lists(st.tuples(st.integers(0, 12), st.booleans(), st.integers(1, 3)), min_size=2, max_size=30))
    scores, labels, weights = map(list, zip(*records, strict=True))
    return [*scores, 3, 9], [*labels, True, False], [*weights, 1, 1]


def value(criterion: Criterion, wanted: Fraction, column: Column, threshold: int) -> Fraction:
    """What a threshold is worth; for a wanted sensitivity the highest one that reaches it."""
    scores, labels, weights = column
    counted = {(true, reported): Fraction(0) for true in (True, False) for reported in (True, False)}
    for score, true, weight in zip(scores, labels, weights, strict=True):
        counted[true, score >= threshold] += weight
    hits, missed = counted[True, True], counted[True, False]
    false, passed = counted[False, True], counted[False, False]
    return {
        "youden": hits / (hits + missed) + passed / (passed + false),
        "f1": 2 * hits / (2 * hits + false + missed),
        "g2": hits / (hits + false + 2 * missed),
        "sensitivity": Fraction(threshold if hits / (hits + missed) >= wanted else -1),
    }[criterion]


@given(columns(), st.sampled_from(CRITERIA), st.sampled_from(["0.5", "0.55", "0.9", "1"]))
def test_the_best_threshold_is_found_and_of_equal_ones_the_highest(
    column: Column, criterion: Criterion, wanted: str
) -> None:
    scores, labels, weights = column
    best = max(set(scores), key=lambda score: (value(criterion, Fraction(wanted), column, score), score))
    found = fit_thresholds(
        torch.tensor([scores]).T / 100, torch.tensor([labels]).T, criterion, float(wanted), torch.tensor(weights)
    )
    assert found.dtype == torch.float64
    assert found.item() == pytest.approx(best / 100)
    if set(weights) == {1}:
        assert (
            fit_thresholds(torch.tensor([scores]).T / 100, torch.tensor([labels]).T, criterion, float(wanted)) == found
        )


def test_as_many_as_wanted_are_enough() -> None:
    labels = torch.tensor([[1], [0]]).repeat_interleave(100, 0)
    scores = torch.linspace(1, 0, 200, dtype=torch.float64).unsqueeze(1)
    for wanted in range(1, 101):
        assert fit_thresholds(scores, labels, "sensitivity", wanted / 100) == scores[wanted - 1], wanted


def test_by_default_youden_is_maximised_and_nine_of_ten_are_to_be_found() -> None:
    scores, labels = torch.rand(200, 3), torch.rand(200, 3) < 0.4
    assert torch.equal(fit_thresholds(scores, labels), fit_thresholds(scores, labels, "youden"))
    wanted = fit_thresholds(scores, labels, "sensitivity")
    assert torch.equal(wanted, fit_thresholds(scores, labels, "sensitivity", 0.9))


@pytest.mark.parametrize("criterion", CRITERIA)
def test_of_a_class_without_both_outcomes_nothing_is_reported(criterion: Criterion) -> None:
    labels = torch.tensor([[0, 1, 0], [0, 1, 1]])
    found = fit_thresholds(torch.full((2, 3), 0.5), labels, criterion)
    assert found[:2].tolist() == [torch.inf, torch.inf]
    assert found[2] == 0.5


@pytest.mark.parametrize("pairs", range(1, 30))
def test_rounding_does_not_choose_between_equal_thresholds(pairs: int) -> None:
    labels = torch.tensor([[1], [0]]).repeat(pairs, 1)  # a step up the ROC curve, then one to the right
    scores = torch.linspace(1, 0, 2 * pairs, dtype=torch.float64).unsqueeze(1)
    assert fit_thresholds(scores, labels, "youden") == 1
