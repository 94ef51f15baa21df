"""The trainer commands: `fit`, `validate`, `test` and `predict`."""

from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, RichProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.utilities import rank_zero_only, rank_zero_warn
from lightning.pytorch.utilities.model_helpers import is_overridden

from projection import models, tasks, transforms  # noqa: F401 - so that their classes are known by short names
from projection.callbacks import BestCheckpoint, LastCheckpoint, PredictionWriter, RunRecord
from projection.data.datamodule import PTBXLDataModule  # noqa: F401 - likewise
from projection.errors import ProjectionError
from projection.results import report
from projection.run_folder import evaluated_run, experiment_name, run_id

BASE_CONFIG = Path(__file__).resolve().parents[1] / "configs" / "base.yaml"
COMMANDS = ("fit", "validate", "test", "predict")

# forced callbacks, and the Trainer option that switches each off
_SWITCHES = {
    "checkpoint": "enable_checkpointing",
    "last_checkpoint": "enable_checkpointing",
    "learning_rate_monitor": "logger",
    "progress_bar": "enable_progress_bar",
}


class ProjectionCLI(LightningCLI):
    """Lightning's command line with PTB-XL's defaults, a run folder, and a test of the best checkpoint after `fit`."""

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the callbacks that every run has, and hand the data's classes and leads to the model.

        Args:
            parser: The parser of one command.
        """
        parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
        parser.add_lightning_class_args(LastCheckpoint, "last_checkpoint")
        parser.add_lightning_class_args(LearningRateMonitor, "learning_rate_monitor")
        parser.add_lightning_class_args(RichProgressBar, "progress_bar")
        parser.add_lightning_class_args(PredictionWriter, "predictions")
        for name in ("num_classes", "class_names", "leads"):
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def _parse_ckpt_path(self) -> None:
        """Let the command line decide: Lightning would replace it by the arguments saved in a checkpoint."""

    def instantiate_classes(self) -> None:
        """Build everything, with all output directed into the run folder."""
        self.given_config = self.config
        self.config = self.config.clone()
        config = self.config[self.subcommand]
        if self.subcommand != "fit":
            config.trainer.logger = False
            if not config.ckpt_path:
                rank_zero_warn(f"No --ckpt_path: `{self.subcommand}` will judge the model with its initial weights.")
        parser = self._parser(self.subcommand)
        for name, switch in _SWITCHES.items():
            if config.trainer[switch] is False:
                parser.callback_keys.remove(name)
        direct_output(config, Path(config.trainer.default_root_dir or self._default_folder(config)))
        super().instantiate_classes()

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Build the trainer.

        Args:
            kwargs: Passed on.

        Returns:
            The trainer.
        """
        # the record keeps what the user gave, without this run's folder, so that repeating it makes another
        self.config = self.given_config
        return super().instantiate_trainer(**kwargs)

    def after_fit(self) -> None:
        """Judge the best checkpoint and show the results."""
        trainer, best = self.trainer, None if self.trainer.fast_dev_run else "best"
        if best and not (trainer.checkpoint_callback and trainer.checkpoint_callback.best_model_path):  # type: ignore[attr-defined]
            return
        results: dict[str, float] = {}
        passes = {"validation_step": trainer.validate, "test_step": trainer.test}
        for step, judge in passes.items():
            if is_overridden(step, self.model):
                judge(self.model, datamodule=self.datamodule, ckpt_path=best, weights_only=True, verbose=False)
                results |= {name: float(value) for name, value in trainer.callback_metrics.items()}
        self._report(results)

    def after_validate(self) -> None:
        """Show the results of `validate`."""
        self._report({name: float(value) for name, value in self.trainer.callback_metrics.items()})

    def after_test(self) -> None:
        """Show the results of `test`."""
        self._report({name: float(value) for name, value in self.trainer.callback_metrics.items()})

    @rank_zero_only
    def after_predict(self) -> None:
        """Say where the predictions are."""
        written = next(call for call in self.trainer.callbacks if isinstance(call, PredictionWriter)).path
        print(f"Predictions: {written}")

    @rank_zero_only
    def _report(self, results: dict[str, float]) -> None:
        if not self.trainer.fast_dev_run:
            report(Path(self.trainer.default_root_dir), results)

    def _default_folder(self, config: Namespace) -> Path:
        evaluated = evaluated_run(config.ckpt_path)
        if self.subcommand != "fit" and evaluated:
            return evaluated / f"{self.subcommand}-{run_id()}"
        experiment = experiment_name([Path(str(file)) for file in config.config or []], config.model.class_path)
        return Path("runs") / experiment / (run_id() if self.subcommand == "fit" else f"{self.subcommand}-{run_id()}")


def direct_output(config: Namespace, folder: Path) -> None:
    """Point everything that writes files at the run folder.

    Args:
        config: The configuration of one command, changed in place.
        folder: The run folder.
    """
    config.trainer.default_root_dir = str(folder)
    for callback in ("checkpoint", "last_checkpoint"):
        config[callback].dirpath = config[callback].dirpath or str(folder / "checkpoints")
    loggers = config.trainer.logger
    for logger in loggers if isinstance(loggers, list) else [loggers]:
        if isinstance(logger, Namespace) and logger.get("init_args.save_dir") == ".":
            logger.init_args.save_dir = str(folder)
            if logger.class_path.endswith("CSVLogger"):
                logger.init_args.version = _unused(folder, logger.init_args.version or "metrics")
            if logger.class_path.endswith("WandbLogger"):
                Path(folder).mkdir(parents=True, exist_ok=True)
                logger.init_args.name = logger.init_args.name or f"{folder.parent.name}/{folder.name}"


def _unused(folder: Path, name: str) -> str:
    # CSVLogger would delete the metrics of the run that it continues
    names = [name, *(f"{name}-{attempt}" for attempt in range(2, 10_000))]
    return next(name for name in names if not (folder / name).exists())


def run_trainer(args: list[str]) -> None:
    """Run one of the trainer commands.

    Args:
        args: The command line, beginning with the command.

    Raises:
        ProjectionError: If the shared defaults are not where they should be.
    """
    if not BASE_CONFIG.is_file():
        raise ProjectionError(
            f"{BASE_CONFIG} is missing: projection runs from its source tree. Clone it and `pip install -e .` there."
        )
    defaults = {"default_config_files": [str(BASE_CONFIG)]}
    ProjectionCLI(
        LightningModule,
        LightningDataModule,
        subclass_mode_model=True,
        subclass_mode_data=True,
        save_config_callback=RunRecord,
        parser_kwargs={command: dict(defaults) for command in COMMANDS},
        auto_configure_optimizers=False,
        args=args,
    )
