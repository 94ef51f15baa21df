import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from projection.metrics import MacroAUROC, MacroAveragePrecision, auroc, average_precision

draws = st.tuples(st.integers(0, 2**32 - 1), st.integers(2, 60), st.integers(1, 5), st.integers(0, 3))


def drawn(seed: int, records: int, classes: int, decimals: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = np.random.default_rng(seed)
    scores = generator.normal(size=(records, classes)).round(decimals)  # few decimals make many ties
    labels = (generator.random((records, classes)) < 0.3).astype(np.uint8)
    return torch.from_numpy(scores), torch.from_numpy(labels)


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


@given(draws)
def test_only_the_order_of_scores_counts(draw: tuple[int, int, int, int]) -> None:
    scores, labels = drawn(*draw)
    ranks = torch.stack([column.unique(return_inverse=True)[1] for column in scores.T], dim=1)
    for metric in (auroc, average_precision):
        assert torch.equal(metric(ranks, labels).nan_to_num(-1), metric(scores, labels).nan_to_num(-1))
    torch.testing.assert_close(auroc(-scores, labels), 1 - auroc(scores, labels), equal_nan=True)


@pytest.mark.parametrize("metric", [MacroAUROC, MacroAveragePrecision])
def test_the_macro_average_leaves_out_undefined_classes(metric: type[MacroAUROC] | type[MacroAveragePrecision]) -> None:
    scores, labels = drawn(1, 40, 3, 2)
    labels[:, 1] = 0
    whole = metric()
    for part in range(0, 40, 7):
        whole.update(scores[part : part + 7], labels[part : part + 7])
    per_class = whole.per_class(scores.float(), labels)
    assert whole.compute().item() == pytest.approx((per_class[0] + per_class[2]).item() / 2, abs=1e-12)


def test_a_score_that_is_nan_makes_the_result_nan() -> None:
    scores, labels = drawn(1, 40, 3, 2)
    scores[5, 0] = torch.nan
    metric = MacroAUROC()
    metric.update(scores, labels)
    assert metric.compute().isnan()
