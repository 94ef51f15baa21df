"""What happens around training: checkpoints, records of the run, predictions."""

from projection.training.checkpoint_callbacks import BestCheckpoint, LastCheckpoint
from projection.training.checkpoint_io import WholeCheckpointIO
from projection.training.finite_loss import FiniteLoss
from projection.training.layer_table import LayerTable
from projection.training.metric_lines import MetricLines
from projection.training.prediction_writer import PredictionWriter
from projection.training.profiler import NoProfiler
from projection.training.progress import BoundedProgressBar
from projection.training.run_record import RunRecord
from projection.training.step_seed import StepSeed

__all__ = [
    "BestCheckpoint",
    "BoundedProgressBar",
    "FiniteLoss",
    "LastCheckpoint",
    "LayerTable",
    "MetricLines",
    "NoProfiler",
    "PredictionWriter",
    "RunRecord",
    "StepSeed",
    "WholeCheckpointIO",
]
