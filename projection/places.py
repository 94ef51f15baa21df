"""What a configuration says of files: those that it was read from, and where a run writes its own."""

import os
from pathlib import Path

import yaml
from jsonargparse import Namespace

from projection.runs.folder import CHECKPOINTS, title, unused

OWN_DATA = "projection.data.datamodule.PTBXLDataModule"


def config_files(config: Namespace) -> list[Path]:
    """List the configuration files that were given, in order."""
    return [Path(str(file)) for file in config.config or []]


def direct_output(config: Namespace, folder: Path) -> None:
    """Point everything that writes files at the run folder, in the configuration itself."""
    config.trainer.default_root_dir = str(folder)
    for callback in ("checkpoint", "last_checkpoint"):
        config[callback].dirpath = config[callback].dirpath or str(folder / CHECKPOINTS)
    loggers = config.trainer.logger
    for logger in loggers if isinstance(loggers, list) else [loggers]:
        if isinstance(logger, Namespace) and logger.get("init_args.save_dir") == ".":
            logger.init_args.save_dir = str(folder)
            if logger.class_path.endswith("CSVLogger"):
                # it would delete the metrics of the run that it continues
                logger.init_args.name = unused(folder, logger.init_args.name)
            if logger.class_path.endswith("WandbLogger"):
                Path(folder).mkdir(parents=True, exist_ok=True)
                name = title(folder)
                logger.init_args.name = logger.init_args.name or os.environ.get("WANDB_NAME", name)
                # so that a resumed run goes on in its own curves
                identity = name.replace("/", "-").replace("+", "-")
                logger.init_args.id = logger.init_args.id or os.environ.get("WANDB_RUN_ID", identity)


def options_of_other_data(config: Namespace) -> str:
    """Tell which options of other data, such as PTB-XL's, the chosen data module takes from configuration files."""
    parts = [(yaml.safe_load(file.read_text("utf-8")) or {}).get("data") or {} for file in config_files(config)]
    parts = [part for part in parts if isinstance(part, dict)]
    if any("class_path" in part for part in parts) or config.data.class_path == OWN_DATA:
        return ""
    said = {name for part in parts for name in part.get("init_args") or {}}
    taken = vars(config.data.init_args) if config.data.get("init_args") else {}
    kept = [f"data.{name}={taken[name]}" for name in sorted(said & taken.keys())]
    lost = [f"data.{name}" for name in sorted(said - taken.keys())]
    told = [f"taken: {', '.join(kept)}"] * bool(kept) + [f"left out: {', '.join(lost)}"] * bool(lost)
    return f"Of what the experiment says of other data, {config.data.class_path} has {'; '.join(told)}." if told else ""
