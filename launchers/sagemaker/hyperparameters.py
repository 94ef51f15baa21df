"""From settings to SageMaker's hyperparameters, which are all strings, and from those to the command line."""

import json
import re
from collections.abc import Mapping

from projection.errors import ProjectionError
from projection.experiment import CONFIGS, experiment_name

# what the command line understands: trainer.max_epochs, trainer.callbacks+
_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*\+?")
# SageMaker's own clients add these
_FOREIGN = re.compile(r"sagemaker_|_tuning_")
CONFIG = "config"


def encode(settings: Mapping[str, str]) -> dict[str, str]:
    """Write settings of the command line, such as `trainer.max_epochs`, as hyperparameters.

    A text stands as it is, but for one that `decode` would change, or that SageMaker could not hold: it becomes JSON.
    """
    plain = {name for name, text in settings.items() if decode(text) == text and text.isprintable()}
    return {name: text if name in plain else json.dumps(text) for name, text in settings.items()}


def decode(text: str) -> str:
    """Give what to write behind `--name=`.

    SageMaker's Python SDK writes strings as JSON, whose quotes are taken off, and `None` as Python does.
    """
    if text == "None":
        return "null"
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def arguments(hyperparameters: Mapping[str, str]) -> list[str]:
    """Write hyperparameters as arguments of `fit`, but for `config`.

    Each is one argument, whatever it holds; no shell ever sees it. SageMaker keeps no order, so they are sorted: an
    argument comes before those that change a part of it.
    """
    given = sorted(name for name in hyperparameters if name != CONFIG and not _FOREIGN.match(name))
    for name in given:
        if not _NAME.fullmatch(name):
            hint = "names are like trainer.max_epochs or data.batch_size"
            raise ProjectionError(f"the hyperparameter {name!r} is no setting; {hint}")
        if "\0" in decode(hyperparameters[name]):
            raise ProjectionError(f"the hyperparameter {name} holds a NUL character")
    return [f"--{name}={decode(hyperparameters[name])}" for name in given]


def config_names(hyperparameters: Mapping[str, str]) -> list[str]:
    """Name the configurations to use, in order: `config` is a name such as exp, or a JSON list of names."""
    text = hyperparameters.get(CONFIG, "[]")
    try:
        value = json.loads(text) if text.lstrip().startswith("[") else decode(text)
    except ValueError as error:
        raise ProjectionError(f'config is a name, or a list such as ["exp", "presets/ema"]; found: {text}') from error
    return [str(name) for name in value] if isinstance(value, list) else [value]


def experiment_of(hyperparameters: Mapping[str, str]) -> str:
    """Name the experiment of a job, as `make fit` would; `sagemaker` where no configuration is named."""
    names = (name.removesuffix(".yaml") for name in config_names(hyperparameters))
    return experiment_name([CONFIGS / f"{name}.yaml" for name in names], "sagemaker")
