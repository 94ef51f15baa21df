"""The trainer commands' parser: short usage, help of readable length, errors of a few lines."""

import argparse
import inspect
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from pydoc import locate
from typing import Any, NoReturn

from jsonargparse import DefaultHelpFormatter
from lightning.pytorch.cli import LightningArgumentParser
from typing_extensions import override

from projection import nets, tasks, transforms
from projection.errors import did_you_mean

_LONGEST_LIST = 20

# said of the base class, which stands where nobody named a model
_NO_MODEL = "No config before this one names a model: stack it on one, as in EXP=demo+nets/s4."

# what is found in a message, and what the user can do then
_HINTS = {
    r"Option 'task' is not accepted": "data.task is called data.labels now.",
    r"projection\.models\b": "projection.models is called projection.nets now.",
    r"projection\.callbacks\b": "projection.callbacks is called projection.training now.",
    r"are required: net$": "Name one, as in `--model.net XResNet1d`, or take it from a config: `--config nets/s4`.",
    r"are required: \w+\.model$": "`--config configs/exp.yaml` names a model, and so does `--model CLASS`.",
    r"dot import path string": "No class of ours has that name; others need their module, as in mine.MyNet.",
    r"positional arguments? but \d": "A net takes (leads, classes) first, then its own arguments.",
    r"unrecognized arguments: (?!-)": "An experiment or a file is named by --config, as in `--config demo`.",
    r"^--model\.help": "`--model ClassificationTask --model.net.help XResNet1d` shows a net.",
}

# what jsonargparse says of its own workings rather than of the user's mistake
_NOISE = re.compile(
    r"Does not validate against any of the Union subtypes|Subtypes: |Errors:$|- Expected a <class 'NoneType'>"
    r"|Given value type: |Given value: NestedArg|- Expected a path but "
)


class HelpFormatter(DefaultHelpFormatter):
    """Help that does not list every class of PyTorch."""

    def _expand_help(self, action: argparse.Action) -> str:
        return re.sub(r"known subclasses: ([^)]*)", _shortened, super()._expand_help(action))


class Parser(LightningArgumentParser):
    """Lightning's parser, made readable."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", HelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        kwargs.setdefault("prog", "projection")
        if shown := re.match(r"Help for .*=([\w.]+)$", kwargs.get("description") or ""):
            kwargs["description"] += f"\n\n{(inspect.getdoc(locate(shown[1])) or '').partition('Args:')[0].strip()}"
        super().__init__(*args, **kwargs)

    @override
    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        if not self.exit_on_error:
            super().error(message, ex)  # to be caught, and reported as part of a whole
        command = " ".join(["projection", *[word for word in sys.argv[1:2] if not word.startswith("-")]])
        told = "\n".join([condensed(message), *_meant(message, self._options())])
        self.exit(2, f"{command}: {told}\nAll options: {command} --help\n")

    def _options(self) -> set[str]:
        """List the options of the command, whichever parser found the mistake."""
        chosen = [action.choices.values() for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        parsers = [self, *(parser for parsers in chosen for parser in parsers)]
        return {option for parser in parsers for option in parser._option_string_actions}


def condensed(message: str) -> str:
    """Drop the parts of a parsing error that do not help to mend it.

    Returns:
        The lines that name the option and the mistake.
    """
    if "'lightning.LightningModule'" in message:
        return _NO_MODEL
    lines = [line for line in message.splitlines() if line.strip() and not _NOISE.search(line)]
    text = "\n".join(lines) or message
    text = re.sub(r"Type collections\.abc\.Callable\S* .*? expects a function or a callable class: ", "", text)
    text = re.sub(r"Expected a typing\.Literal\[(.*?)\]\.", r"Expected one of \1.", text)
    text = text.replace("Expected a <class 'collections.abc.Sequence'>.", "Expected a list, such as [9,10].")
    text = re.sub(r"(\. Got|\n *Given) value: Namespace\(.*", "", text)
    hints = [hint for found, hint in _HINTS.items() if re.search(found, message, re.MULTILINE)]
    return "\n".join([text, *hints])


def _meant(message: str, options: Iterable[str]) -> list[str]:
    """Name what was probably meant where an option, a class, a module or an argument of a class is misspelt."""
    told = ""
    if found := re.search(r"unrecognized arguments: (--[\w.]+)", message):
        near = did_you_mean(found[1], options)
    elif found := re.search(r"Expected a dot import path string: (\w+)$", message, re.MULTILINE):
        near = did_you_mean(found[1], [name for room in (nets, tasks, transforms) for name in room.__all__])
    elif found := re.search(r"module '([\w.]+)' has no attribute '(\w+)'", message):
        near = did_you_mean(found[2], vars(sys.modules.get(found[1], object)))
    elif found := re.search(r"No module named '(\w+)'", message):
        near = did_you_mean(found[1], [file.stem for file in Path().glob("*.py")])
    elif found := re.search(r"Option '(\w+)' is not accepted", message):
        of = re.findall(r"class_path[ =]'([\w.]+)'", message)[-1:]
        takes = [name for path in of for name in _arguments(path)]
        told = f"{of[0]} takes {', '.join(takes)}. A class is named before its options." if takes else ""
        near = did_you_mean(found[1], takes)
    else:
        return []
    return [line for line in (told, near) if line]


def _arguments(path: str) -> list[str]:
    """List the arguments of a class, or of a function that gives one; none where they cannot be known."""
    try:
        return list(inspect.signature(locate(path)).parameters)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return []


def _shortened(listing: re.Match[str]) -> str:
    names = listing.group(1).split(", ")
    return listing.group() if len(names) <= _LONGEST_LIST else f"{len(names)} known subclasses"
