"""`python -m launchers.sagemaker COMMAND [ARGUMENTS FOR FIT ...]`; sagemaker.sh beside this file calls it."""

import sys
from collections.abc import Callable, Sequence

from launchers.sagemaker.contract import ContractError
from launchers.sagemaker.hyperparameters import HyperparameterError
from launchers.sagemaker.settings import SubmissionError

_COMMANDS = ("submit", "status", "logs", "stop", "resume", "fetch", "image", "lay")


def main(words: Sequence[str]) -> None:
    """Run one command.

    Args:
        words: The command, and arguments for it.
    """
    command, *rest = words or [""]
    try:
        if command not in _COMMANDS:
            raise SubmissionError(f"commands are {', '.join(_COMMANDS)}; found: {command or 'nothing'}")
        if command == "lay":
            _lay(rest)
        else:
            _ask_aws(command, rest)
    except (ContractError, HyperparameterError, SubmissionError) as error:
        print(f"sagemaker: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _lay(words: Sequence[str]) -> None:
    from launchers.sagemaker.rehearsal import lay_from_environment

    lay_from_environment(words)


def _ask_aws(command: str, words: Sequence[str]) -> None:
    try:
        import boto3  # noqa: F401 - so that its absence is told once, here
        import regex  # noqa: F401
    except ImportError as error:
        raise SubmissionError(f"{error.name} is missing; `pip install -e '.[sagemaker]'` brings it") from error
    from launchers.sagemaker import aws, image, jobs, submit

    with aws.readable_errors():
        if command == "submit":
            submit.submit(words)
        elif command == "image":
            image.build_and_push(words)
        else:
            looking: dict[str, Callable[[], None]] = {
                "status": jobs.status,
                "logs": jobs.logs,
                "stop": jobs.stop,
                "resume": jobs.resume,
                "fetch": jobs.fetch,
            }
            looking[command]()


if __name__ == "__main__":
    main(sys.argv[1:])
