"""What a run leaves behind so that it can be understood and repeated."""

import shutil
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.cli import LightningArgumentParser, SaveConfigCallback
from lightning.pytorch.utilities.types import STEP_OUTPUT
from typing_extensions import override

from projection.data.ecg import ECGDataModule
from projection.files import completed_or_removed, write_json
from projection.runs.folder import CONFIG, PROVENANCE, RESULTS, link_latest
from projection.runs.going_on import check_changes, check_data
from projection.runs.provenance import earlier_attempts, provenance


class RunRecord(SaveConfigCallback):
    """Save the configuration, versions and data fingerprint into the run folder, and the configuration to loggers.

    The folder of a training that breaks off in its first batch is removed again, and is not the latest.

    Args:
        parser: What the configuration was read with.
        config: The configuration.
        new_folder: Whether this start makes the run folder.
        goes_on: Whether it goes on from a state of the run folder.
    """

    def __init__(self, parser: LightningArgumentParser, config: Namespace, new_folder: bool, goes_on: bool) -> None:
        super().__init__(parser, config, overwrite=True, save_to_log_dir=False)
        self._new_folder = new_folder
        self._goes_on = goes_on
        self._trains = False

    @override
    def save_config(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        folder = Path(trainer.default_root_dir)
        folder.mkdir(parents=True, exist_ok=True)
        config = self.parser.dump(_without_place(self.config), skip_unset=False)
        told = provenance(_data_facts(trainer)) | {"processes": trainer.world_size}
        if self._goes_on and stage == "fit":
            allowed = bool(self.config.get("allow_changes"))
            told["changed"] = check_changes(folder, yaml.safe_load(config), allowed)
            check_data(folder, told["data"], allowed)
            told["attempts"] = earlier_attempts(folder)
        with completed_or_removed(folder / CONFIG) as partial:
            partial.write_text(config)
        write_json(folder / PROVENANCE, told)
        for logger in trainer.loggers:
            logger.log_hyperparams(yaml.safe_load(config))

    @override
    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: STEP_OUTPUT, batch: Any, batch_idx: int
    ) -> None:
        if not self._trains and trainer.is_global_zero:
            folder = Path(trainer.default_root_dir)
            link_latest(folder)
            (folder / RESULTS).unlink(missing_ok=True)  # those of a training that was shorter
        self._trains = True

    @override
    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        if self._trains or not self._new_folder or not trainer.is_global_zero or trainer.state.fn != "fit":
            return
        for logger in trainer.loggers:  # they would write what they hold into a folder that is gone
            logger.finalize("failed")
        shutil.rmtree(trainer.default_root_dir, ignore_errors=True)


def _without_place(config: Namespace) -> Namespace:
    """Leave out where a run was kept and what it resumed from: repeating it must not touch the original."""
    config = config.clone()
    config.trainer.default_root_dir = None
    if config.ckpt_path in ("last", "hpc"):
        config.ckpt_path = None
    for name in ("allow_changes", "trust"):  # of this start alone, and not every command has both
        if name in config:
            del config[name]
    return config


def _data_facts(trainer: Trainer) -> dict[str, str | list[str]]:
    data = trainer.datamodule  # type: ignore[attr-defined]
    return data.facts() if isinstance(data, ECGDataModule) else {}
