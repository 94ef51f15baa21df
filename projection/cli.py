"""The trainer commands: `fit`, `validate`, `test` and `predict`."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from itertools import pairwise
from pathlib import Path
from typing import Any, TypeVar

from jsonargparse import Namespace
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor, WeightAveraging
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers.logger import DummyLogger
from lightning.pytorch.utilities import rank_zero_info, rank_zero_only, rank_zero_warn
from lightning.pytorch.utilities.model_helpers import is_overridden
from typing_extensions import override

from projection import nets, tasks, transforms  # noqa: F401 - so that their classes are known by short names
from projection.checkpoint import read_checkpoint
from projection.data.datamodule import PTBXLDataModule
from projection.errors import ProjectionError
from projection.experiment import BASE_CONFIG, RUNS, experiment_name, with_configs
from projection.messages import keep_quiet, readable_errors
from projection.parser import Parser
from projection.places import OWN_DATA, config_files, direct_output, options_of_other_data
from projection.runs.folder import (
    RESULTS,
    begun_run,
    evaluated_checkpoint,
    is_begun,
    run_id,
    run_of,
    shared_run_id,
    unused,
)
from projection.runs.lock import held
from projection.runs.operating_point import keep_operating_point
from projection.runs.states import check_checkpoint, newest_state
from projection.runs.summary import report
from projection.runs.trust import check_runs
from projection.training import (
    BestCheckpoint,
    BoundedProgressBar,
    FiniteLoss,
    LastCheckpoint,
    LayerTable,
    MetricLines,
    PredictionWriter,
    RunRecord,
    StepSeed,
)
from projection.training.checkpoint_callbacks import bring_to_every_node

# said first, so that the arguments of another data module are its own: a default's would be handed on where names agree
_DATA = ("--data", OWN_DATA)
_HELP = (
    "Options of the data: --data.help; of a task: --model.help ClassificationTask; "
    "of a net: --model ClassificationTask --model.net.help XResNet1d"
)
_USAGE = "[--config FILE.yaml ...] [--data.path FILE.h5] [--trainer.max_epochs N] [--KEY VALUE ...]"

_C = TypeVar("_C", bound=Callback)

# forced callbacks, and the Trainer option that switches each off
_SWITCHES = {
    "checkpoint": "enable_checkpointing",
    "last_checkpoint": "enable_checkpointing",
    "learning_rate_monitor": "logger",
    "progress_bar": "enable_progress_bar",
    "model_summary": "enable_model_summary",
}


class ProjectionCLI(LightningCLI):
    """Lightning's command line with PTB-XL's defaults, a run folder, and a test of the best checkpoint after `fit`."""

    def __init__(self, command: str, words: Sequence[str]) -> None:
        self._command = command
        words = with_configs(words)
        if command != "fit" and not _trusted(words):
            check_runs(words)
        if words[-1:] == ["--data.help"]:  # jsonargparse would show the base class, which has no options
            words[-1] = f"--data.help={OWN_DATA}"
        how = {"default_config_files": [str(BASE_CONFIG)], "epilog": _HELP, "usage": f"projection {command} {_USAGE}"}
        super().__init__(
            LightningModule,
            LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            save_config_callback=RunRecord,
            parser_class=Parser,
            parser_kwargs={command: how},
            auto_configure_optimizers=False,
            args=[command, *_DATA, *words],
        )

    @override
    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]
        # parsers of commands that are not called take a third of the time before a run begins
        return {self._command: LightningCLI.subcommands()[self._command]}

    @override
    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        if self._command == "fit":
            told = "Go on with a run although settings are others than its state was made with, or the data."
            parser.add_argument("--allow_changes", type=bool, default=False, help=told)
        else:
            told = "Build what a run's config.yaml names of others' classes as well, which can run any code."
            parser.add_argument("--trust", type=bool, default=False, help=told)
        parser.add_lightning_class_args(BestCheckpoint, "checkpoint")
        parser.add_lightning_class_args(LastCheckpoint, "last_checkpoint")
        parser.add_lightning_class_args(LearningRateMonitor, "learning_rate_monitor")
        parser.add_lightning_class_args(BoundedProgressBar, "progress_bar")
        parser.add_lightning_class_args(LayerTable, "model_summary")
        parser.add_lightning_class_args(PredictionWriter, "predictions")
        for name in ("num_classes", "class_names", "lead_names"):
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    @override
    def _parse_ckpt_path(self) -> None:
        """Let the command line decide: Lightning would replace it by the arguments saved in a checkpoint."""

    @override
    def instantiate_classes(self) -> None:
        self.given_config = self.config
        self.config = self.config.clone()
        config = self.config[self.subcommand]
        if self.subcommand != "fit":
            config.trainer.logger = False
            if "verbose" in config:
                config.verbose = False  # the table of results says it
            config.ckpt_path = evaluated_checkpoint(config.ckpt_path, config_files(config))
            if not config.ckpt_path:
                rank_zero_warn(f"No --ckpt_path: `{self.subcommand}` will judge the model with its initial weights.")
        check_checkpoint(config.ckpt_path)
        if told := options_of_other_data(config):
            rank_zero_info(told)
        parser = self._parser(self.subcommand)
        for name, switch in _SWITCHES.items():
            if config.trainer[switch] is False:
                parser.callback_keys.remove(name)
        folder = self._folder(config)
        direct_output(config, folder)
        goes_on = False
        if self.subcommand == "fit":
            config.ckpt_path = _state(config)
            goes_on = self.given_config.fit.ckpt_path == "last" and config.ckpt_path is not None
        self.save_config_kwargs = {"new_folder": not folder.exists(), "goes_on": goes_on}
        super().instantiate_classes()

    @override
    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        # the record keeps what the user gave, without this run's folder, so that repeating it makes another
        self.config = self.given_config
        if self.subcommand != "fit":
            kwargs["logger"] = DummyLogger()  # a user's step may call self.logger
        trainer = super().instantiate_trainer(**kwargs)
        # before those that save, which Lightning keeps at the end
        trainer.callbacks[:0] = [StepSeed(), FiniteLoss()]  # type: ignore[attr-defined]
        # no bar is seen in a log or a file
        seen = sys.stdout.isatty() and trainer.progress_bar_callback is not None
        if not seen and not any(isinstance(call, MetricLines) for call in trainer.callbacks):  # type: ignore[attr-defined]
            trainer.callbacks.append(MetricLines())  # type: ignore[attr-defined]
        return trainer

    @override
    def _run_subcommand(self, subcommand: str) -> None:
        folder = Path(self.trainer.default_root_dir)
        trains = subcommand == "fit" and self.trainer.is_global_zero and not self.trainer.fast_dev_run  # type: ignore[attr-defined]
        with held(folder) if trains else nullcontext():
            if trains and self._is_complete(folder):
                rank_zero_info(
                    f"{folder} is complete: it was trained to its end, and judged. A larger `--trainer.max_epochs` "
                    "trains on; `test` and `report` judge it again."
                )
            else:
                super()._run_subcommand(subcommand)

    def before_predict(self) -> None:
        """Refuse, or warn of, a model to whose `forward` Lightning would hand a batch as it is."""
        if is_overridden("predict_step", self.model):
            return
        told = (
            f"{type(self.model).__name__} has no predict_step, so its forward is given whole batches, (x, y, ids). "
            "Define predict_step(self, batch, batch_idx) to return probabilities."
        )
        if isinstance(self.datamodule, PTBXLDataModule):
            raise ProjectionError(told)
        rank_zero_warn(told)

    def after_fit(self) -> None:
        """Judge the best checkpoint and show the results."""
        trainer = self.trainer
        best = next((call.best_model_path for call in self._callbacks(BestCheckpoint)), None)
        if best:
            bring_to_every_node(trainer, best)
        # a checkpoint's weights are the averaged ones; the callback would put the others back
        averaging = self._callbacks(WeightAveraging)
        trainer.callbacks = [call for call in trainer.callbacks if call not in averaging]  # type: ignore[attr-defined]
        how = {"datamodule": self.datamodule, "ckpt_path": best or None, "verbose": False}
        how["weights_only"] = self._get(self.config, "weights_only")
        results: dict[str, float] = {}
        if self._offers("validation_step", "val_dataloader"):
            # unlogged: the learning curves have this checkpoint's point already
            loggers, trainer.loggers = trainer.loggers, [DummyLogger()]
            trainer.validate(self.model, **how)
            trainer.loggers = loggers
            results |= self._metrics()
            self._keep_operating_point(best)
            if best:
                trainer.strategy.barrier()
                bring_to_every_node(trainer, best)
        if self._offers("test_step", "test_dataloader"):
            trainer.test(self.model, **how)
            results |= self._metrics()
        self._report(results)

    def after_validate(self) -> None:
        """Show the results of `validate`, and of `test`."""
        self._report(self._metrics())

    after_test = after_validate

    def _is_complete(self, folder: Path) -> bool:
        state = self.config_init[self.subcommand].ckpt_path
        if not state or not (folder / RESULTS).is_file() or not Path(state).is_relative_to(folder):
            return False
        epochs, steps = self.trainer.max_epochs, self.trainer.max_steps
        content = read_checkpoint(Path(state))
        done = int(content["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"])
        return (epochs not in (None, -1) and done >= epochs) or 0 <= steps <= int(content["global_step"])

    @rank_zero_only
    def after_predict(self) -> None:
        """Say where the predictions are."""
        for writer in self._callbacks(PredictionWriter):
            doubt = f" ({writer.doubt})" if writer.doubt else ""
            print(f"Predictions: {writer.path or f'none, since {writer.why}'}{doubt}")

    @rank_zero_only
    def _keep_operating_point(self, checkpoint: str | None) -> None:
        tables = [writer.path for writer in self._callbacks(PredictionWriter) if writer.path is not None]
        if checkpoint is None or not tables or "://" in checkpoint:
            return
        try:
            keep_operating_point(Path(self.trainer.default_root_dir), Path(checkpoint))
        except (ProjectionError, RuntimeError) as error:  # PyTorch says so of a full disk
            rank_zero_warn(f"best.ckpt has no thresholds and no temperature: {error}")

    @rank_zero_only
    def _report(self, results: dict[str, float]) -> None:
        if not self.trainer.fast_dev_run:  # type: ignore[attr-defined]
            report(Path(self.trainer.default_root_dir), results)
            if results:
                self.after_predict()

    def _offers(self, step: str, loader: str) -> bool:
        sources = [source for source in (self.datamodule, self.model) if source is not None]
        return is_overridden(step, self.model) and any(is_overridden(loader, source) for source in sources)

    def _metrics(self) -> dict[str, float]:
        return {name: float(value) for name, value in self.trainer.callback_metrics.items()}

    def _callbacks(self, kind: type[_C]) -> list[_C]:
        return [call for call in self.trainer.callbacks if isinstance(call, kind)]  # type: ignore[attr-defined]

    def _folder(self, config: Namespace) -> Path:
        given = config.trainer.default_root_dir
        if self.subcommand == "fit" and config.ckpt_path == "last":
            given = given or begun_run(config_files(config))
            if not given:
                raise ProjectionError(
                    "`--ckpt_path last` goes on in a run folder, and none is named. `--config RUN/config.yaml` goes on "
                    "in RUN, such as runs/demo/latest; `--trainer.default_root_dir FOLDER` begins FOLDER, or goes on."
                )
        folder = Path(given).resolve() if given else self._default_folder(config)
        if self.subcommand != "fit":
            return folder.parent / unused(folder.parent, folder.name)
        if is_begun(folder) and config.ckpt_path not in ("last", "hpc"):
            raise ProjectionError(
                f"{folder} holds a run already. Continue it with `--ckpt_path last`, or choose another folder with "
                "`--trainer.default_root_dir`."
            )
        return folder

    def _default_folder(self, config: Namespace) -> Path:
        evaluated = run_of(config.ckpt_path)
        if self.subcommand != "fit" and evaluated:
            return evaluated / f"{self.subcommand}-{run_id()}"
        experiment = experiment_name(config_files(config), config.model.class_path)
        return Path(RUNS) / experiment / (run_id() if self.subcommand == "fit" else f"{self.subcommand}-{run_id()}")


def _state(config: Namespace) -> str | None:
    """Find the state that `--ckpt_path last` means; addresses such as s3://... are left to Lightning."""
    given: str | None = config.ckpt_path
    if given != "last" or config.trainer.enable_checkpointing is False or "://" in config.last_checkpoint.dirpath:
        return given
    found = newest_state(Path(config.last_checkpoint.dirpath))
    return str(found) if found else None


def _trusted(words: Sequence[str]) -> bool:
    pairs = [*words, *map("=".join, pairwise(words))]
    return any(word.lower() == "--trust=true" for word in pairs)


def run_trainer(args: list[str] | None) -> None:
    """Run a trainer command: the words of `args`, beginning with its name; None takes the process's own."""
    command, *words = sys.argv[1:] if args is None else args
    keep_quiet()
    with shared_run_id(), readable_errors():
        ProjectionCLI(command, words)
