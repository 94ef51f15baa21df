"""Multi-label classification: the task of the PTB-XL benchmark."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities import rank_zero_info
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torchmetrics import MeanMetric, MetricCollection
from typing_extensions import override

from projection import __version__
from projection.data.ecg import ECGDataModule
from projection.errors import ProjectionError
from projection.metrics import MacroAUROC, MacroAveragePrecision
from projection.tasks.checks import check_first_batch, check_logits
from projection.tasks.contract import Contract, check_contract
from projection.tasks.initial_weights import load_matching
from projection.tasks.losses import BinaryCrossEntropy
from projection.tasks.preprocessing import FixedTransforms, mean_and_std, preprocessed, rate_after
from projection.tasks.windows import Aggregation, aggregate, sliding_windows
from projection.transforms import RandomCrop, Transform, seeded_generator

NetFactory = Callable[[int, int], nn.Module]
ScheduleFactory = Callable[[Optimizer, int], LRScheduler]

_STATE = "Derive it from projection.data.ecg.ECGDataModule, which says what to set, and when."


class ClassificationTask(LightningModule):
    """Learn which statements apply to a record, and judge it by macro AUROC and average precision.

    Training sees one random window of each record; validation, test and prediction see sliding windows whose
    probabilities are joined. Signals are preprocessed and standardised inside, so that a checkpoint turns millivolts
    into logits.

    Args:
        class_names: Names of the classes; the command line takes them from the data.
        lead_names: Names of the leads; the command line takes them from the data.
        net: The network's class. It gets the numbers of leads and of classes, then its own arguments:
            projection.nets.XResNet1d, projection.nets.CNN1d, or any nn.Module from `(batch, leads, time)` to
            `(batch, classes)`.
        optimizer: The optimizer's class and arguments.
        schedule: Learning-rate schedule per step, which gets the optimizer and the number of steps; None keeps the
            learning rate constant.
        loss: From logits and labels to a scalar: projection.tasks.BinaryCrossEntropy, projection.tasks.FocalLoss, or
            any nn.Module; None is plain binary cross-entropy.
        preprocess: Fixed transforms of every record, before windows are cut: filters, resampling, normalisation. They
            are saved in the checkpoint; what augments is data.transforms.
        window: Length of a window in s; None takes whole records.
        stride: From one window's start to the next in s; None is half a window.
        aggregation: How the probabilities of a record's windows are joined: max or mean.
        compile: Compile the network before its first use, which takes a minute or more; on a GPU with CUDA graphs.
        init_from: A checkpoint, or a network's state dict, whose weights the training begins with wherever names and
            shapes match; what matched is told. The output layer of another task, for one, does not.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        class_names: Sequence[str],
        lead_names: Sequence[str],
        net: NetFactory,
        optimizer: OptimizerCallable = lambda params: torch.optim.AdamW(params, lr=1e-3),
        schedule: ScheduleFactory | None = None,
        loss: nn.Module | None = None,
        preprocess: list[Transform] | None = None,
        window: float | None = 2.5,
        stride: float | None = None,
        aggregation: Aggregation = "max",
        compile: bool = False,
        init_from: Path | None = None,
    ) -> None:
        super().__init__()
        for name, given in (("class_names", class_names), ("lead_names", lead_names)):
            if not given:
                raise ProjectionError(f"The data module states no {name}. {_STATE}")
        self.save_hyperparameters()
        self.class_names = tuple(class_names)
        self.lead_names = tuple(lead_names)
        self.net = net(len(lead_names), len(class_names))
        if compile:
            # in place, since torch.compile(net) would change the names of the weights
            self.net.compile(mode="reduce-overhead" if torch.cuda.is_available() else "default")
        self.optimizer = optimizer
        self.schedule = schedule
        self.loss = loss or BinaryCrossEntropy()
        self.preprocess = FixedTransforms(preprocess or [])
        self.window = window
        self.stride = stride
        self.aggregation = aggregation
        self.compiles = compile
        self.init_from = init_from
        self.sampling_rate: int | None = None
        self.learned: Contract | None = None
        self.data_facts: dict[str, str | list[str]] = {}
        self.register_buffer("mean", torch.tensor(0.0))
        self.register_buffer("std", torch.tensor(1.0))
        metrics = MetricCollection({"auroc": MacroAUROC(), "average_precision": MacroAveragePrecision()})
        self.val_metrics = metrics.clone(prefix="val/")
        self.test_metrics = metrics.clone(prefix="test/")
        self.val_loss = MeanMetric()
        self.test_loss = MeanMetric()

    def forward(self, x: Tensor) -> Tensor:
        """Compute logits `(batch, classes)`, joined over windows, of records `(batch, leads, time)` in mV."""
        self._check_leads(x)
        x = self._preprocessed(x)
        if self.window is None:
            return self._logits(x)
        length = self._samples(self.window)
        windows = sliding_windows(x, length, self._samples(self._stride(self.window)))
        logits = self._logits(windows.flatten(0, 1))
        return aggregate(logits.view(*windows.shape[:2], -1), self.aggregation)

    @override
    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        x, y = self._unpacked(batch)
        self._check_leads(x)
        x = self._preprocessed(x)
        if self.window is not None:
            x, y = RandomCrop(self.window)(x, y, self._rate(), self._generator(x.device))
        logits = self._logits(x)
        if batch_idx == 0 and self.current_epoch == 0:
            check_first_batch(logits, y, self.net)
        loss: Tensor = self.loss(logits, y)
        # only where it is written: logging takes Lightning a third of a millisecond
        every = self.trainer.log_every_n_steps  # type: ignore[attr-defined]
        if self.trainer.is_last_batch or (every and (self.trainer.global_step + 1) % every == 0):
            self.log("train/loss", loss, prog_bar=True)
        return loss

    @override
    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return _probabilities(self._judge(batch, self.val_metrics, self.val_loss))

    @override
    def on_validation_epoch_end(self) -> None:
        self._log_metrics(self.val_metrics, self.val_loss)

    @override
    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        return _probabilities(self._judge(batch, self.test_metrics, self.test_loss))

    @override
    def on_test_epoch_end(self) -> None:
        self._log_metrics(self.test_metrics, self.test_loss)

    @override
    def predict_step(self, batch: tuple[Tensor, Tensor, Tensor], batch_idx: int) -> Tensor:
        return _probabilities(self(batch[0]))

    @override
    def configure_optimizers(self) -> OptimizerLRScheduler:
        optimizer = self.optimizer(self.parameters())
        if self.schedule is None:
            return optimizer
        steps = self.trainer.estimated_stepping_batches
        if steps == float("inf"):
            raise ProjectionError("The schedule needs an end: set trainer.max_epochs or trainer.max_steps.")
        schedule = self.schedule(optimizer, int(steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    @override
    def prepare_data(self) -> None:
        for name, seconds in (("window", self.window), ("stride", self.stride)):
            if seconds is not None and seconds <= 0:
                raise ProjectionError(f"model.init_args.{name} must be above 0 s, found {seconds:g}.")

    @override
    def setup(self, stage: str) -> None:
        if stage == "fit" and self.init_from is not None:
            rank_zero_info(load_matching(self.net, self.init_from))
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, ECGDataModule):
            if not data.sampling_rate:
                raise ProjectionError(f"The data module {type(data).__name__} states no sampling_rate. {_STATE}")
            self.sampling_rate = data.sampling_rate
            self.data_facts = data.facts()
            if stage == "fit":
                self._say_windows()
                mean, std = mean_and_std(map(self._preprocessed, data.training_signals()))
                self.mean.fill_(mean)
                self.std.fill_(std)

    @override
    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["contract"] = self._contract()

    @override
    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        learned: Contract | None = checkpoint.get("contract")
        check_contract(learned, self._contract())
        assert learned is not None
        self.learned = learned
        self.sampling_rate = learned["sampling_rate"]

    def _contract(self) -> Contract:
        return {
            "version": __version__,
            "class_names": list(self.class_names),
            "lead_names": list(self.lead_names),
            "sampling_rate": self.sampling_rate,
            "unit": "mV",
            "preprocess": [repr(transform) for transform in self.preprocess],
            "window": self.window,
            "stride": self.stride,
            "aggregation": self.aggregation,
            "data": {name: value for name, value in self.data_facts.items() if name != "path"},
        }

    def _stride(self, window: float) -> float:
        return window / 2 if self.stride is None else self.stride

    def _say_windows(self) -> None:
        if self.window is not None:
            rank_zero_info(
                f"Windows: training sees {self.window:g} s of a record, and a record is judged by the "
                f"{self.aggregation} over windows every {self._stride(self.window):g} s "
                "(model.init_args.window; null: the whole record)."
            )

    def _unpacked(self, batch: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Take signals and labels out of a batch, which may hold ids as well."""
        x, y, *_ = batch
        if y.ndim != 2 or y.shape[1] != len(self.class_names):
            raise ProjectionError(
                f"A batch has labels {tuple(y.shape)}, but the data module states {len(self.class_names)} classes: "
                f"labels are (batch, {len(self.class_names)}), each 0 or 1."
            )
        return x, y.float()

    def _check_leads(self, x: Tensor) -> None:
        if x.ndim != 3 or x.shape[1] != len(self.lead_names):
            leads = ", ".join(self.lead_names)
            raise ProjectionError(f"The model takes signals (batch, leads, time) of {leads}; found {tuple(x.shape)}.")

    def _preprocessed(self, x: Tensor) -> Tensor:
        if not self.preprocess:
            return x
        # in full precision, as mean and standard deviation are computed
        with torch.autocast(x.device.type, enabled=False):
            return preprocessed(self.preprocess, x.float(), self._known_rate())

    def _logits(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(((x - self.mean) / self.std).to(self.dtype))
        check_logits(logits, (len(x), len(self.class_names)), self.net)
        # a copy, since a CUDA graph writes the next batch's logits to the same place
        return logits.float().clone() if self.compiles else logits.float()

    def _generator(self, device: torch.device) -> torch.Generator:
        # seeded by the batch, as the data module's transforms are, so that a resumed run draws what an uninterrupted
        # one draws; the last number makes it another sequence than theirs
        seed, rank = int(os.environ.get("PL_GLOBAL_SEED", "0")), self.trainer.global_rank
        return seeded_generator(device, seed, self.trainer.fit_loop.total_batch_idx, rank, 1)

    def _judge(self, batch: tuple[Tensor, Tensor], metrics: MetricCollection, mean_loss: MeanMetric) -> Tensor:
        x, y = self._unpacked(batch)
        logits: Tensor = self(x)
        metrics.update(logits, y)
        mean_loss.update(self.loss(logits, y), weight=len(y))
        return logits

    def _log_metrics(self, metrics: MetricCollection, mean_loss: MeanMetric) -> None:
        # computed here, over all processes and records, rather than averaged by the logging of each batch
        self.log_dict({name: value.float() for name, value in metrics.compute().items()}, prog_bar=True)
        self.log(f"{metrics.prefix}loss", mean_loss.compute())
        metrics.reset()
        mean_loss.reset()

    def _known_rate(self) -> int:
        if self.sampling_rate is None:
            raise ProjectionError(
                "Windows are given in seconds, filters in hertz, and the sampling rate is unknown: use a data module "
                "derived from projection.data.ecg.ECGDataModule, or set model.init_args.window and preprocess to null."
            )
        return self.sampling_rate

    def _rate(self) -> int:
        return rate_after(self.preprocess, self._known_rate())

    def _samples(self, seconds: float) -> int:
        return max(1, round(seconds * self._rate()))


def _probabilities(logits: Tensor) -> Tensor:
    # in double precision, where logits that differ stay apart: in single precision many would be 1
    return torch.sigmoid(logits if logits.device.type == "mps" else logits.double())
