"""Begin with the weights of another network, as far as they fit."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from torch import Tensor, nn

from projection.checkpoint import read_checkpoint
from projection.errors import ProjectionError

_LISTED = 8


def load_matching(net: nn.Module, path: Path) -> str:
    """Load the weights whose names and shapes match, and leave the network's others as they are.

    Args:
        path: A checkpoint of a task with such a network, or the state dict of a network itself.

    Returns:
        What was loaded and what was not, to be told to the user.

    Raises:
        ProjectionError: If the file cannot be read, or nothing in it matches.
    """
    given, own = _weights(path), net.state_dict()
    fitting = {name: value for name, value in given.items() if name in own and value.shape == own[name].shape}
    if not any(value.ndim for value in fitting.values()):  # counters fit everywhere
        raise ProjectionError(
            f"model.init_args.init_from: no weight in {path} has the name and shape of one of {type(net).__name__}'s. "
            f"It holds {_some(given)}; the network has {_some(own)}."
        )
    net.load_state_dict(fitting, strict=False)
    return _report(given, own, fitting, path)


def _weights(path: Path) -> dict[str, Tensor]:
    try:
        content = read_checkpoint(path)
    except ProjectionError as error:
        raise ProjectionError(f"model.init_args.init_from: {error}") from error
    state = content.get("state_dict", content)
    weights = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    # a task's checkpoint holds its network as `net`, beside its loss and metrics
    of_net = {name.removeprefix("net."): value for name, value in weights.items() if name.startswith("net.")}
    return of_net or weights


def _report(given: Mapping[str, Tensor], own: Mapping[str, Tensor], fitting: Mapping[str, Tensor], path: Path) -> str:
    total, loaded = (sum(value.numel() for value in weights.values()) for weights in (own, fitting))
    lines = [f"From {path}: {len(fitting)} of {len(own)} weights ({loaded:,} of {total:,} numbers)."]
    unlike = own.keys() & given.keys() - fitting.keys()
    other = [f"{name} {_shape(given[name])} there, {_shape(own[name])} here" for name in unlike]
    for title, names in (
        ("Of another shape", other),
        ("Not in the file", own.keys() - given.keys()),
        ("Not in the network", given.keys() - own.keys()),
    ):
        if names:
            lines.append(f"  {title}: {_some(names)}")
    return "\n".join(lines)


def _shape(value: Tensor) -> str:
    return "x".join(str(size) for size in value.shape) or "scalar"


def _some(names: Iterable[str]) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - _LISTED} more" if len(ordered) > _LISTED else ""
    return ", ".join(ordered[:_LISTED]) + more if ordered else "nothing"
