"""The model that a run folder gives back."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml

from projection.data.signal_sets import open_signals
from projection.errors import ProjectionError
from projection.nets import CNN1d
from projection.report.rebuild import rebuild
from projection.runs.run import open_data, positions, read_run
from projection.transforms import BandPass, Normalise, Resample


def configure(folder: Path, part: str, **arguments: Any) -> None:
    """Change arguments in a run's configuration."""
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config[part]["init_args"] |= arguments
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


def change(checkpoint: Path, **values: Any) -> None:
    """Change what a checkpoint holds beside its weights, or weights by the names of attributes."""
    content = torch.load(checkpoint, weights_only=True)
    for name, value in values.items():
        place = content if name in content else content["state_dict"]
        place[name.replace("__", ".")] = value
    torch.save(content, checkpoint)


def test_a_rebuilt_model_predicts_what_the_run_stored(trained: Path) -> None:
    # the best checkpoint, whatever the last one is
    change(trained / "checkpoints" / "last.ckpt", mean=torch.tensor(5.0))
    run = read_run(trained)
    data = open_data(run)
    rows = positions(data, run.test.ids.numpy())
    model = rebuild(run, data.sampling_rate)
    signals = open_signals(data.stores).read(rows).float() / data.gain
    with torch.no_grad():
        torch.testing.assert_close(model(signals).sigmoid().double(), run.test.scores, atol=1e-5, rtol=0)


def by_hand(folder: Path, x: torch.Tensor, length: int, stride: int) -> np.ndarray:
    """Compute the logits of every window, `(windows, records, classes)`, from the weights alone."""
    content = torch.load(folder / "checkpoints" / "best.ckpt", weights_only=True)["state_dict"]
    net = CNN1d(12, 5, widths=[4, 8])
    net.load_state_dict({name[4:]: value for name, value in content.items() if name.startswith("net.")})
    last = x.shape[2] - length
    starts = sorted({*range(0, last, stride), last})
    with torch.no_grad():
        standardised = (x - content["mean"]) / content["std"]
        return np.stack([net.eval()(standardised[..., start : start + length]).numpy() for start in starts])


@pytest.mark.parametrize("aggregation", ["max", "mean"])
def test_windows_and_how_they_are_joined_are_the_run_s(trained: Path, aggregation: str) -> None:
    configure(trained, "model", window=2.0, stride=1.5, aggregation=aggregation)
    change(trained / "checkpoints" / "best.ckpt", mean=torch.tensor(0.3), std=torch.tensor(2.0))
    x = torch.randn(3, 12, 1000)
    probabilities = 1 / (1 + np.exp(-by_hand(trained, x, 200, 150)))
    expected = getattr(np, aggregation)(probabilities, axis=0)
    found = rebuild(read_run(trained), 100)(x).sigmoid()
    np.testing.assert_allclose(found.detach(), expected, atol=1e-6)


def test_fixed_transforms_come_first_in_their_order_and_at_their_rates(trained: Path) -> None:
    steps = [("BandPass", {"high": 30.0}), ("GaussianNoise", {}), ("Resample", {"hertz": 50})]
    steps += [("BandPass", {"low": 2.0, "high": None}), ("Normalise", {})]
    named = [{"class_path": f"projection.transforms.{name}", "init_args": arguments} for name, arguments in steps]
    configure(trained, "data", transforms=named)
    # what setup found when the run was trained so
    change(trained / "checkpoints" / "best.ckpt", sampling_rate=50)
    x = torch.randn(3, 12, 1000)
    y = torch.zeros(3, 5)
    fixed = [(BandPass(high=30), 100), (Resample(50), 100), (BandPass(2, None), 50), (Normalise(), 50)]
    seen = x
    for transform, rate in fixed:
        seen, _ = transform(seen, y, rate)
    expected = by_hand(trained, seen, 250, 125).max(axis=0)
    np.testing.assert_allclose(rebuild(read_run(trained), 100)(x).detach(), expected, atol=1e-5)


def test_a_checkpoint_that_could_run_code_or_is_of_another_net_is_refused(trained: Path) -> None:
    configure(trained, "model", net={"class_path": "projection.nets.CNN1d", "init_args": {"widths": [4, 8, 8]}})
    with pytest.raises(ProjectionError, match=r"best.ckpt is not one of the model that config.yaml describes"):
        rebuild(read_run(trained), 100)
    change(trained / "checkpoints" / "best.ckpt", class_names=Path("anything but plain values"))
    with pytest.raises(
        ProjectionError, match=r"best.ckpt holds more than tensors and plain values, and could run code"
    ):
        rebuild(read_run(trained), 100)


@pytest.mark.slow  # PyTorch's compiler takes seconds to import, even where it is not used
def test_a_run_that_compiled_its_net_is_rebuilt_without_compiling(trained: Path) -> None:
    expected = rebuild(read_run(trained), 100)(x := torch.randn(2, 12, 1000))
    configure(trained, "model", compile=True)
    compiled = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    torch.testing.assert_close(rebuild(read_run(trained), 100)(x), expected)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == compiled
