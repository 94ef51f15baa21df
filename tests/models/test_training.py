"""Every net of configs/nets trains by its recipe, from the command line to the table of results."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.nets import CONFIGS
from tests.conftest import ROOT, Run

# small enough to train an epoch in seconds; what is not listed is small by itself
SMALLER = {
    "convnext1d": ["widths=[8,16]", "blocks=[1,1]"],
    "lstm_bidir": ["width=32"],
    "net1d": ["widths=[16,32]", "blocks=[1,1]"],
    "s4": ["width=32"],
    "vit1d": ["width=24", "depth=2"],
}


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_a_net_trains_one_epoch_by_its_recipe(run: Run, corpus_file: Path, config: Path) -> None:
    task = ROOT / "configs" / "benchmark" / "superdiagnostic.yaml"
    small = [f"--model.init_args.net.init_args.{setting}" for setting in SMALLER.get(config.stem, [])]
    quick = ["--trainer.max_epochs=1", "--data.batch_size=32", "--trainer.enable_progress_bar=false"]
    options = [f"--data.path={corpus_file}", *quick, *small, "--trainer.accelerator=cpu"]
    folder = run("fit", "--config", str(task), "--config", str(config), *options)
    results = json.loads((folder / "results.json").read_text())
    assert 0 <= results["test/auroc"] <= 1
    assert folder.parent.parts[-2:] == ("benchmark", "superdiagnostic")
