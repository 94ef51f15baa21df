"""What SageMaker lays before a container, laid on this machine."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from launchers.sagemaker.contract import CODE_ARCHIVE, CODE_CHANNEL, CONFIG_CHANNEL, data_channel
from launchers.sagemaker.experiment import Experiment, pack_code, read_experiment


def lay_from_environment(words: Sequence[str]) -> None:
    """Lay experiment EXP into SAGEMAKER_PREFIX.

    Args:
        words: Arguments for `fit`.
    """
    experiment = read_experiment(os.environ.get("EXP") or "demo", words)
    lay(Path(os.environ["SAGEMAKER_PREFIX"]), experiment)


def lay(
    prefix: Path,
    experiment: Experiment,
    hosts: Sequence[str] = ("algo-1",),
    current: str = "algo-1",
    interface: str = "lo",
) -> None:
    """Write what a container finds below /opt/ml; what an earlier one left there stays.

    Args:
        prefix: The folder to stand for /opt/ml.
        experiment: The experiment.
        hosts: The machines that take part.
        current: The one that this folder is for.
        interface: The network interface by which they reach each other.
    """
    config = prefix / "input" / "data" / CONFIG_CHANNEL / f"{experiment.name}.yaml"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(experiment.config)
    code = prefix / "input" / "data" / CODE_CHANNEL / CODE_ARCHIVE
    code.parent.mkdir(parents=True, exist_ok=True)
    pack_code(code)
    channels = [CONFIG_CHANNEL, CODE_CHANNEL]
    for position, file in enumerate(experiment.data, start=1):
        channels.append(data_channel(position))
        _link(file, prefix / "input" / "data" / channels[-1] / file.name)
    resources = {"current_host": current, "hosts": list(hosts), "network_interface_name": interface}
    files = {
        "hyperparameters": experiment.hyperparameters,
        "inputdataconfig": {name: {"TrainingInputMode": "File"} for name in channels},
        "resourceconfig": resources,
    }
    for name, content in files.items():
        path = prefix / "input" / "config" / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(content, indent=2))


def _link(source: Path, target: Path) -> None:
    """Make a second name for a file, or where that is impossible a copy: a container sees no symbolic link's target."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
