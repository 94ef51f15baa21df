"""A little of what `make torture` does at length."""

import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.torture.cases import cases
from tests.torture.killing import differences, torture


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["demo", "ema"])
def test_what_is_killed_at_random_moments_ends_as_if_it_had_not_been(
    corpus_file: Path, tmp_path: Path, name: str
) -> None:
    kills, _, found = torture(cases(corpus_file)[name], tmp_path, 3, random.Random(name))
    assert kills >= 3
    assert not found


@pytest.mark.thorough
def test_a_difference_in_one_bit_is_seen(fitted: Path, tmp_path: Path) -> None:
    other = shutil.copytree(fitted, tmp_path / "other")
    assert not differences(fitted, other)
    last = other / "checkpoints" / "last.ckpt"
    state = torch.load(last, weights_only=True)
    (moments,) = state["optimizer_states"]
    moments["state"][0]["exp_avg"].numpy().view(np.int32).flat[0] ^= 1
    torch.save(state, last)
    with (other / "predictions" / "val.csv").open("a") as file:
        file.write("\n")
    assert differences(fitted, other) == ["last.ckpt optimizer_states", "predictions of val"]
