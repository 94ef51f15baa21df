from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from projection.metrics import MacroAUROC, MacroAveragePrecision, auroc, average_precision

Metric = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

draws = st.tuples(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 5), st.integers(0, 3))


def drawn(seed: int, records: int, classes: int, decimals: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(records, classes)).round(decimals)  # few decimals make many ties
    labels = (generator.random((records, classes)) < 0.3).astype(np.uint8)
    return torch.from_numpy(scores), torch.from_numpy(labels)


@pytest.mark.thorough
@settings(max_examples=50)
@given(draws)
def test_both_equal_scikit_learn_to_twelve_digits(draw: tuple[int, int, int, int]) -> None:
    scores, labels = drawn(*draw)
    pairs = ((auroc, roc_auc_score), (average_precision, average_precision_score))
    for ours, theirs in pairs:
        for column, value in enumerate(ours(scores, labels).tolist()):
            truth = labels[:, column].numpy()
            if truth.min() == truth.max():
                assert np.isnan(value)
            else:
                assert value == pytest.approx(theirs(truth, scores[:, column].numpy()), abs=1e-12)


@settings(max_examples=50)
@given(draws)
def test_only_the_order_of_scores_counts(draw: tuple[int, int, int, int]) -> None:
    scores, labels = drawn(*draw)
    ranks = torch.stack([column.unique(return_inverse=True)[1] for column in scores.T], dim=1)
    for metric in (auroc, average_precision):
        assert torch.equal(metric(ranks, labels).nan_to_num(-1), metric(scores, labels).nan_to_num(-1))
    torch.testing.assert_close(auroc(-scores, labels), 1 - auroc(scores, labels), equal_nan=True)


@pytest.mark.parametrize("metric", [auroc, average_precision])
def test_a_class_with_a_score_that_is_nan_has_no_value_and_the_others_have_theirs(metric: Metric) -> None:
    scores, labels = drawn(1, 40, 3, 2)
    expected = metric(scores, labels)
    for row in (0, 39):
        spoilt = scores.clone()
        spoilt[row, 1] = torch.nan
        found = metric(spoilt, labels)
        assert found[1].isnan()
        assert torch.equal(found[[0, 2]], expected[[0, 2]])


@pytest.mark.parametrize(
    ("metric", "theirs"), [(MacroAUROC, roc_auc_score), (MacroAveragePrecision, average_precision_score)]
)
def test_the_macro_average_is_over_an_epoch_and_leaves_out_undefined_classes(
    metric: type[MacroAUROC] | type[MacroAveragePrecision], theirs: Callable[..., float]
) -> None:
    whole = metric()
    for seed in (1, 2):
        scores, labels = drawn(seed, 400, 4, 4)
        labels[:, 1], labels[:, 2] = 0, 1
        for part in range(0, 400, 37):
            whole.update(scores[part : part + 37], labels[part : part + 37])
        expected = (theirs(labels[:, 0], scores[:, 0]) + theirs(labels[:, 3], scores[:, 3])) / 2
        assert whole.compute().item() == pytest.approx(expected, abs=1e-12)
        # each epoch by itself
        whole.reset()


@pytest.mark.parametrize("metric", [MacroAUROC, MacroAveragePrecision])
def test_a_score_that_is_nan_makes_the_result_nan(metric: type[MacroAUROC] | type[MacroAveragePrecision]) -> None:
    scores, labels = drawn(1, 40, 3, 2)
    scores[5, 0] = torch.nan
    diverged = metric()
    diverged.update(scores, labels)
    assert diverged.compute().isnan()
