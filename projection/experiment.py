"""What EXP names: configurations, one or several stacked with +, where they are, and what the whole is called."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

from projection.errors import ProjectionError, did_you_mean, file_did_you_mean

_PACKAGE = Path(__file__).resolve().parent
# beside the package in a clone, inside of it where it was installed from a wheel
CONFIGS = _PACKAGE / "configs" if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent / "configs"
BASE_CONFIG = CONFIGS / "base.yaml"
# where run folders are, and the settings in each
RUNS, RUN_CONFIG = "runs", "config.yaml"

_ONE = r"[A-Za-z0-9_][A-Za-z0-9_./-]*"
# of configs/: what is stacked on an experiment, or named in it
_PARTS = ("nets/", "presets/", "recipes/")
_EXPERIMENT = re.compile(rf"{_ONE}(\+{_ONE})*")


def with_configs(words: Sequence[str]) -> list[str]:
    """Write every `--config` of a command line as the files that it names.

    `--config benchmark/all+nets/s4` is an experiment, and becomes two files. `--config demo.yaml` is a file here, or
    one that comes with projection.

    Raises:
        ProjectionError: If a file is no YAML, says one thing twice, or takes a part from a file that is not there.
    """
    found: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name = word.removeprefix("--config=")
        if word in ("--config", "-c") and rest:
            name = rest.pop(0)
        elif name == word:
            found.append(word)
            continue
        for file in _files(name):
            _check(file)
            found += ["--config", file]
    return found


def _files(name: str) -> list[str]:
    try:
        if Path(name).is_file() or Path(name).is_absolute():
            return [name]
        if not name.endswith((".yaml", ".yml")) and _EXPERIMENT.fullmatch(name):
            return [str(file) for file in experiment_files(name)]
        shipped = CONFIGS / name.removeprefix("configs/")
        if not shipped.is_file() and name.endswith(".yaml") and "{" not in name:
            if "+" in name:
                raise ProjectionError(f"{name}: `+` joins names without .yaml; a file has a --config of its own.")
            there = " ".join(
                filter(None, [file_did_you_mean(Path(name)), _there(Path(), name.removeprefix("configs/"))])
            )
            raise ProjectionError(f"File does not exist: {name}; {there}, as in --config demo or demo+presets/ema")
        return [str(shipped) if shipped.is_file() else name]
    except OSError:  # settings in the place of a file, too long for a name
        return [name]


def _check(name: str) -> None:
    """Find in a file what jsonargparse would tell without its place, or pass over."""
    file = Path(name)
    try:
        root = yaml.compose(file.read_text() if file.is_file() else "", Loader=yaml.SafeLoader)
    except OSError:
        return
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}," if error.problem_mark else ""
        raise ProjectionError(f"{name}{line} is no YAML: {error.problem}.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ProjectionError(f"{name} is no YAML: {error}") from error
    if file.suffix == ".yaml" and not isinstance(root, yaml.MappingNode):
        raise ProjectionError(f"{name} holds no settings, which are lines such as `seed_everything: 1`.")
    if not isinstance(root, yaml.MappingNode):
        return
    for place, mistake in _doubled(root):
        raise ProjectionError(f"{name}, line {place}: {mistake}.")
    for key, value in root.value:
        if isinstance(value, yaml.ScalarNode) and value.value.endswith(".yaml"):
            part = file.parent / value.value
            if not part.is_file():
                raise ProjectionError(
                    f"{name}, line {value.start_mark.line + 1}: there is no {part}, from which {key.value} is taken."
                )
            _check(str(part))


def _doubled(root: yaml.Node) -> Iterator[tuple[int, str]]:
    nodes, seen = [root], set[int]()
    while nodes:
        node = nodes.pop()
        if id(node) in seen:  # an alias
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            nodes += node.value
        if isinstance(node, yaml.MappingNode):
            lines: dict[str, int] = {}
            for key, value in node.value:
                line, word = key.start_mark.line + 1, str(key.value)
                if word in lines:
                    yield line, f"{word} is said a second time, after line {lines[word]}"
                lines[word] = line
                nodes.append(value)


def experiment_files(experiment: str, root: Path = Path()) -> list[Path]:
    """Find the configurations that an experiment stacks, in `configs/` below `root` or among those of projection."""
    if not _EXPERIMENT.fullmatch(experiment) or ".." in experiment:
        raise ProjectionError(
            f"EXP is the name of an experiment, as in EXP=demo; found: {' '.join(experiment.split())}"
        )
    names = [f"{name.removeprefix('configs/').removesuffix('.yaml')}.yaml" for name in experiment.split("+")]
    places = [[file for file in (root / "configs" / name, CONFIGS / name) if file.is_file()] for name in names]
    if missing := [name for name, files in zip(names, places, strict=True) if not files]:
        raise ProjectionError(f"there is no configs/{missing[0]}; {_there(root, missing[0])}")
    return [files[0] for files in places]


def _there(root: Path, wanted: str) -> str:
    """List the nets or presets where one was wanted, and else the experiments."""
    folders = (root / "configs", CONFIGS)
    names = {str(path.relative_to(each).with_suffix("")) for each in folders for path in each.rglob("*.yaml")}
    kind, stem = wanted.partition("/")[0] + "/", f"/{Path(wanted).stem}"
    if meant := sorted(name for name in names if name.endswith(stem)):
        return f"there is {' '.join(meant)}"
    if kind in _PARTS:
        return f"there are {' '.join(sorted(name for name in names if name.startswith(kind)))}"
    experiments = sorted(name for name in names - {"base"} if not name.startswith(_PARTS))
    near = did_you_mean(wanted.removesuffix(".yaml"), experiments)
    return f"{near + ' ' if near else ''}experiments: {' '.join(experiments)}"


def experiment_name(configs: Sequence[Path], model: str) -> str:
    """Name the experiment that a command line describes, which is its folder below `runs`.

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
    if RUNS in parents and path.name == RUN_CONFIG:
        return str(path.parents[1].relative_to(path.parents[parents.index(RUNS)]))
    return path.stem
