"""Which state is kept as the best, and which as the last."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from lightning.pytorch import Trainer

from projection.__main__ import main
from projection.training.checkpoint_callbacks import bring_to_every_node
from tests.conftest import Run
from tests.processes import on_ranks
from tests.run_files import results, weights
from tests.scripted import scripted


def scores(*of_epochs: float, metric: str = "val/auroc") -> list[str]:
    return ["--model.init_args.scores", str(list(of_epochs)), "--model.init_args.metric", metric]


def epoch_of(folder: Path, name: str) -> int:
    return int(weights(folder / "checkpoints" / f"{name}.ckpt")["epochs"])


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("options", "best"),
    [
        ([], 2),
        (["--checkpoint.mode", "min"], 1),
        (["--checkpoint.monitor", "train/batches"], 3),
        (["--checkpoint.monitor", "train/batches", "--checkpoint.mode", "min"], 1),
        (["--checkpoint.monitor", "null"], 3),
    ],
)
def test_the_test_judges_the_state_with_the_best_score_and_not_the_last(
    run: Run, corpus_file: Path, options: list[str], best: int
) -> None:
    folder = run("fit", *scripted(corpus_file, *scores(0.6, 0.9, 0.7), *options))
    assert epoch_of(folder, "best") == results(folder)["test/epochs"] == best
    assert epoch_of(folder, "last") == 3
    assert results(folder)["val/auroc"] == pytest.approx([0.6, 0.9, 0.7][best - 1])
    # the validation of the best adds no point to the curve, the test does
    logged = pd.read_csv(folder / "metrics" / "metrics.csv")
    assert logged["val/auroc"].dropna().tolist() == pytest.approx([0.6, 0.9, 0.7])
    assert logged["test/epochs"].dropna().tolist() == [best]


@pytest.mark.thorough
def test_a_resumed_run_knows_which_score_was_the_best(run: Run, corpus_file: Path) -> None:
    place = ["--trainer.default_root_dir", "mine", "--ckpt_path", "last"]
    arguments = scripted(corpus_file, *scores(0.6, 0.9, 0.7, 0.8), *place)
    folder = run("fit", *arguments)
    main(["fit", *arguments, "--trainer.max_epochs", "4"])
    assert epoch_of(folder, "last") == 4
    assert epoch_of(folder, "best") == results(folder)["test/epochs"] == 2


@pytest.mark.thorough
def test_without_the_usual_metric_the_newest_state_is_the_best_and_the_user_is_told_how_to_choose(
    run: Run, corpus_file: Path
) -> None:
    arguments = scripted(corpus_file, *scores(0.1, 0.3, 0.2, metric="val_loss"))
    with pytest.warns(UserWarning, match=r"does not log 'val/auroc' \(logged: .*val_loss\)") as told:
        folder = run("fit", *arguments)
    assert len([warning for warning in told if "does not log" in str(warning.message)]) == 1
    assert epoch_of(folder, "best") == results(folder)["test/epochs"] == 3
    chosen = run("fit", *arguments, "--checkpoint.monitor", "val_loss", "--checkpoint.mode", "min")
    assert epoch_of(chosen, "best") == 1


def test_a_metric_that_the_user_chose_must_be_logged(run: Run, corpus_file: Path) -> None:
    with pytest.raises(SystemExit, match=r"does not log 'val/aurco', only .*val/auroc"):
        run("fit", *scripted(corpus_file, "--checkpoint.monitor", "val/aurco"))


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("options", "last", "best"),
    [
        (["--last_checkpoint.every_n_epochs", "2"], 2, 3),
        (["--trainer.check_val_every_n_epoch", "2"], 3, 2),
        (["--trainer.limit_val_batches", "0"], 3, 3),
    ],
)
def test_the_last_state_is_saved_after_every_epoch_or_every_few(
    run: Run, corpus_file: Path, options: list[str], last: int, best: int
) -> None:
    folder = run("fit", *scripted(corpus_file, *scores(0.1, 0.2, 0.3), *options))
    assert (epoch_of(folder, "last"), epoch_of(folder, "best")) == (last, best)


def test_checkpoints_go_where_the_user_wants_them(run: Run, corpus_file: Path) -> None:
    folder = run("fit", *scripted(corpus_file, "--checkpoint.dirpath", "a", "--last_checkpoint.dirpath", "b"))
    assert [path.name for path in (*Path("a").iterdir(), *Path("b").iterdir())] == ["best.ckpt", "last.ckpt"]
    assert not (folder / "checkpoints").exists()


def bring(folder: Path, names: list[str]) -> None:
    """Bring each file from the first node to this one, whose disk is a folder named after its rank."""
    trainer = Trainer(accelerator="cpu", strategy="ddp", devices=1, num_nodes=2, logger=False, barebones=True)
    trainer.strategy.connect(torch.nn.Linear(1, 1))
    trainer.strategy.setup_environment()
    for name in names:
        bring_to_every_node(trainer, str(folder / str(trainer.global_rank) / name / "best.ckpt"))


@pytest.mark.slow
def test_the_best_checkpoint_reaches_nodes_with_disks_of_their_own(tmp_path: Path) -> None:
    contents = {"missing": (b"new", None), "older": (b"newer", b"old"), "same": (b"same", b"same")}
    places = {name: [tmp_path / str(rank) / name / "best.ckpt" for rank in (0, 1)] for name in contents}
    for name, found in contents.items():
        for place, content in zip(places[name], found, strict=True):
            if content is not None:
                place.parent.mkdir(parents=True)
                place.write_bytes(content)
    untouched = places["same"][1].stat()
    for ended in on_ranks(tmp_path, 2, bring, tmp_path, list(contents), nodes=2):
        assert ended.status == 0, ended.said
    for name, (first, _) in contents.items():
        assert [place.read_bytes() for place in places[name]] == [first, first]
        assert [path.name for path in places[name][1].parent.iterdir()] == ["best.ckpt"]
    assert places["same"][1].stat().st_ino == untouched.st_ino
