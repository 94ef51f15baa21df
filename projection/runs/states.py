"""The states of a run: which one is meant, and whether it is whole."""

from pathlib import Path

from lightning.pytorch.utilities import rank_zero_warn

from projection.checkpoint import is_whole
from projection.errors import ProjectionError
from projection.runs.folder import BEST, LAST


def newest_state(checkpoints: Path) -> Path | None:
    """Find the state that a run goes on from: the last one, or where that is lost, the best one.

    Args:
        checkpoints: The folder in which a run keeps its states.

    Returns:
        Its file; None if the run has never saved a state.

    Raises:
        ProjectionError: If it has, and none of them is whole.
    """
    if not any(checkpoints.glob("*.ckpt")):
        if checkpoints.is_dir():
            rank_zero_warn(f"{checkpoints} holds no state, so the run begins anew.")
        return None
    names = [Path(LAST).name, Path(BEST).name]
    last, best = (checkpoints / name for name in names)
    if is_whole(last):
        return last
    how = "damaged" if last.exists() else "missing"
    if is_whole(best):
        rank_zero_warn(f"{last} is {how}: the run goes on from {best.name}, and trains again what came after it.")
        return best
    raise ProjectionError(
        f"{last} is {how}, and there is no whole {best.name} either, so the run cannot go on. To begin anew, choose "
        f"another folder with `--trainer.default_root_dir`, or remove {checkpoints}."
    )


def check_checkpoint(checkpoint: str | None) -> None:
    """Make sure that a checkpoint is there before anything is built; Lightning resolves `last`, `hpc` and addresses."""
    if checkpoint == "best":
        raise ProjectionError(
            "`fit` continues a run from `--ckpt_path last`. To begin with the weights of a run's best checkpoint, set "
            "model.init_args.init_from to its file."
        )
    if checkpoint in (None, "last", "hpc") or "://" in str(checkpoint):
        return
    if not Path(str(checkpoint)).is_file():
        raise ProjectionError(f"There is no checkpoint {checkpoint}, which --ckpt_path names.")
    if not is_whole(Path(str(checkpoint))):
        raise ProjectionError(f"The checkpoint {checkpoint} is damaged, or no checkpoint at all.")
