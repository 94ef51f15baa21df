"""Predictions that nobody trained for."""

from pathlib import Path

import pandas as pd
import torch

from projection.evaluation.predictions import Predictions


def made_up(skill: float, records: int = 400, seed: int = 0, first: int = 0) -> Predictions:
    """Predictions of records whose labels do not depend on skill."""
    generator = torch.Generator().manual_seed(1)
    labels = (torch.rand(records, 3, generator=generator) < 0.3).to(torch.uint8)
    noise = torch.randn(records, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return Predictions(
        torch.arange(first, first + records), (skill * labels + noise).sigmoid(), labels, ("A", "B", "C")
    )


def write(run: Path, split: str, predictions: Predictions) -> None:
    """Write predictions as `fit` does."""
    table = pd.DataFrame(predictions.scores.numpy(), columns=list(predictions.class_names))
    table.insert(0, "ecg_id", predictions.ids.numpy())
    labels = pd.DataFrame(predictions.labels.numpy(), columns=[f"label_{name}" for name in predictions.class_names])
    (run / "predictions").mkdir(parents=True, exist_ok=True)
    table.join(labels).to_csv(run / "predictions" / f"{split}.csv", index=False)
