"""Every net of configs/nets is trained by the recipe of its source, in one table."""

import sys
from typing import Any

import pytest
import yaml

from projection.__main__ import main
from tests.benchmarks.nets import CONFIGS
from tests.conftest import ROOT

# helme/ecg_ptbxl_benchmarking, fastai_model.py: one cycle of 50 epochs up to 0.01, weight decay 0.01, batches of 128,
# windows of 2.5 s, judged by the maximum over windows at half their length; a head of 128, dropout 0.5, kernels of 5
BENCHMARK = {
    "epochs": 50,
    "batch_size": 128,
    "optimizer": "AdamW",
    "lr": 0.01,
    "weight_decay": 0.01,
    "schedule": "OneCycle",
    "window": 2.5,
    "stride": 1.25,
    "aggregation": "max",
}
HEAD = {"hidden": 128, "dropout": 0.5}
GENTLER = {**BENCHMARK, "lr": 0.001}  # our own choice for nets from other fields
# tmehari/ssm_ecg, train_ecg_model.py: a constant 0.001, weight decay 0.001, windows of 250 samples, four layers of 512
# with states of 8, dropout 0.2, and the mean over windows side by side; its default batch is 128
S4 = {
    **BENCHMARK,
    "batch_size": 32,
    "lr": 0.001,
    "weight_decay": 0.001,
    "schedule": None,
    "stride": 2.5,
    "aggregation": "mean",
}
# Li et al. 2025: PKUDigitalHealth/ECGFounder, finetune_model.py
ECG_FOUNDER = {"widths": [64, 160, 160, 400, 400, 1024, 1024], "blocks": [2, 2, 2, 3, 3, 4, 4], "kernel_size": 16}

RECIPES: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "convnext1d": (
        "ConvNeXt1d",
        {"widths": [64, 128, 256, 512], "blocks": [2, 2, 6, 2], "patch": 4, "kernel_size": 7, "drop_path": 0.1},
        GENTLER,
    ),
    "fcn_wang": ("FCNWang", HEAD, BENCHMARK),
    "inception1d": ("Inception1d", {"depth": 6, "kernel_size": 40, **HEAD}, BENCHMARK),
    # the source trains its recurrent nets at 0.001, with gradients clipped at 0.25
    "lstm": ("LSTM", {"width": 256, "layers": 2, "bidirectional": False, **HEAD}, BENCHMARK),
    "lstm_bidir": ("LSTM", {"width": 256, "layers": 2, "bidirectional": True, **HEAD}, BENCHMARK),
    "net1d": ("Net1D", {**ECG_FOUNDER, "dropout": 0.0}, GENTLER),
    "resnet1d_wang": ("ResNet1dWang", {"kernel_size": 5, **HEAD}, BENCHMARK),
    "s4": ("S4", {"width": 512, "depth": 4, "state": 8, "bidirectional": True, "dropout": 0.2}, S4),
    "vit1d": ("ViT1d", {"patch": 10, "width": 192, "depth": 12, "heads": 3, "dropout": 0.1}, GENTLER),
    **{
        f"xresnet1d{depth}": ("XResNet1d", {"depth": depth, "kernel_size": 5, **HEAD}, BENCHMARK)
        for depth in (18, 34, 50, 101)
    },
}


@pytest.mark.thorough
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.stem)
def test_a_net_has_the_recipe_of_its_source(
    config: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["projection"])
    task = ROOT / "configs" / "benchmark" / "all.yaml"
    with pytest.raises(SystemExit, match="0"):
        main(["fit", "--config", str(task), "--config", str(config), "--print_config"])
    settings = yaml.safe_load(capsys.readouterr().out)
    kind, arguments, recipe = RECIPES[config.stem]
    model, data = settings["model"]["init_args"], settings["data"]["init_args"]
    assert model["net"] == {"class_path": f"projection.nets.{kind}", "init_args": arguments}
    optimizer, schedule = model["optimizer"], model["schedule"]
    assert recipe == {
        "epochs": settings["trainer"]["max_epochs"],
        "batch_size": data["batch_size"],
        "optimizer": optimizer["class_path"].removeprefix("torch.optim."),
        "lr": optimizer["init_args"]["lr"],
        "weight_decay": optimizer["init_args"]["weight_decay"],
        "schedule": schedule and schedule["class_path"].removeprefix("projection.tasks."),
        **{name: model[name] for name in ("window", "stride", "aggregation")},
    }
    assert settings["trainer"]["gradient_clip_val"] is None
    assert model["loss"] is None
    assert data["transforms"] is None


def test_every_net_has_a_recipe() -> None:
    assert sorted(RECIPES) == [config.stem for config in CONFIGS]
