"""What `--help` says."""

import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import Any

from docstring_parser import DocstringStyle, parse

from projection import nets, tasks, training, transforms
from projection.__main__ import _DATA
from projection.data.datamodule import PTBXLDataModule

# given by the program, never by a user
GIVEN = {"RunRecord.parser", "RunRecord.config"}


def configurable() -> Iterator[Callable[..., Any]]:
    """Give the classes that a YAML may name, and the functions that are commands."""
    for room in (nets, transforms, tasks, training):
        yield from (value for name in room.__all__ if inspect.isclass(value := getattr(room, name)))
    yield PTBXLDataModule
    yield from (getattr(import_module(module), command) for command, (module, _) in _DATA.items())


def undescribed(part: Callable[..., Any]) -> list[str]:
    """Name the arguments that have no description where they are declared."""
    place: Any = part
    if isinstance(part, type):
        place = next(base for base in part.__mro__ if "__init__" in vars(base))
    if not place.__module__.startswith("projection."):
        return []  # the constructor of another library, which describes it
    said = {each.arg_name: each.description for each in parse(place.__doc__ or "", DocstringStyle.GOOGLE).params}
    arguments = inspect.signature(part).parameters.values()
    named = [each.name for each in arguments if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    return [f"{part.__name__}.{name}" for name in named if not said.get(name)]


def test_every_argument_that_a_user_can_set_has_a_description() -> None:
    parts = {part.__name__: part for part in configurable()}
    assert {"XResNet1d", "Mixup", "ClassificationTask", "BestCheckpoint", "convert"} <= parts.keys()
    missing = {name for part in parts.values() for name in undescribed(part)} - GIVEN
    assert not missing, f"arguments without a description in their docstring: {', '.join(sorted(missing))}"
