"""A run's model, built again from its own configuration and checkpoint."""

import pickle
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch
from jsonargparse import ArgumentError
from lightning.pytorch import LightningDataModule, LightningModule
from torch import Tensor

from projection.data.datamodule import PTBXLDataModule
from projection.errors import ProjectionError
from projection.parser import Parser
from projection.report.attribution import Model
from projection.runs.run import Run
from projection.tasks import ClassificationTask


def rebuild(run: Run, sampling_rate: int) -> Model:
    """Build the model of a run with the weights of its best checkpoint, on the CPU.

    Args:
        run: The run.
        sampling_rate: Of its data file, in Hz.

    Returns:
        From signals `(batch, leads, time)` in mV, as they are in the data file, to logits `(batch, classes)`.

    Raises:
        ProjectionError: If there is no checkpoint, it does not fit the configuration or holds more than tensors and
            plain values, or the model is not a ClassificationTask.
    """
    checkpoint = _read(run.folder / "checkpoints" / "best.ckpt")
    task, data = _build(run)
    task.on_load_checkpoint(checkpoint)
    try:
        task.load_state_dict(checkpoint["state_dict"])
    except (KeyError, RuntimeError) as error:
        raise ProjectionError(
            f"checkpoints/best.ckpt is not one of the model that config.yaml describes ({_first_line(error)})."
        ) from error
    task.eval()

    def logits(x: Tensor) -> Tensor:
        # gradients are wanted once; compiling for that would take longer than all of it
        with torch.compiler.set_stance("force_eager"):
            found: Tensor = task(_transformed(data, x, sampling_rate))
        return found

    return logits


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ProjectionError(f"there is no {path}.")
    if not is_zipfile(path):
        raise ProjectionError(f"{path} is damaged, or no checkpoint at all.")
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ProjectionError(
            f"{path} holds more than tensors and plain values, and could run code: it is not loaded."
        ) from error
    except (RuntimeError, OSError, EOFError) as error:
        raise ProjectionError(f"{path} is damaged, or no checkpoint at all ({_first_line(error)}).") from error
    return checkpoint


def _build(run: Run) -> tuple[ClassificationTask, PTBXLDataModule]:
    """Instantiate what the configuration describes, as the trainer commands do."""
    parser = Parser(exit_on_error=False)
    parser.add_lightning_class_args(LightningModule, "model", subclass_mode=True)
    parser.add_lightning_class_args(LightningDataModule, "data", subclass_mode=True)
    for name in ("num_classes", "class_names", "lead_names"):
        parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")
    try:
        built = parser.instantiate_classes(parser.parse_object({key: run.config.get(key) for key in ("model", "data")}))
    except (ArgumentError, ImportError, TypeError, ValueError, RuntimeError) as error:
        raise ProjectionError(f"its configuration does not build a model here ({_first_line(error)}).") from error
    if not isinstance(built.model, ClassificationTask) or not isinstance(built.data, PTBXLDataModule):
        raise ProjectionError(
            f"the model is {type(built.model).__name__}, and only of ClassificationTask on PTBXLDataModule is it known "
            "that the output is logits."
        )
    return built.model, built.data


def _transformed(data: PTBXLDataModule, x: Tensor, rate: int) -> Tensor:
    for transform in data.transforms:
        if not transform.random:
            x, _ = transform(x, x.new_zeros(len(x), data.num_classes), rate)
            rate = transform.output_rate(rate)
    return x


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__
