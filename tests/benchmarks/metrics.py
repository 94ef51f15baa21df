"""How fast test sets are judged."""

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from projection.metrics import auroc, bootstrap_auroc
from projection.metrics.bootstrap import draw_counts
from tests.benchmarks.table import Row, seconds, side_by_side

RECORDS, CLASSES, RESAMPLES = 2163, 71, 1000


def metric_rows(rounds: int) -> list[Row]:
    """Compare the macro AUROC and its bootstrap with scikit-learn, on a test set of PTB-XL's size and rarity."""
    random = np.random.default_rng(0)
    labels = random.random((RECORDS, CLASSES)) < np.geomspace(0.45, 0.004, CLASSES)
    scores = (labels + random.normal(size=labels.shape)).astype(np.float32)
    y, x = torch.from_numpy(labels), torch.from_numpy(scores)
    macro, by_sklearn = side_by_side(
        lambda: auroc(x, y).nanmean(), lambda: roc_auc_score(labels, scores, average="macro"), rounds=rounds
    )
    error = abs(float(auroc(x, y).nanmean()) - roc_auc_score(labels, scores, average="macro"))
    note = f"{1e3 * macro:.1f} and {1e3 * by_sklearn:.1f} ms, difference {error:.0e}"
    rows = [Row("macro AUROC against scikit-learn", by_sklearn / macro if error < 1e-12 else 0.0, 3, note=note)]
    ours = min(seconds(lambda: bootstrap_auroc(x, y, RESAMPLES)) for _ in range(rounds))
    values, counts = bootstrap_auroc(x, y, RESAMPLES), draw_counts(y, RESAMPLES, seed=0).T.long().numpy()
    few = [np.repeat(np.arange(RECORDS), count) for count in counts[:20]]
    theirs = seconds(lambda: [roc_auc_score(labels[i], scores[i], average="macro") for i in few]) / len(few) * RESAMPLES
    expected = np.array([roc_auc_score(labels[i], scores[i], average="macro") for i in few])
    error = float(np.abs(values[: len(few)].numpy() - expected).max())
    note = f"{ours:.2f} s; {theirs:.0f} s by 20 resamples; difference {error:.0e}"
    name = "1,000-fold bootstrap of the macro AUROC against scikit-learn"
    return [*rows, Row(name, theirs / ours if error < 1e-12 else 0.0, 100, note=note)]
