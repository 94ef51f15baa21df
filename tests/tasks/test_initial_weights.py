"""Training that begins with another network's weights."""

from pathlib import Path

import pytest
import torch

from projection.__main__ import main
from projection.errors import ProjectionError
from projection.nets import CNN1d, FCNWang
from projection.tasks.initial_weights import load_matching
from tests.conftest import Run
from tests.run_files import weights


def test_what_matches_is_loaded_and_the_rest_is_told(tmp_path: Path) -> None:
    given, net = CNN1d(12, 71, widths=(4, 8)), CNN1d(12, 5, widths=(4, 8))
    torch.save(given.state_dict() | {"extra": torch.zeros(3)}, tmp_path / "weights.pt")
    before = {name: value.clone() for name, value in net.state_dict().items()}
    told = load_matching(net, tmp_path / "weights.pt")
    head = [name for name, value in given.state_dict().items() if value.shape != before[name].shape]
    for name, value in net.state_dict().items():
        assert torch.equal(value, before[name] if name in head else given.state_dict()[name])
    assert f"{len(before) - len(head)} of {len(before)} weights" in told
    assert "Of another shape: head" in told
    assert "71x16 there, 5x16 here" in told
    assert "Not in the network: extra" in told


@pytest.mark.thorough
def test_a_run_begins_with_another_task_s_weights(
    run: Run, tiny: list[str], fitted: Path, caplog: pytest.LogCaptureFixture
) -> None:
    best = fitted / "checkpoints" / "best.ckpt"
    frozen = [
        "--model.init_args.optimizer.init_args.lr",
        "0",
        "--model.init_args.optimizer.init_args.weight_decay",
        "0",
    ]
    caplog.set_level("INFO")
    options = [*tiny, "--data.labels", "rhythm", "--model.init_args.init_from", str(best), *frozen]
    second = run("fit", *options, "--trainer.max_epochs", "1", "--model.init_args.schedule", "null")
    assert "Of another shape: head" in caplog.text
    states = [weights(path) for path in (best, second / "checkpoints" / "last.ckpt")]
    body = [name for name in states[0] if name.startswith("net.body") and "weight" in name]
    assert body
    assert all(torch.equal(states[0][name], states[1][name]) for name in body)
    main(["test", "--config", str(second / "config.yaml"), "--ckpt_path", "best"])


@pytest.mark.parametrize(("extra", "end"), [(8, "extra6, extra7"), (9, "extra7 and 1 more")])
def test_long_lists_are_cut_after_eight_names(tmp_path: Path, extra: int, end: str) -> None:
    net = CNN1d(12, 5, widths=(4, 8))
    others = {f"extra{number}": torch.zeros(()) for number in range(extra)}
    torch.save(net.state_dict() | others, tmp_path / "weights.pt")
    assert load_matching(net, tmp_path / "weights.pt").endswith(end)


def test_files_that_do_not_help_are_named(tmp_path: Path) -> None:
    torch.save(FCNWang(12, 5).state_dict(), tmp_path / "other.pt")
    (tmp_path / "text.pt").write_text("weights")
    (tmp_path / "empty.pt").write_text("")
    torch.save([1, 2], tmp_path / "list.pt")
    for name, told in (
        ("none.pt", "init_from: There is no checkpoint"),
        ("text.pt", "is damaged, or no checkpoint"),
        ("empty.pt", "is damaged, or no checkpoint"),
        ("list.pt", "is no checkpoint: it holds a list"),
        ("other.pt", "has the name and shape of one of CNN1d's"),
        (".", "There is no checkpoint"),
    ):
        with pytest.raises(ProjectionError, match=told):
            load_matching(CNN1d(12, 5, widths=(3, 6)), tmp_path / name)


@pytest.mark.thorough
def test_a_missing_file_stops_before_training(run: Run, tiny: list[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"model\.init_args\.init_from: There is no checkpoint gone\.ckpt"):
        main(["fit", *tiny, "--model.init_args.init_from", "gone.ckpt"])
