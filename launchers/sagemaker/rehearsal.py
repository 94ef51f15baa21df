"""What SageMaker lays before a container, laid on this machine."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from launchers.sagemaker.container import CODE_ARCHIVE, CODE_CHANNEL, CONFIG_CHANNEL, data_channel
from launchers.sagemaker.experiment import Experiment, pack_code, read_experiment


def lay_from_environment(words: Sequence[str]) -> None:
    """Lay experiment EXP, with more arguments for `fit`, into SAGEMAKER_PREFIX."""
    experiment = read_experiment(os.environ.get("EXP") or "demo", words)
    lay(Path(os.environ["SAGEMAKER_PREFIX"]), experiment)


def lay(
    prefix: Path,
    experiment: Experiment,
    hosts: Sequence[str] = ("algo-1",),
    current: str = "algo-1",
    interface: str = "lo",
) -> None:
    """Write to `prefix` what the container of host `current` finds below /opt/ml; what was there before stays."""
    given = prefix / "input"
    data = {data_channel(position): file for position, file in enumerate(experiment.data, start=1)}
    for channel, file in data.items():
        _link(file, given / "data" / channel / file.name)
    channels = {name: {"TrainingInputMode": "File"} for name in (CONFIG_CHANNEL, CODE_CHANNEL, *data)}
    resources = {"current_host": current, "hosts": list(hosts), "network_interface_name": interface}
    _write(given / "data" / CONFIG_CHANNEL / f"{experiment.name}.yaml", experiment.config)
    _write(given / "config" / "hyperparameters.json", json.dumps(experiment.hyperparameters, indent=2))
    _write(given / "config" / "inputdataconfig.json", json.dumps(channels, indent=2))
    _write(given / "config" / "resourceconfig.json", json.dumps(resources, indent=2))
    (given / "data" / CODE_CHANNEL).mkdir(parents=True, exist_ok=True)
    pack_code(given / "data" / CODE_CHANNEL / CODE_ARCHIVE)


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def _link(source: Path, target: Path) -> None:
    """Make a second name for a file, or where that is impossible a copy: a container sees no symbolic link's target."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)
