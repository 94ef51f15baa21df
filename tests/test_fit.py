"""What a training leaves, and how it is repeated and continued."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from projection.__main__ import main
from projection.errors import ProjectionError
from tests.conftest import Run
from tests.run_files import flip, results, weights
from tests.scripted import scripted

SHORT = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2"]


def test_fit_leaves_a_complete_run_folder_and_says_where_it_is(
    run: Run, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run("fit", *tiny, *SHORT)
    assert folder.parent == Path.cwd() / "runs" / "demo"
    assert (folder.parent / "latest").resolve() == folder.resolve()
    for name in ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "config.yaml", "provenance.json", "results.json"):
        assert (folder / name).is_file()
    assert sorted(path.name for path in (folder / "predictions").iterdir()) == ["test.csv", "val.csv"]
    assert list((folder / "tensorboard").glob("events*"))
    told = capsys.readouterr().out
    shown = folder.relative_to(Path.cwd())
    assert f"Run folder:  {shown}\n" in told
    assert f"tensorboard --logdir {shown}\n" in told


def test_the_results_are_those_of_the_best_epoch(fitted: Path) -> None:
    history = pd.read_csv(fitted / "metrics" / "metrics.csv")
    assert {"train/loss", "val/auroc", "val/loss", "lr-AdamW"} <= set(history)
    validated = history.dropna(subset="val/auroc")
    assert len(validated) == 2
    best = validated.loc[validated["val/auroc"].idxmax()]
    for metric in ("val/auroc", "val/average_precision", "val/loss"):
        assert results(fitted)[metric] == pytest.approx(best[metric], abs=1e-6)
    tested = history.dropna(subset="test/auroc")
    assert tested["test/auroc"].tolist() == pytest.approx([results(fitted)["test/auroc"]])


@pytest.mark.thorough
def test_a_run_can_be_repeated_from_its_config_to_the_last_digit(run: Run, tiny: list[str]) -> None:
    first = run("fit", *tiny, *SHORT, "--data.transforms+=GaussianNoise")
    second = run("fit", "--config", str(first / "config.yaml"))
    assert second.parent == first.parent
    assert second != first
    assert results(first) == results(second)
    assert (first / "config.yaml").read_text() == (second / "config.yaml").read_text()


@pytest.mark.thorough
def test_seeds_differ(run: Run, tiny: list[str]) -> None:
    folders = [run("fit", *tiny, *SHORT, "--seed_everything", seed) for seed in ("1", "2")]
    first, second = (weights(folder / "checkpoints" / "last.ckpt") for folder in folders)
    assert not any(torch.equal(first[name], second[name]) for name in first if name.endswith(".weight"))


@pytest.mark.thorough
def test_training_resumes_where_it_stopped(run: Run, corpus_file: Path) -> None:
    fit = scripted(corpus_file, "--trainer.default_root_dir", "runs/demo/mine", "--ckpt_path", "last")
    folder = run("fit", *fit, "--trainer.max_epochs", "2")
    before = (folder / "metrics" / "metrics.csv").read_text()
    main(["fit", *fit, "--trainer.max_epochs", "3"])
    assert (folder / "metrics" / "metrics.csv").read_text() == before
    logged = pd.read_csv(folder / "metrics-2" / "metrics.csv").dropna(subset="train/batches")
    assert logged[["epoch", "train/batches"]].to_numpy().tolist() == [[2, batch] for batch in (9, 10, 11, 12)]
    assert weights(folder / "checkpoints" / "last.ckpt")["batches"] == 12
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    assert saved["trainer"]["max_epochs"] == 3


@pytest.mark.thorough
def test_the_configuration_of_a_run_that_has_begun_continues_it(run: Run, corpus_file: Path) -> None:
    folder = run("fit", *scripted(corpus_file, "--trainer.max_epochs", "2"))
    main(["fit", "--config", str(folder / "config.yaml"), "--ckpt_path", "last", "--trainer.max_epochs", "3"])
    assert [path.name for path in folder.parent.iterdir() if not path.is_symlink()] == [folder.name]
    assert weights(folder / "checkpoints" / "last.ckpt")["batches"] == 12


@pytest.mark.thorough
def test_a_run_that_lost_its_states_does_not_begin_anew_without_a_word(run: Run, corpus_file: Path) -> None:
    folder = run("fit", *scripted(corpus_file, "--trainer.max_epochs", "2"))
    again = ["fit", "--config", str(folder / "config.yaml"), "--ckpt_path", "last", "--trainer.max_epochs", "3"]
    last, best = (folder / "checkpoints" / f"{name}.ckpt" for name in ("last", "best"))
    flip(last, 1000)
    with pytest.warns(UserWarning, match=rf"{last} is damaged: the run goes on from best\.ckpt, and trains again what"):
        main(again)
    assert weights(last)["batches"] == 12
    last.unlink()
    flip(best, 1000)
    with pytest.raises(SystemExit, match=r"last\.ckpt is missing, and there is no whole best\.ckpt either"):
        main(again)
    shutil.rmtree(folder / "checkpoints")
    with pytest.raises(SystemExit, match=r"has no checkpoints/last\.ckpt to go on from"):
        main(again)


@pytest.mark.thorough
def test_a_complete_run_says_so_and_is_left_as_it_is(
    run: Run, corpus_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fit = scripted(
        corpus_file, "--trainer.default_root_dir", "mine", "--ckpt_path", "last", "--trainer.max_epochs", "2"
    )
    folder = run("fit", *fit)
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    main(["fit", *fit])
    assert f"{folder} is complete: it was trained to its end" in caplog.text
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
    main(["fit", *fit, "--trainer.max_epochs", "3"])
    assert weights(folder / "checkpoints" / "last.ckpt")["batches"] == 12


def test_going_on_needs_the_name_of_a_run(run: Run, tiny: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"`--ckpt_path last` goes on in a run folder, and none is named\."):
        main(["fit", *tiny, "--ckpt_path", "last"])
    assert not list(Path.cwd().iterdir())


@pytest.mark.parametrize("how", [[], ["--ckpt_path", "checkpoints/best.ckpt"]])
def test_a_folder_that_holds_a_run_is_not_overwritten(run: Run, fitted: Path, how: list[str]) -> None:
    folder = shutil.copytree(fitted, Path.cwd() / "mine")
    (Path.cwd() / "checkpoints").symlink_to(folder / "checkpoints")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(SystemExit, match="holds a run already"):
        main(["fit", "--config", str(folder / "config.yaml"), "--trainer.default_root_dir", str(folder), *how])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


@pytest.mark.thorough
def test_a_folder_whose_run_saved_nothing_is_begun_again(run: Run, corpus_file: Path) -> None:
    Path("mine").mkdir()
    Path("mine/config.yaml").touch()
    main(["fit", *scripted(corpus_file, "--trainer.default_root_dir", "mine", "--trainer.max_epochs", "1")])
    assert results(Path("mine"))["test/epochs"] == 1


def test_a_model_without_validation_or_metrics_trains_by_its_class_path(run: Run, corpus_file: Path) -> None:
    quick = ["--trainer.max_epochs", "2", "--trainer.limit_train_batches", "1"]
    folder = run("fit", "--model", "tests.own_module.TutorialModel", "--data.path", str(corpus_file), *quick)
    assert folder.parent.name == "TutorialModel"
    best, last = (torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert best["epoch"] == last["epoch"] == 1
    assert results(folder) == {}


def test_a_model_that_asks_for_the_classes_gets_them(run: Run, corpus_file: Path) -> None:
    quick = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "1", "--checkpoint.monitor", "val_loss"]
    folder = run("fit", "--model", "tests.own_module.ValidatedModel", "--data.path", str(corpus_file), *quick)
    assert set(results(folder)) == {"val_loss"}


@pytest.mark.thorough
def test_any_module_may_be_the_net(run: Run, tiny: list[str]) -> None:
    net = {"class_path": "tests.own_module.MeanNet", "init_args": {"scale": 2.0}}
    without_widths = [arg for arg in tiny if arg not in ("--model.init_args.net.init_args.widths", "[4,8]")]
    folder = run("fit", *without_widths, *SHORT, "--model.init_args.net", json.dumps(net))
    shapes = {name: tuple(value.shape) for name, value in weights(folder / "checkpoints" / "best.ckpt").items()}
    assert shapes.items() >= {"net.linear.weight": (71, 12), "net.linear.bias": (71,)}.items()


@pytest.mark.thorough
def test_a_checkpoint_that_cannot_take_its_operating_point_costs_no_result(
    run: Run, tiny: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise ProjectionError("best.ckpt could not be written: No space left on device.")

    monkeypatch.setattr("projection.cli.keep_operating_point", full)
    with pytest.warns(UserWarning, match=r"best\.ckpt has no thresholds and no temperature: .*No space left"):
        folder = run("fit", *tiny, "--trainer.max_epochs", "1")
    assert {"val/auroc", "test/auroc"} <= results(folder).keys()
