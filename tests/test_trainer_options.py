"""Each of Lightning's common options does what it says, and a run ends in results all the same."""

import json
import math
from pathlib import Path

import pandas as pd
import pytest
import torch

from projection.__main__ import main
from tests.conftest import Run
from tests.run_files import results, weights
from tests.scripted import callback, scripted

pytestmark = pytest.mark.thorough  # a whole training for each option


def metrics(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "metrics" / "metrics.csv")


def steps(folder: Path) -> int:
    found: int = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    return found


def test_a_training_ends_at_its_number_of_steps(run: Run, corpus_file: Path) -> None:
    folder = run("fit", *scripted(corpus_file, "--trainer.max_steps", "6"))
    assert (steps(folder), weights(folder / "checkpoints" / "last.ckpt")["batches"]) == (6, 6)
    assert results(folder)["test/batches"] == 4, "the best of equal scores is the first"


def test_gradients_of_several_batches_make_one_step(run: Run, corpus_file: Path) -> None:
    folder = run("fit", *scripted(corpus_file, "--trainer.accumulate_grad_batches", "2"))
    last = weights(folder / "checkpoints" / "last.ckpt")
    assert (steps(folder), last["batches"]) == (6, 12)
    # six steps down (weight - 1) squared
    assert last["weight"].item() == pytest.approx(1 - 0.8**6)


def test_validation_may_be_rare_or_missing(run: Run, corpus_file: Path) -> None:
    rare = run("fit", *scripted(corpus_file, "--trainer.check_val_every_n_epoch", "2"))
    assert metrics(rare)["val/auroc"].count() == 1
    none = run("fit", *scripted(corpus_file, "--trainer.limit_val_batches", "0"))
    assert "val/auroc" not in set(metrics(none)) | set(results(none))
    assert results(none)["test/epochs"] == 3


def test_without_loggers_or_checkpoints_the_results_are_there(run: Run, corpus_file: Path) -> None:
    unlogged = run("fit", *scripted(corpus_file, "--trainer.logger", "false"))
    left = {".lock", "checkpoints", "config.yaml", "provenance.json", "results.json"}
    assert {path.name for path in unlogged.iterdir()} == left
    unsaved = run("fit", *scripted(corpus_file, "--trainer.enable_checkpointing", "false"))
    assert {path.name for path in unsaved.iterdir()} == left - {"checkpoints"} | {"metrics", "tensorboard"}
    assert results(unsaved)["test/epochs"] == 3, "the newest state, where no best one is kept"


def test_the_same_batches_can_be_fitted_again_and_again(run: Run, corpus_file: Path) -> None:
    run("fit", *scripted(corpus_file, "--trainer.overfit_batches", "2", *callback("Diary", path="diary")))
    entries = [json.loads(line) for line in Path("diary").read_text().splitlines()]
    assert [entry[:2] for entry in entries] == [[epoch, batch] for epoch in range(3) for batch in range(2)]
    assert [entry[4] for entry in entries] == 3 * [entry[4] for entry in entries[:2]]


def test_how_often_steps_are_logged_is_the_user_s_choice(run: Run, tiny: list[str]) -> None:
    few = [*tiny, "--trainer.limit_train_batches", "3", "--trainer.max_epochs", "2"]
    for every, logged in ((0, []), (2, [1, 3, 5])):
        folder = run("fit", *few, "--trainer.log_every_n_steps", str(every))
        shown = metrics(folder)
        assert shown.get("train/loss", pd.Series()).dropna().index.map(shown["step"]).tolist() == logged


def test_weights_may_be_of_half_precision(run: Run, tiny: list[str]) -> None:
    few = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1"]
    folder = run("fit", *tiny, *few, "--trainer.precision", "bf16-true")
    kinds = {value.dtype for name, value in weights(folder / "checkpoints" / "best.ckpt").items() if "weight" in name}
    assert kinds == {torch.bfloat16}
    assert all(math.isfinite(value) for value in results(folder).values())


def test_averaged_weights_are_the_ones_that_are_judged_and_kept(run: Run, corpus_file: Path) -> None:
    averaging = {"class_path": "lightning.pytorch.callbacks.EMAWeightAveraging", "init_args": {"decay": 0.5}}
    options = ["--trainer.callbacks+", json.dumps(averaging), "--trainer.max_epochs", "1"]
    folder = run("fit", *scripted(corpus_file, *options))
    expected = 1 - 0.8
    for step in (2, 3, 4):
        expected = 0.5 * expected + 0.5 * (1 - 0.8**step)
    assert weights(folder / "checkpoints" / "best.ckpt")["weight"].item() == pytest.approx(expected)
    assert results(folder)["test/weight"] == pytest.approx(expected)


def test_a_dry_run_leaves_nothing(run: Run, tiny: list[str]) -> None:
    main(["fit", *tiny, "--trainer.fast_dev_run", "true"])
    assert not list(Path.cwd().iterdir())
