"""Every net of configs/nets trains by its recipe, from the command line to the table of results."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.metrics import roc_auc_score

from tests.benchmarks.nets import CONFIGS
from tests.conftest import ROOT, Run
from tests.run_files import results

# small enough to train in seconds; what is not listed is so by itself
SMALLER = {
    "convnext1d": ["widths=[8,16]", "blocks=[1,1]"],
    "lstm": ["width=16"],
    "lstm_bidir": ["width=16"],
    "net1d": ["widths=[16,32]", "blocks=[1,1]"],
    "inception1d": ["depth=3"],
    "s4": ["width=32", "depth=2"],
    "vit1d": ["width=24", "depth=2"],
}
EPOCHS, BATCHES, RECORDS = 4, 5, 20
marks = pytest.mark


@marks.parametrize(
    "config",
    [
        # one of each recipe is trained for mutants too
        pytest.param(path, id=path.stem, marks=marks.thorough if path.stem in ("xresnet1d18", "s4") else marks.slow)
        for path in CONFIGS
    ],
)
def test_a_net_learns_by_its_recipe_and_is_judged(run: Run, corpus_file: Path, config: Path) -> None:
    task = ROOT / "configs" / "benchmark" / "superdiagnostic.yaml"
    small = [f"--model.init_args.net.init_args.{setting}" for setting in SMALLER.get(config.stem, [])]
    quick = [f"--trainer.max_epochs={EPOCHS}", f"--trainer.limit_train_batches={BATCHES}"]
    options = [f"--data.path={corpus_file}", f"--data.batch_size={RECORDS}", "--trainer.log_every_n_steps=1"]
    quiet = ["--trainer.accelerator=cpu", "--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"]
    folder = run("fit", "--config", str(task), "--config", str(config), *options, *quick, *small, *quiet)
    assert folder.parent == Path.cwd() / "runs" / f"benchmark/superdiagnostic+nets/{config.stem}"
    recipe = yaml.safe_load((folder / "config.yaml").read_text())["model"]["init_args"]

    history = pd.read_csv(folder / "metrics" / "metrics.csv")
    kind, given = recipe["optimizer"]["class_path"].rsplit(".", 1)[1], recipe["optimizer"]["init_args"]
    steps = EPOCHS * BATCHES
    peak = given["lr"]
    expected = one_cycle(peak, steps) if recipe["schedule"] else peak
    np.testing.assert_allclose(history[f"lr-{kind}"].dropna(), expected, rtol=1e-5)
    (state,) = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["optimizer_states"]
    assert [group["weight_decay"] for group in state["param_groups"]] == [given["weight_decay"]]
    assert all(entry["step"] == steps for entry in state["state"].values())

    losses = history["train/loss"].dropna().to_numpy()
    assert losses[-BATCHES:].mean() < losses[:BATCHES].mean()

    table = pd.read_csv(folder / "predictions" / "test.csv")
    classes = [name.removeprefix("label_") for name in table if name.startswith("label_")]
    labels = table[[f"label_{name}" for name in classes]].to_numpy()
    both = [0 < column.sum() < len(column) for column in labels.T]
    assert results(folder)["test/auroc"] == pytest.approx(
        roc_auc_score(labels[:, both], table[classes].to_numpy()[:, both]), abs=1e-6
    )


def one_cycle(peak: float, steps: int) -> np.ndarray:
    """Half a cosine from a twenty-fifth up to the peak in 30% of the steps, another down to a millionth and less."""
    top = 0.3 * steps - 1
    at = np.arange(steps)
    rising, falling = (1 - np.cos(np.pi * at / top)) / 2, (1 + np.cos(np.pi * (at - top) / (steps - 1 - top))) / 2
    first, last = peak / 25, peak / 25 / 1e4
    return np.where(at <= top, first + (peak - first) * rising, last + (peak - last) * falling)
