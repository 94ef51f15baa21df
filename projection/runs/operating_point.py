"""Where a model decides, as its validation records say, kept in its checkpoint."""

from pathlib import Path

from projection.checkpoint import read_checkpoint, write_checkpoint
from projection.metrics import fit_temperature, fit_thresholds
from projection.metrics.thresholds import Criterion
from projection.runs.predictions import read_predictions

CRITERION: Criterion = "youden"


def keep_operating_point(run: Path, checkpoint: Path) -> None:
    """Add thresholds and temperature to the contract of a checkpoint; one without a contract stays as it is.

    Args:
        run: The run folder, with the checkpoint's predictions of the validation records.
        checkpoint: The file, which is replaced.

    Raises:
        ProjectionError: If the predictions are no probabilities, or the file cannot be read or written.
    """
    content = read_checkpoint(checkpoint)
    if "contract" not in content:
        return
    validation = read_predictions(run, "val")
    thresholds = fit_thresholds(validation.scores, validation.labels, CRITERION).tolist()
    content["contract"] = {
        **content["contract"],
        "operating_point": {
            "criterion": CRITERION,
            "thresholds": dict(zip(validation.class_names, thresholds, strict=True)),
            "temperature": float(fit_temperature(validation.scores, validation.labels)),
        },
    }
    write_checkpoint(checkpoint, content)
