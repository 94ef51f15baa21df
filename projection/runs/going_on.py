"""What may change when a run goes on, and what may not."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.utilities import rank_zero_info

from projection.errors import ProjectionError
from projection.runs.differences import ABSENT, PATH, differing, is_place
from projection.runs.run import read_settings

# what a state was made with
_OF_THE_STATE = (
    *("model", "data", "seed_everything", "trainer.accumulate_grad_batches", "trainer.limit_train_batches"),
    "trainer.overfit_batches",
)
# among them, what changes nothing that is learned; the data's fingerprint says more than where they are
_FREE = ("model.init_args.compile", "model.init_args.init_from", PATH)
_LONGEST = 60  # letters of a value
_FINGERPRINTS = ("signals_sha256", "tables_sha256")


def check_changes(folder: Path, config: Mapping[str, Any], allowed: bool) -> list[str]:
    """Compare how a run is to go on with how it was trained before; tell what is another, or refuse it.

    Args:
        folder: The run folder.
        config: The new configuration, as `config.yaml` will hold it.
        allowed: Go on with changes that contradict the saved state as well.

    Returns:
        What changed, such as `trainer.max_epochs from 2 to 3`.

    Raises:
        ProjectionError: If model, data, seed or what makes a batch are others, and that is not allowed.
    """
    before, _ = read_settings(folder)
    found = {key: pair for key, pair in differing([before, config]).items() if ABSENT not in pair and not is_place(key)}
    told = {key: f"{key} from {_short(was)} to {_short(now)}" for key, (was, now) in found.items() if key != PATH}
    refused = [text for key, text in told.items() if _is_of_the_state(key)]
    if refused and not allowed:
        _refuse(folder, refused)
    if told:
        rank_zero_info(f"{folder} goes on with other settings: {'; '.join(told.values())}.")
    return list(told.values())


def check_data(folder: Path, facts: Mapping[str, Any], allowed: bool) -> None:
    """Make sure that a run goes on with the data that it began with, as their fingerprints say.

    Raises:
        ProjectionError: If they are others, and that is not allowed.
    """
    _, origin = read_settings(folder)
    before = origin.get("data") or {}
    others = [name for name in _FINGERPRINTS if name in before and name in facts and before[name] != facts[name]]
    if others and not allowed:
        _refuse(folder, [f"the data ({', '.join(others)}; {_joined(before)} before, {_joined(facts)} now)"])


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[:_LONGEST]}..."


def _joined(facts: Mapping[str, Any]) -> str:
    paths = facts.get("path") or []
    return paths if isinstance(paths, str) else ", ".join(paths)


def _is_of_the_state(key: str) -> bool:
    return key not in _FREE and any(key == part or key.startswith(f"{part}.") for part in _OF_THE_STATE)


def _refuse(folder: Path, changes: Sequence[str]) -> None:
    raise ProjectionError(
        f"{folder} cannot go on with another setting than its state was made with: {'; '.join(changes)}.\n"
        "To begin a new run from its weights: model.init_args.init_from. `--allow_changes true` goes on all the same."
    )
