"""What EXP names: the configurations that come with projection, and where they are."""

from collections.abc import Sequence
from pathlib import Path

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
