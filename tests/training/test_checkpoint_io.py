"""A checkpoint is whole under its name, whatever happens while it is saved."""

import tempfile
from pathlib import Path

import pytest
import torch

from projection.training import WholeCheckpointIO
from tests.conftest import Run


class Interrupts:
    """What cannot be pickled, as when a process ends in the middle."""

    def __reduce__(self) -> tuple[object, ...]:
        raise KeyboardInterrupt


def test_an_interrupted_save_leaves_the_checkpoint_before(tmp_path: Path) -> None:
    place = tmp_path / "checkpoints" / "last.ckpt"
    writer = WholeCheckpointIO()
    writer.save_checkpoint({"step": 1}, place)
    with pytest.raises(KeyboardInterrupt):
        writer.save_checkpoint({"step": 2, "end": Interrupts()}, place)
    assert torch.load(place) == {"step": 1}
    assert [path.name for path in place.parent.iterdir()] == ["last.ckpt"]


def test_trainings_save_beside_the_place(run: Run, tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # a folder for temporary files may be on another disk, or full
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    folder = run("fit", *tiny, "--trainer.logger", "false")
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
