"""Decisions against scikit-learn and against their definitions."""

import numpy as np
import sklearn.metrics
import torch
from hypothesis import given, settings
from torch import Tensor

from projection.metrics import (
    challenge_weights,
    confusion,
    fmax,
)
from tests.metrics.drawn import close, predictions


@settings(max_examples=30)
@given(predictions())
def test_counts_and_scores_are_those_of_scikit_learn(drawn: tuple[Tensor, Tensor]) -> None:
    scores, labels = drawn
    found = confusion(scores >= 0.5, labels)
    true, decisions = labels.numpy(), (scores >= 0.5).int().numpy()
    how = {"average": None, "zero_division": np.nan}
    of_them = sklearn.metrics.precision_recall_fscore_support(true, decisions, **how)
    of_others = sklearn.metrics.precision_recall_fscore_support(1 - true, 1 - decisions, **how)
    close(found.positive_predictive_value, of_them[0])
    close(found.sensitivity, of_them[1])
    close(found.f_score(), of_them[2])
    close(found.negative_predictive_value, of_others[0])
    close(found.specificity, of_others[1])
    close(found.f_score(2), sklearn.metrics.fbeta_score(true, decisions, beta=2, **how))
    counted = torch.stack([found.true_negative, found.false_positive, found.false_negative, found.true_positive], dim=1)
    close(counted, sklearn.metrics.multilabel_confusion_matrix(true, decisions).reshape(-1, 4))


@given(predictions())
def test_challenge_scores_follow_their_definition(drawn: tuple[Tensor, Tensor]) -> None:
    scores, labels = drawn
    kept = labels.sum(dim=1) > 0
    scores, labels = scores[kept], labels[kept]
    found = confusion(scores >= 0.5, labels, challenge_weights(labels))
    for position in range(labels.shape[1]):
        tp = fp = fn = 0.0
        for row, truth in zip(scores >= 0.5, labels, strict=True):
            vote = 1 / int(truth.sum())
            tp += vote * bool(row[position] and truth[position])
            fp += vote * bool(row[position] and not truth[position])
            fn += vote * bool(truth[position] and not row[position])
        for score, expected in (
            (found.f_score(2), 5 * tp / (5 * tp + fp + 4 * fn) if tp + fp + fn else np.nan),
            (found.g_score(2), tp / (tp + fp + 2 * fn) if tp + fp + fn else np.nan),
        ):
            close(score[position], np.float64(expected))
    close(found.g_score(), found.g_score(2).numpy())


def test_a_record_s_vote_is_shared_by_its_statements() -> None:
    labels = torch.tensor([[1, 1, 0, 1], [0, 1, 1, 0], [0, 0, 0, 1], [0, 0, 0, 0]])
    close(challenge_weights(labels), [1 / 3, 1 / 2, 1, 1])


@given(predictions())
def test_fmax_tries_every_threshold(drawn: tuple[Tensor, Tensor]) -> None:
    scores, labels = drawn
    kept = labels.sum(dim=1) > 0
    scores, labels = scores[kept], labels[kept]
    if not len(labels):
        return
    best = 0.0
    for threshold in scores.unique():
        reported = scores >= threshold
        some = reported.any(dim=1)
        hits = (reported & (labels > 0)).sum(dim=1).double()
        precision = (hits / reported.sum(dim=1))[some].mean()
        recall = (hits / labels.sum(dim=1)).mean()
        if precision + recall:
            best = max(best, float(2 * precision * recall / (precision + recall)))
    close(fmax(scores, labels), np.float64(best))
