"""What EXP names: the configurations that come with projection, and where they are."""

import re
from collections.abc import Sequence
from pathlib import Path

from projection.errors import ProjectionError

_PACKAGE = Path(__file__).resolve().parent
# beside the package in a clone, inside of it where it was installed from a wheel
CONFIGS = _PACKAGE / "configs" if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent / "configs"
BASE_CONFIG = CONFIGS / "base.yaml"


def find_configs(words: Sequence[str]) -> list[str]:
    """Find configurations that are named as below `configs/`, such as `--config demo.yaml`, wherever one works.

    Args:
        words: A command line.

    Returns:
        The command line, with the paths of those that are no files here, and come with projection.
    """
    return [_found(word, before) for before, word in zip(["", *words], words, strict=False)]


def _found(word: str, before: str) -> str:
    option, equals, name = word.partition("=")
    if equals and option == "--config":
        return f"{option}={_path(name)}"
    return _path(word) if before in ("--config", "-c") else word


def _path(name: str) -> str:
    try:
        if Path(name).exists() or Path(name).is_absolute():
            return name
        shipped = CONFIGS / name.removeprefix("configs/")
        return str(shipped) if shipped.is_file() else name
    except OSError:  # settings in the place of a file, too long for a name
        return name


def experiment_files(experiment: str, root: Path = Path()) -> list[Path]:
    """Find the configurations that an experiment stacks.

    Args:
        experiment: What EXP is: the path of a file below `configs/` without its ending, or several, joined by +.
        root: Where `configs/` is; what is not there may come with projection.

    Raises:
        ProjectionError: If it is no such name, or there is no such file.
    """
    one = r"[A-Za-z0-9_][A-Za-z0-9_./-]*"
    if not re.fullmatch(rf"{one}(\+{one})*", experiment) or ".." in experiment:
        raise ProjectionError(f"EXP is the name of an experiment, as in EXP=demo; found: {experiment}")
    names = [f"{name}.yaml" for name in experiment.split("+")]
    found = [[file for file in (root / "configs" / name, CONFIGS / name) if file.is_file()] for name in names]
    if missing := [name for name, files in zip(names, found, strict=True) if not files]:
        raise ProjectionError(f"there is no configs/{missing[0]}; experiments: {' '.join(_experiments())}")
    return [files[0] for files in found]


def _experiments() -> list[str]:
    names = (str(path.relative_to(CONFIGS).with_suffix("")) for path in CONFIGS.rglob("*.yaml"))
    return sorted(name for name in names if name != "base" and not name.startswith(("presets/", "nets/")))


def experiment_name(configs: Sequence[Path], model: str) -> str:
    """Name the experiment that a command line describes.

    Args:
        configs: The configuration files, in order.
        model: The class path of the model.

    Returns:
        The paths below `configs/` without their endings, but for presets, stacked as in `benchmark/all+nets/s4`; for
        the `config.yaml` of a run that is repeated, that run's experiment; the model's name where there is nothing.
    """
    names = [_name(config.resolve()) for config in configs if config.parent.name != "presets"]
    return "+".join(names) or model.rsplit(".", 1)[-1]


def _name(path: Path) -> str:
    parents = [parent.name for parent in path.parents]
    if "configs" in parents:
        return str(path.relative_to(path.parents[parents.index("configs")]).with_suffix(""))
    if "runs" in parents and path.name == "config.yaml":
        return str(path.parents[1].relative_to(path.parents[parents.index("runs")]))
    return path.stem
