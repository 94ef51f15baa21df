"""Errors that are the user's to mend: shown as one readable message, never as a traceback."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path


class ProjectionError(Exception):
    """Say what was found, where, and what to do next.

    Everything the package raises on bad input derives from this class; the command line prints its message
    and exits with status 1.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Say which of the known words was probably meant, as `Did you mean X?`; nothing if none is near."""
    near = _nearest(word, known)
    return f"Did you mean {near}?" if near else ""


def file_did_you_mean(path: Path) -> str:
    """Say which file in the same folder was probably meant, as `Did you mean data/mine.h5?`."""
    beside = {one.stem: path.with_name(one.name) for one in path.parent.glob(f"*{path.suffix}")}
    near = _nearest(path.stem, beside)
    return f"Did you mean {beside[near]}?" if near else ""


def _nearest(word: str, known: Iterable[str]) -> str:
    spelt = {one.lower(): one for one in known}
    near = get_close_matches(word.lower(), spelt, n=1, cutoff=0.7)
    return spelt[near[0]] if near else ""
