"""What a command line describes, built but not run."""

import sys

import pytest

from projection.__main__ import main
from projection.cli import ProjectionCLI


def build(*words: str) -> ProjectionCLI:
    """Build trainer, model and data of a command line, which would be run next."""
    built: list[ProjectionCLI] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["projection"])
        patch.setattr(ProjectionCLI, "_run_subcommand", lambda cli, command: built.append(cli))
        main(list(words))
    return built[0]
