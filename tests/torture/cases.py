"""The shipped configurations, on little data."""

from pathlib import Path

from tests.conftest import ROOT
from tests.torture.killing import Case

CONFIGS = ROOT / "configs"
_SMALL_S4 = ["--model.init_args.net.init_args.width", "8", "--model.init_args.net.init_args.depth", "1"]


def cases(data: Path) -> dict[str, Case]:
    """Give the trainings by name."""
    quick = ["--data.path", str(data), "--data.batch_size", "16", "--trainer.accelerator", "cpu"]
    quick += ["--trainer.enable_progress_bar", "false", "--trainer.enable_model_summary", "false"]
    demo = ["--config", str(CONFIGS / "demo.yaml")]
    few, fewer = (["--trainer.max_epochs", epochs] for epochs in ("6", "3"))
    anywhere = ("memory", "disk", "device")
    return {
        "demo": Case([*demo, *quick, *few], residencies=anywhere),
        "augment": Case([*demo, "--config", str(CONFIGS / "presets" / "augment.yaml"), *quick, *fewer]),
        "ema": Case([*demo, "--config", str(CONFIGS / "presets" / "ema.yaml"), *quick, *few]),
        "s4": Case([*demo, "--config", str(CONFIGS / "nets" / "s4.yaml"), *quick, *_SMALL_S4, *fewer]),
        "ddp": Case([*demo, "--config", str(CONFIGS / "presets" / "ddp.yaml"), *quick, *few], ranks=2),
    }
