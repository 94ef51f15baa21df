"""What happens around training: checkpoints, records of the run, predictions."""

from projection.callbacks.checkpoint import BestCheckpoint, LastCheckpoint
from projection.callbacks.checkpoint_io import WholeCheckpointIO
from projection.callbacks.metric_lines import MetricLines
from projection.callbacks.predictions import PredictionWriter
from projection.callbacks.profiler import NoProfiler
from projection.callbacks.progress import BoundedProgressBar
from projection.callbacks.run_record import RunRecord

__all__ = [
    "BestCheckpoint",
    "BoundedProgressBar",
    "LastCheckpoint",
    "MetricLines",
    "NoProfiler",
    "PredictionWriter",
    "RunRecord",
    "WholeCheckpointIO",
]
