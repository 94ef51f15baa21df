"""What the README shows, as it stands there."""

import re
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from projection.runs.load import load
from tests.conftest import ROOT, Run
from tests.run_files import results

PLAIN = """
import lightning


class Plain(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.net = MyNet(2, 2)

    def training_step(self, batch, batch_idx):
        x, y = batch
        return nn.functional.binary_cross_entropy_with_logits(self.net(x), y.float())

    def validation_step(self, batch, batch_idx):
        x, y = batch
        self.log("val/loss", self.training_step(batch, batch_idx))
        return self.net(x).sigmoid()

    test_step = validation_step

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters())
"""
BLOCKS = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)


@pytest.mark.thorough
def test_a_data_set_and_a_net_of_one_s_own_are_trained_judged_and_named(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (example,) = (block for block in BLOCKS if block.startswith("# mine.py"))
    Path("mine.py").write_text(example)
    monkeypatch.syspath_prepend(str(Path.cwd()))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    rng, labels = np.random.default_rng(0), np.tile([[0, 1], [1, 0]], (60, 1))
    signals = rng.normal(size=(120, 2, 1000)) * (1 + 3 * labels[:, :1, None])
    Path("data").mkdir()
    split = np.repeat([0, 1, 2], 40)
    ids = 5000 + 3 * np.arange(120)
    np.savez("data/mine.npz", x=signals.astype(np.float32), y=labels, ids=ids, split=split)
    own = ["--model.net", "mine.MyNet", "--data", "mine.MyData", "--data.batch_size", "4", "--trainer.max_epochs", "8"]
    folder = run("fit", "--model", "ClassificationTask", *own, "--trainer.accelerator", "cpu")
    assert results(folder)["test/auroc"] > 0.9
    table = pd.read_csv(folder / "predictions" / "test.csv")
    assert table["ecg_id"].tolist() == ids[split == 2].tolist()
    assert list(table.columns[1:]) == ["calm", "fast", "label_calm", "label_fast"]
    predicted = run("predict", "--config", str(folder / "config.yaml"), "--ckpt_path", "best", "--trust", "true")
    assert pd.read_csv(predicted / "predictions" / "predict.csv")["ecg_id"].tolist() == ids[split == 2].tolist()
    # a module that knows of no ids, as in any tutorial
    Path("mine.py").write_text(example + PLAIN)
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    plain = [
        "--model",
        "mine.Plain",
        "--data",
        "mine.MyData",
        "--trainer.max_epochs",
        "1",
        "--trainer.accelerator",
        "cpu",
    ]
    table = pd.read_csv(run("fit", *plain) / "predictions" / "test.csv")
    assert table["ecg_id"].tolist() == ids[split == 2].tolist()
    model = load(folder / "checkpoints" / "best.ckpt", trust=True)
    assert (model.sampling_rate, model.learned["lead_names"]) == (250, ["I", "II"])  # type: ignore[index]
