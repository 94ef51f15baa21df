"""A checkpoint is whole under its name, whatever happens while it is saved."""

import tempfile
from pathlib import Path
from random import Random

import pytest
import torch

from projection.checkpoint import is_whole, read_checkpoint
from projection.errors import ProjectionError
from projection.training import WholeCheckpointIO
from tests.conftest import Run
from tests.run_files import flip


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


@pytest.mark.thorough
def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    place = tmp_path / "last.ckpt"
    WholeCheckpointIO().save_checkpoint({"state_dict": {"weight": torch.randn(5000)}, "epoch": 3}, place)
    assert torch.load(place, weights_only=True)["epoch"] == 3, "PyTorch reads it as any other"
    assert is_whole(place)
    whole, random = place.read_bytes(), Random(0)
    ends = [8 * byte + 3 for byte in (0, 1, *range(len(whole) - 100, len(whole)))]
    for bit in ends + [random.randrange(8 * len(whole)) for _ in range(300)]:
        flip(place, bit)
        with pytest.raises(ProjectionError, match=r"last\.ckpt is damaged"):
            read_checkpoint(place)
        assert not is_whole(place)
        place.write_bytes(whole)
    for length in (0, 1, 50, len(whole) // 2, len(whole) - 1):
        place.write_bytes(whole[:length])
        assert not is_whole(place)
    place.write_bytes(whole[:1000] + bytes(1000) + whole[2000:])
    assert not is_whole(place)


def test_a_checkpoint_of_others_is_looked_through_by_its_own_sums(tmp_path: Path) -> None:
    place = tmp_path / "theirs.ckpt"
    torch.save({"weight": torch.randn(5000)}, place)
    assert is_whole(place)
    flip(place, 4 * place.stat().st_size)
    with pytest.raises(ProjectionError, match=r"theirs\.ckpt is damaged \(its part .* is torn\)"):
        read_checkpoint(place)


def test_trainings_save_beside_the_place(run: Run, tiny: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # a folder for temporary files may be on another disk, or full
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    folder = run("fit", *tiny, "--trainer.logger", "false")
    assert sorted(path.name for path in (folder / "checkpoints").iterdir()) == ["best.ckpt", "last.ckpt"]
