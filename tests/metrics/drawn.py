"""Predictions to judge, and how numbers are compared."""

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor


@st.composite
def predictions(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Probabilities with ties, constant columns and extremes; labels with absent classes."""
    records, classes = draw(st.integers(2, 40)), draw(st.integers(2, 5))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))
    levels = draw(st.sampled_from([1, 2, 5, 1000]))
    scores = torch.randint(levels + 1, (records, classes), generator=generator) / levels
    labels = (torch.rand(records, classes, generator=generator) < draw(st.sampled_from([0.1, 0.5, 0.9]))).int()
    return scores.float(), labels


def close(found: Tensor, expected: float | list[float] | np.ndarray) -> None:
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12, equal_nan=True)
