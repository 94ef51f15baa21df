"""What a user is told, and is not told, of the libraries underneath."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.utilities.exceptions import SIGTERMException

from projection.errors import ProjectionError
from projection.parser import condensed

# PyTorch deprecates what this Lightning calls in every step; `--ckpt_path last` in a new folder is how launchers start
# every run; LightningCLI is called as a program calls it; a checkpoint is judged elsewhere than where it was made
_KNOWN = (
    *("LeafSpec", "no last checkpoint available", "exists and is not empty", "args parameter is intended to run"),
    "The dirpath has changed",
)
# told of every machine that has Slurm; within a job it is right
_KNOWN_OUTSIDE_JOBS = ("command is available on your system but is not used",)
# an advertisement, what Lightning would do under Slurm if the launcher did not, what it does in a moment, and what it
# says again when it is done
_OF_NO_CONCERN = (
    *("litlogger", "auto-requeueing enabled", "model summary callbacks", "TPU available: False"),
    *("to estimate number of stepping batches", "Restoring states from the checkpoint path", "defaulting to `False`"),
)

# what a user can do about an error of Lightning's
_HINTS = {
    "gpu backend": "To train on CPUs: --trainer.accelerator cpu, or DEVICE=cpu for a launcher.",
    "DataLoader implementation has an error": "Name the arguments of yours: DataLoader(data, batch_size=64).",
}


def keep_quiet() -> None:
    """Leave out warnings that no user could heed."""
    known = _KNOWN if "SLURM_JOB_ID" in os.environ else (*_KNOWN, *_KNOWN_OUTSIDE_JOBS)
    warnings.filterwarnings("ignore", message=f".*({'|'.join(known)})")
    for module in (
        "utilities.rank_zero",
        "trainer.connectors.signal_connector",
        "trainer.connectors.checkpoint_connector",
    ):
        logging.getLogger(f"lightning.pytorch.{module}").addFilter(_concerns_the_user)


def _own_cause(error: BaseException) -> ProjectionError | None:
    """Find what a constructor said of its arguments, which jsonargparse wraps in errors of its own."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ProjectionError):
        cause = cause.__cause__
    return cause


@contextmanager
def readable_errors() -> Iterator[None]:
    """Turn what libraries say of a user's mistake into one message."""
    try:
        yield
    except MisconfigurationException as error:
        more = (hint for words, hint in _HINTS.items() if words in str(error))
        raise ProjectionError(" ".join([str(error), *more])) from error
    except ValueError as error:
        cause = _own_cause(error)
        if cause is None and str(error).startswith("Does not validate"):
            cause = ProjectionError(condensed(str(error)))  # what jsonargparse makes of a constructor's error
        if cause is None:
            raise
        raise cause from error
    except SIGTERMException:
        print("Ended by SIGTERM. `--ckpt_path last` in the same run folder continues.", file=sys.stderr)
        sys.exit(128 + signal.SIGTERM)
    except SystemExit as stop:
        if isinstance(stop.__context__, KeyboardInterrupt):
            stop.code = 128 + signal.SIGINT  # where Lightning ends with 1
        raise
    except RuntimeError as error:
        if "loading state_dict" not in str(error):
            raise
        details = "\n".join(str(error).splitlines()[:6])
        raise ProjectionError(f"The checkpoint is not one of the configured model:\n{details}") from error
    except Exception as error:
        # named by its module, since importing wandb takes half a second
        if not type(error).__module__.startswith("wandb."):
            raise
        raise ProjectionError(f"Weights & Biases: {error} Or set WANDB_MODE=offline.") from error


def _concerns_the_user(record: logging.LogRecord) -> bool:
    return not any(words in record.getMessage() for words in _OF_NO_CONCERN)
