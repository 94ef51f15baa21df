"""What a configuration says of files: those that it was read from, and where a run writes its own."""

import os
from pathlib import Path

import yaml
from jsonargparse import Namespace

from projection.runs.folder import CHECKPOINTS, title, unused


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


def options_left_out(config: Namespace) -> list[str]:
    """List what configuration files say of data, such as PTB-XL's labels, that the chosen data module does not take."""
    parts = [(yaml.safe_load(file.read_text("utf-8")) or {}).get("data") or {} for file in config_files(config)]
    said = {name for part in parts if isinstance(part, dict) for name in part.get("init_args") or {}}
    taken = config.data.get("init_args")
    return sorted(f"data.{name}" for name in said - (set(vars(taken)) if taken else set()))
