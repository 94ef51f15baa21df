"""What a run leaves behind so that it can be understood and repeated."""

from pathlib import Path

import yaml
from jsonargparse import Namespace
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback

from projection.data.datamodule import PTBXLDataModule
from projection.runs.folder import link_latest, provenance, write_json


class RunRecord(SaveConfigCallback):
    """Save the configuration, versions and data fingerprint into the run folder, and the configuration to loggers.

    Args:
        parser: The command's parser.
        config: The configuration as the user gave it, with all defaults.
    """

    def __init__(self, parser: LightningArgumentParser, config: Namespace) -> None:
        super().__init__(parser, config, overwrite=True, save_to_log_dir=False)

    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write `config.yaml` and `provenance.json`; called on rank zero.

        Args:
            trainer: The trainer.
            pl_module: The model.
            stage: fit, validate, test or predict.
        """
        folder = Path(trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        config = self.parser.dump(_without_place(self.config), skip_unset=False)
        (folder / "config.yaml").write_text(config)
        write_json(folder / "provenance.json", provenance(_data_facts(trainer)))
        if stage == "fit":
            link_latest(folder)
        for logger in trainer.loggers:
            logger.log_hyperparams(yaml.safe_load(config))


def _without_place(config: Namespace) -> Namespace:
    """Leave out where a run was kept and what it resumed from: repeating it must not touch the original."""
    config = config.clone()
    config.trainer.default_root_dir = None
    if config.ckpt_path in ("last", "hpc"):
        config.ckpt_path = None
    return config


def _data_facts(trainer: Trainer) -> dict[str, str]:
    data = trainer.datamodule  # type: ignore[attr-defined]
    if not isinstance(data, PTBXLDataModule):
        return {}
    files = [{"path": store.path.resolve(), **store.attributes} for store in data.data_set.stores]
    return {name: ", ".join(str(file[name]) for file in files) for name in files[0]}
