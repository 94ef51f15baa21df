"""What a run leaves behind so that it can be understood and repeated."""

from pathlib import Path

import yaml
from jsonargparse import Namespace
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from typing_extensions import override

from projection.data.ecg import ECGDataModule
from projection.files import completed_or_removed, write_json
from projection.runs.folder import CONFIG, PROVENANCE, link_latest
from projection.runs.provenance import provenance


class RunRecord(SaveConfigCallback):
    """Save the configuration, versions and data fingerprint into the run folder, and the configuration to loggers."""

    def __init__(self, parser: LightningArgumentParser, config: Namespace) -> None:
        super().__init__(parser, config, overwrite=True, save_to_log_dir=False)

    @override
    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        folder = Path(trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        config = self.parser.dump(_without_place(self.config), skip_unset=False)
        with completed_or_removed(folder / CONFIG) as partial:
            partial.write_text(config)
        write_json(folder / PROVENANCE, provenance(_data_facts(trainer)))
        for logger in trainer.loggers:
            logger.log_hyperparams(yaml.safe_load(config))

    @override
    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.is_global_zero:  # only now: a run that was refused is not the latest
            link_latest(Path(trainer.default_root_dir))


def _without_place(config: Namespace) -> Namespace:
    """Leave out where a run was kept and what it resumed from: repeating it must not touch the original."""
    config = config.clone()
    config.trainer.default_root_dir = None
    if config.ckpt_path in ("last", "hpc"):
        config.ckpt_path = None
    return config


def _data_facts(trainer: Trainer) -> dict[str, str | list[str]]:
    data = trainer.datamodule  # type: ignore[attr-defined]
    return data.facts() if isinstance(data, ECGDataModule) else {}
