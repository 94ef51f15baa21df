"""Runs of strangers run no code: what a run folder or a checkpoint names is built only if it is known."""

import re
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from pydoc import ErrorDuringImport, locate
from types import ModuleType
from typing import Any

import yaml

from projection.errors import ProjectionError
from projection.experiment import RUN_CONFIG
from projection.runs.folder import CHECKPOINTS, PROVENANCE

_KNOWN = ("projection", "torch.nn", "torch.optim", "lightning", "torchmetrics")
_FILES = ("path", "init_from", "ckpt_path")  # settings whose files hold data and weights
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
    found = dict.fromkeys(_foreign(settings, Path(origin).parent))
    if settings.get("weights_only") is False:
        found["weights_only: false"] = None
    if found:
        raise ProjectionError(
            f"{origin} names {', '.join(found)}, which could run any code: what a run names is built only if it is a "
            f"class of {', '.join(_KNOWN)}. If you trust its origin, add {how}."
        )


def check_runs(words: Sequence[str]) -> None:
    """Check the run that a command line names by `--config RUN/config.yaml`, before anything of it is built."""
    for option, file in pairwise(words):
        beside = Path(file).parent
        of_a_run = Path(file).name == RUN_CONFIG or (beside / PROVENANCE).exists() or (beside / CHECKPOINTS).exists()
        if option == "--config" and of_a_run:
            settings = yaml.safe_load(Path(file).read_text("utf-8"))
            check_trust(settings if isinstance(settings, Mapping) else {}, file)


def _foreign(value: Any, folder: Path, key: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _foreign(part, folder, str(name))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _foreign(part, folder, key)
    elif isinstance(value, str) and (_is_settings(value, folder, key) or not _is_harmless(value, key)):
        yield value


def _is_settings(text: str, folder: Path, key: str) -> bool:
    """Tell whether a text names a file, from which more settings would be read."""
    try:
        return key not in _FILES and (Path(text).is_file() or (folder / text).is_file())
    except (OSError, ValueError):  # no name of a file
        return False


def _is_harmless(text: str, key: str) -> bool:
    """Tell whether a text is a class of a known package, or names nothing that could be imported."""
    if not _DOTTED.fullmatch(text):
        return True
    try:
        if not any(text.startswith(f"{known}.") for known in _KNOWN):
            # nothing is imported to find that out
            return key != "class_path" and find_spec(text.partition(".")[0]) is None
        found = locate(text)
    except (ErrorDuringImport, ValueError):
        return False
    if found is None or isinstance(found, ModuleType):
        return key != "class_path"
    # a known module has imported others' classes and functions
    return isinstance(found, type) and any(f"{found.__module__}.".startswith(f"{known}.") for known in _KNOWN)
