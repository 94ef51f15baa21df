import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from projection.errors import ProjectionError
from projection.metrics import bootstrap_auroc
from projection.metrics.bootstrap import draw_counts


@pytest.mark.thorough
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


def test_every_class_keeps_both_outcomes_and_constant_ones_are_left_out() -> None:
    labels = torch.zeros(300, 4)
    labels[:2, 0] = 1
    labels[3:, 1] = 1
    labels[:, 2] = 1
    positive = labels[:, :2] > 0
    counts = draw_counts(positive, 200, 0)
    assert counts.shape == (300, 200)
    for outcome in (positive, ~positive):
        assert (counts.T @ outcome.float() > 0).all()
    scores = torch.rand(300, 4)
    values = bootstrap_auroc(scores, labels, 200)
    assert torch.equal(values, bootstrap_auroc(scores[:, :2], labels[:, :2], 200))
    assert values.isfinite().all()
    assert values.std() > 0


def test_draws_are_with_replacement_and_favour_no_record() -> None:
    counts = draw_counts(torch.rand(50, 1) < 0.5, 4000, 0)
    # of a Poisson variable of mean 1, as nearly as 4,000 draws tell
    torch.testing.assert_close(counts.mean(dim=1), torch.ones(50), atol=0.08, rtol=0)
    assert (counts == 0).float().mean() == pytest.approx(np.exp(-1), abs=0.01)
    assert len(counts.unique(dim=1).T) == 4000


def test_a_seed_repeats_the_draws_and_more_of_them_begin_alike() -> None:
    scores, labels = torch.rand(100, 2), torch.rand(100, 2) > 0.5
    first, same, other = (bootstrap_auroc(scores, labels, 20, seed) for seed in (1, 1, 2))
    assert torch.equal(first, same)
    assert torch.equal(bootstrap_auroc(scores, labels, 1500, 1)[:20], first)
    assert torch.equal(bootstrap_auroc(scores, labels), bootstrap_auroc(scores, labels, 1000, 0))
    assert not torch.equal(first, other)


def test_patients_are_drawn_with_all_of_their_records() -> None:
    labels = torch.rand(300, 2) < 0.4
    patients = torch.arange(300) // 3
    counts = draw_counts(labels, 50, 0, patients)
    assert torch.equal(counts[0::3], counts[1::3])
    assert torch.equal(counts[0::3], counts[2::3])
    assert (counts[0::3].sum(dim=0) == 100).all()
    # three copies of each record say no more than one
    scores = torch.rand(100, 2)
    tripled = bootstrap_auroc(scores.repeat_interleave(3, 0), labels[:100].repeat_interleave(3, 0), 500, 0, patients)
    assert tripled.std() == pytest.approx(float(bootstrap_auroc(scores, labels[:100], 500, 0).std()), rel=1e-9)


def test_what_cannot_be_resampled_is_an_error() -> None:
    with pytest.raises(ProjectionError, match="No class has both"):
        bootstrap_auroc(torch.rand(10, 2), torch.zeros(10, 2))
    with pytest.raises(ProjectionError, match="too rare for a bootstrap"):
        bootstrap_auroc(torch.rand(40, 40), torch.eye(40), 10)
