"""`python -m launchers.sagemaker COMMAND [ARGUMENTS FOR FIT ...]`; sagemaker.sh beside this file calls it."""

import sys
from collections.abc import Sequence

from projection.errors import ProjectionError

_COMMANDS = ("submit", "status", "logs", "stop", "resume", "fetch", "image", "lay")


def main(words: Sequence[str]) -> None:
    """Run one command."""
    command, *rest = words or [""]
    try:
        if command not in _COMMANDS:
            raise ProjectionError(f"commands are {', '.join(_COMMANDS)}; found: {command or 'nothing'}")
        if command == "lay":
            from launchers.sagemaker import rehearsal

            rehearsal.lay_from_environment(rest)
        else:
            _ask_aws(command, rest)
    except ProjectionError as error:
        print(f"sagemaker: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)


def _ask_aws(command: str, words: Sequence[str]) -> None:
    try:
        from launchers.sagemaker import aws, image, jobs, submit
    except ModuleNotFoundError as error:
        raise ProjectionError(f"{error.name} is missing; `pip install -e '.[sagemaker]'` brings it") from error
    with aws.readable_errors():
        if command == "submit":
            submit.submit(words)
        elif command == "image":
            image.build_and_push(words)
        elif command == "resume":
            jobs.resume(words)
        else:
            getattr(jobs, command)()


if __name__ == "__main__":
    main(sys.argv[1:])
