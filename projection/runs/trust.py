"""Runs of strangers run no code: what a run folder or a checkpoint names is built only if it is known."""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from pydoc import locate
from types import ModuleType
from typing import Any

import yaml

from projection.errors import ProjectionError
from projection.experiment import RUN_CONFIG

_KNOWN = ("projection", "torch.nn", "torch.optim", "lightning", "torchmetrics")
_DOTTED = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)+")


def check_trust(settings: Mapping[str, Any], origin: str, how: str = "--trust true") -> None:
    """Refuse settings that name anything but classes of this package, torch.nn, torch.optim, Lightning or torchmetrics.

    Args:
        settings: As they stand in a run's `config.yaml`, or in a checkpoint.
        origin: Where they are from.
        how: What to say for those that are trusted all the same.

    Raises:
        ProjectionError: If they name something else, or let checkpoints run code.
    """
    found = dict.fromkeys(_foreign(settings))
    if settings.get("weights_only") is False:
        found["weights_only: false"] = None
    if found:
        raise ProjectionError(
            f"{origin} names {', '.join(found)}, which could run any code: what a run names is built only if it is a "
            f"class of {', '.join(_KNOWN)}. If you trust its origin, add {how}."
        )


def check_runs(words: Sequence[str]) -> None:
    """Check the run that a command line names by `--config RUN/config.yaml`, before anything of it is looked at."""
    for option, file in pairwise(words):
        if option == "--config" and Path(file).name == RUN_CONFIG:
            settings = yaml.safe_load(Path(file).read_text("utf-8"))
            check_trust(settings if isinstance(settings, Mapping) else {}, file)


def _foreign(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _foreign(part, str(name))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _foreign(part, key)
    elif isinstance(value, str) and _DOTTED.fullmatch(value) and not _is_harmless(value, key):
        yield value


def _is_harmless(text: str, key: str) -> bool:
    """Tell whether a dotted text is a class of a known package, or names nothing that could be imported."""
    if not any(text.startswith(f"{known}.") for known in _KNOWN):
        # nothing is imported to find that out
        return key != "class_path" and find_spec(text.partition(".")[0]) is None
    found = locate(text)
    if found is None or isinstance(found, ModuleType):
        return key != "class_path"
    # a known module has imported others' classes and functions
    return isinstance(found, type) and any(f"{found.__module__}.".startswith(f"{known}.") for known in _KNOWN)
