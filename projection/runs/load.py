"""A trained model, from its checkpoint alone."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentError, ArgumentParser
from torch import Tensor, nn

from projection.checkpoint import read_checkpoint
from projection.errors import ProjectionError
from projection.runs.trust import check_trust
from projection.tasks import ClassificationTask

# what only training needs
_OF_TRAINING = ("optimizer", "schedule", "loss", "init_from", "compile", "num_classes")


def load(checkpoint: Path | str, trust: bool = False) -> ClassificationTask:
    """Load a model that `fit` trained, ready for use on the CPU: it needs neither the run folder nor the data.

    `load(path)(x)` gives logits `(batch, classes)` for signals `(batch, leads, time)` in mV; the model's `learned` says
    with which leads, sampling rate and classes. Nothing is called but the classes of task, network and transforms,
    which must be torch.nn.Modules.

    Args:
        checkpoint: The file, such as `runs/exp/latest/checkpoints/best.ckpt`.
        trust: Build classes of others as well, whose modules are imported by name; without it, only those of this
            package, PyTorch, Lightning and torchmetrics.

    Raises:
        ProjectionError: If it is missing, damaged, holds more than tensors and plain values, is not of a
            ClassificationTask trained by the command line, or names a class that is not trusted or installed here.
    """
    path = Path(checkpoint)
    content = read_checkpoint(path)
    described = content.get("hyper_parameters") or {}
    if "contract" not in content or "_class_path" not in described:
        raise ProjectionError(
            f"The checkpoint {path} does not describe its model: only those of projection.tasks.ClassificationTask, "
            "trained by `python -m projection fit`, do. A LightningModule of your own has load_from_checkpoint."
        )
    arguments = {
        name: value for name, value in described.items() if not name.startswith("_") and name not in _OF_TRAINING
    }
    model = {"class_path": described["_class_path"], "init_args": arguments}
    if not trust:
        check_trust(model, f"The checkpoint {path}", "`trust=True`, or `--trust true` on a command line")
    task = _built(path, model)
    task.on_load_checkpoint(content)
    _take_weights(task, content.get("state_dict", {}), path)
    return task.eval()


def _built(path: Path, model: Mapping[str, Any]) -> ClassificationTask:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(ClassificationTask, "model")
    try:
        for name in _class_paths(model):
            _check_module(name)
        built = parser.instantiate_classes(parser.parse_object({"model": model})).model
    except (ArgumentError, ImportError, AttributeError, TypeError, ValueError, RuntimeError) as error:
        # jsonargparse says where first, and what last
        lines = [line.strip(" -") for line in str(error).splitlines() if line.strip()]
        raise ProjectionError(f"The model of {path} cannot be built here ({' '.join(lines[-2:])}).") from error
    assert isinstance(built, ClassificationTask)
    return built


def _class_paths(value: Any, name: str = "net") -> Iterator[str]:
    """List all that will be called: class paths, and a net or transform that is named by a word alone."""
    if isinstance(value, str) and name in ("net", "preprocess", "class_path"):
        yield value
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _class_paths(part, key)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _class_paths(part, name)


def _check_module(class_path: str) -> None:
    """Refuse to call anything but the constructor of a module, whatever a checkpoint names."""
    module, _, name = class_path.rpartition(".")
    found = vars(import_module(module)).get(name)
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise TypeError(f"{class_path} is no torch.nn.Module")


def _take_weights(task: ClassificationTask, weights: Mapping[str, Tensor], path: Path) -> None:
    # a loss with weights, and metrics, are of training
    used = {name: value for name, value in weights.items() if not name.startswith(("loss.", "val_", "test_"))}
    unused = {name: value for name, value in task.state_dict().items() if name.startswith(("loss.", "val_", "test_"))}
    try:
        task.load_state_dict({**unused, **used})
    except RuntimeError as error:
        first = str(error).strip().partition("\n")[0]
        raise ProjectionError(f"The weights in {path} are of another network ({first}).") from error
