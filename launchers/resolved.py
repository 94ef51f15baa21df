"""The configuration of a run, resolved before it begins, wherever it is to take place."""

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from projection.__main__ import main as projection


def resolved_config(words: Sequence[str], home: Path) -> str:
    """Resolve configurations and arguments, as `fit --print_config` does; what is wrong with them ends this process.

    Args:
        words: Arguments for `fit`.
        home: The repository, to which paths in them are relative.

    Returns:
        All settings, as YAML.
    """
    said = io.StringIO()
    # printing the configuration ends with status 0, a mistake in it with another and a message
    with contextlib.redirect_stdout(said), _in(home):
        try:
            projection(["fit", *words, "--print_config"])
        except SystemExit as end:
            if end.code:
                raise
    return said.getvalue()


@contextlib.contextmanager
def _in(home: Path) -> Iterator[None]:
    # Lightning warns of words on the command line that are not for it
    words, sys.argv = sys.argv, sys.argv[:1]
    try:
        with contextlib.chdir(home):
            yield
    finally:
        sys.argv = words
