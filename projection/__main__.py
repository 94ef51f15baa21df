"""The command line: `python -m projection COMMAND`."""

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import takewhile
from pathlib import Path

from projection import __version__
from projection.errors import ProjectionError

_TRAINER = {
    "fit": "train a model, then test its best checkpoint",
    "validate": "judge a checkpoint on the validation folds",
    "test": "judge a checkpoint on the test folds",
    "predict": "write a checkpoint's probabilities, one row per record",
}
_EXPERIMENT = {
    "resolve": "print what an experiment is, as JSON: settings, folder, data and how to make them",
    "data": "make the data files of an experiment that are missing",
}
_DATA = {
    "download": ("projection.corpus.download", "fetch PTB-XL from PhysioNet, checked and resumable"),
    "synthesize": ("projection.synthetic", "make a PTB-XL-shaped corpus that needs no download"),
    "convert": ("projection.corpus.convert", "turn WFDB records into one HDF5 file"),
    "verify": ("projection.corpus.verify", "prove an HDF5 file whole"),
    "info": ("projection.corpus.verify", "describe an HDF5 file"),
    "evaluate": ("projection.evaluation", "judge runs by their stored predictions: intervals, thresholds, calibration"),
    "report": ("projection.report", "write one page about runs: curves, tables, confusions, electrocardiograms"),
    "table": ("projection.benchmark.table", "lay the runs of many nets, tasks and seeds beside published numbers"),
}
_OF_RUNS = ("evaluate", "report")


def main(args: Sequence[str] | None = None) -> None:
    """Run one command.

    Args:
        args: The command line without the program's name; None takes the process's own.
    """
    given = list(sys.argv[1:] if args is None else args)
    if str(Path.cwd()) not in sys.path:
        # so that `projection` finds a user's modules as `python -m projection` does, also while a config is read, when
        # jsonargparse is in the folder of that
        sys.path.insert(0, str(Path.cwd()))
    command = _parser().parse_args(given[:1]).command
    try:
        if command in _TRAINER:
            # only now: PyTorch and Lightning take seconds to import, and data commands need neither
            from projection.cli import run_trainer

            run_trainer(None if args is None else given)
        elif command in _EXPERIMENT:
            from projection.resolve import make_data, resolve

            (resolve if command == "resolve" else make_data)(given[1:])
        else:
            _run_data_command(command, given[1:])
    except KeyboardInterrupt:
        sys.exit(130)
    except ProjectionError as error:
        sys.exit(f"projection {command}: {error}")


def _run_data_command(command: str, args: list[str]) -> None:
    from jsonargparse import auto_cli

    function = getattr(import_module(_DATA[command][0]), command)
    if command in _OF_RUNS:
        args = _as_one_list(args)
    positional = command in ("verify", "info", "table", *_OF_RUNS)
    auto_cli(function, args=args, prog=f"projection {command}", as_positional=positional)


def _as_one_list(args: list[str]) -> list[str]:
    """Join the words before the first option: jsonargparse takes a positional list as one word."""
    words = list(takewhile(lambda word: not word.startswith("-"), args))
    return [json.dumps(words), *args[len(words) :]] if words else args


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="projection",
        description="Train and judge PTB-XL electrocardiogram models from YAML files.",
        epilog="`projection COMMAND --help` explains a command. Start with: projection fit --config configs/demo.yaml",
    )
    parser.add_argument("--version", action="version", version=f"projection {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, text in [*_TRAINER.items(), *_EXPERIMENT.items(), *((name, text) for name, (_, text) in _DATA.items())]:
        commands.add_parser(name, help=text, add_help=False)
    return parser


if __name__ == "__main__":
    main()
