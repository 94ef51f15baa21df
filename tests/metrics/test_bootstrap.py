import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from projection.errors import ProjectionError
from projection.metrics import bootstrap_auroc
from projection.metrics.bootstrap import draw_counts


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), records=st.integers(12, 400), levels=st.sampled_from([2, 5, 1_000_000]))
def test_every_resample_has_scikit_learn_s_auroc(seed: int, records: int, levels: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, levels, (records, 3)) / levels
    labels = generator.random((records, 3)) < 0.4
    labels[:2] = [[True] * 3, [False] * 3]
    values = bootstrap_auroc(torch.from_numpy(scores), torch.from_numpy(labels), 5, seed).numpy()
    counts = draw_counts(torch.from_numpy(labels), 5, seed).T.long().numpy()
    for value, count in zip(values, counts, strict=True):
        chosen = np.repeat(np.arange(records), count)
        assert count.sum() == records
        assert abs(value - roc_auc_score(labels[chosen], scores[chosen], average="macro")) < 1e-12


def test_classes_that_are_rare_keep_a_positive_and_constant_ones_are_left_out() -> None:
    labels = torch.zeros(300, 3)
    labels[:2, 0] = 1
    labels[:150, 1] = 1
    values = bootstrap_auroc(torch.rand(300, 3), labels, 200)
    assert values.shape == (200,)
    assert values.isfinite().all()
    assert values.std() > 0


def test_a_seed_repeats_the_draws() -> None:
    scores, labels = torch.rand(100, 2), torch.rand(100, 2) > 0.5
    first, same, other = (bootstrap_auroc(scores, labels, 20, seed) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)


def test_what_cannot_be_resampled_is_an_error() -> None:
    with pytest.raises(ProjectionError, match="No class has both"):
        bootstrap_auroc(torch.rand(10, 2), torch.zeros(10, 2))
    with pytest.raises(ProjectionError, match="too rare for a bootstrap"):
        bootstrap_auroc(torch.rand(40, 40), torch.eye(40), 10)
