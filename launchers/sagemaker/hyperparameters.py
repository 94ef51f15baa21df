"""From settings to SageMaker's hyperparameters, which are all strings, and from those to the command line."""

import json
import re
from collections.abc import Mapping
from typing import Any

# what the command line understands: trainer.max_epochs, trainer.callbacks+
_NAME = re.compile(r"[A-Za-z_]\w*(\.\w+)*\+?")
# SageMaker's own clients add these
_FOREIGN = re.compile(r"sagemaker_|_tuning_")
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
CONFIG = "config"


class HyperparameterError(ValueError):
    """Name a hyperparameter that is no setting."""


def encode(settings: Mapping[str, Any]) -> dict[str, str]:
    """Write settings as hyperparameters.

    Groups become dotted names, as in `trainer.max_epochs`. A string stands as it is, as on the command line; all other
    values, and classes with their arguments, are JSON.

    Args:
        settings: Nested settings, as a YAML file holds them; names may be dotted already.

    Returns:
        Hyperparameters by name.
    """
    found: dict[str, str] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and _is_group(value):
            found |= {f"{name}.{key}": _encode_value(inner) for key, inner in value.items()}
        else:
            found[name] = _encode_value(value)
    return found


def decode(text: str) -> str:
    """Give what to write behind `--name=`.

    Args:
        text: A hyperparameter. SageMaker's Python SDK writes strings as JSON, with quotes; these are taken off.

    Returns:
        The text for the command line.
    """
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


def arguments(hyperparameters: Mapping[str, str]) -> list[str]:
    """Write hyperparameters as arguments of `fit`, but for `config`.

    Each is one argument, whatever it holds; no shell ever sees it. SageMaker keeps no order, so they are sorted: an
    argument comes before those that change a part of it.

    Args:
        hyperparameters: Values by name.

    Returns:
        The arguments.

    Raises:
        HyperparameterError: If a name is no name of a setting, or a value cannot stand on a command line.
    """
    given = {name: text for name, text in hyperparameters.items() if name != CONFIG and not _FOREIGN.match(name)}
    for name in given:
        if not _NAME.fullmatch(name):
            raise HyperparameterError(
                f"the hyperparameter {name!r} is no setting; names are like trainer.max_epochs or data.batch_size"
            )
    words = [f"--{name}={decode(given[name])}" for name in sorted(given)]
    for word in words:
        if "\0" in word:
            raise HyperparameterError(f"the hyperparameter {word.partition('=')[0][2:]} holds a NUL character")
    return words


def config_names(hyperparameters: Mapping[str, str]) -> list[str]:
    """Name the configurations to use, in order.

    Args:
        hyperparameters: Values by name; `config` is a name such as exp, or a JSON list of names.

    Returns:
        The names.

    Raises:
        HyperparameterError: If it begins like a list and is none.
    """
    text = hyperparameters.get(CONFIG, "[]")
    try:
        value = json.loads(text) if text.lstrip().startswith("[") else decode(text)
    except ValueError as error:
        raise HyperparameterError(
            f'config is a name, or a list such as ["exp", "presets/ema"]; found: {text}'
        ) from error
    return [str(name) for name in value] if isinstance(value, list) else [value]


def _is_group(value: Mapping[str, Any]) -> bool:
    """Tell a group of settings from a class with its arguments, and from a mapping of a user's own."""
    names = all(isinstance(key, str) and _NAME.fullmatch(key) for key in value)
    return bool(value) and names and "class_path" not in value


def _encode_value(value: Any) -> str:
    if isinstance(value, str) and decode(value) == value and value.isprintable():
        return value
    # the command line reads JSON as YAML, which knows no pairs of surrogates, and wants these characters escaped
    return _UNPRINTABLE.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
