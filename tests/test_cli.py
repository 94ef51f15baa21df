import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
import yaml

from projection.__main__ import main
from projection.data.statements import class_names
from projection.data.store import open_store
from projection.metrics import auroc
from projection.tasks import ClassificationTask
from tests.conftest import ROOT, Run

MIXUP = "[{class_path: projection.transforms.Mixup, init_args: {alpha: 2}}]"


def results(folder: Path) -> dict[str, float]:
    found: dict[str, float] = json.loads((folder / "results.json").read_text())
    return found


def test_fit_trains_tests_the_best_checkpoint_and_leaves_a_complete_run_folder(
    run: Run, tiny: list[str], corpus_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = run("fit", *tiny)
    assert folder.parent == Path.cwd() / "runs" / "demo"
    assert (folder.parent / "latest").resolve() == folder.resolve()
    assert {"val/auroc", "val/average_precision", "test/auroc", "test/average_precision"} <= set(results(folder))
    for name in ("checkpoints/best.ckpt", "checkpoints/last.ckpt", "metrics/metrics.csv", "config.yaml"):
        assert (folder / name).is_file()
    assert list((folder / "tensorboard").glob("events*"))
    history = pd.read_csv(folder / "metrics" / "metrics.csv")
    assert {"train/loss", "val/auroc", "val/loss", "lr-AdamW"} <= set(history)
    assert history["val/auroc"].count() == 2
    assert results(folder)["val/auroc"] == pytest.approx(history["val/auroc"].max(), abs=1e-6)
    provenance = json.loads((folder / "provenance.json").read_text())
    assert provenance["data"]["signals_sha256"] == open_store(corpus_file).attributes["signals_sha256"]
    assert provenance["versions"]["torch"] == torch.__version__
    told = capsys.readouterr().out
    assert str(folder.relative_to(Path.cwd())) in told.replace("\n", "")
    assert "tensorboard --logdir" in told


def test_stored_test_predictions_give_the_reported_score(run: Run, tiny: list[str], corpus_file: Path) -> None:
    folder = run("fit", *tiny)
    table = pd.read_csv(folder / "predictions" / "test.csv")
    classes = list(class_names("all"))
    assert list(table) == ["ecg_id", *classes, *(f"label_{name}" for name in classes)]
    store = open_store(corpus_file)
    folds = dict(zip(store.tables.records["ecg_id"], store.tables.records["strat_fold"], strict=True))
    assert {folds[ecg_id] for ecg_id in table["ecg_id"]} == {10}
    labels = torch.tensor(table[[f"label_{name}" for name in classes]].to_numpy())
    score = auroc(torch.tensor(table[classes].to_numpy()), labels).nanmean().item()
    assert score == pytest.approx(results(folder)["test/auroc"], abs=1e-4)


def test_a_run_can_be_repeated_from_its_config_to_the_last_digit(run: Run, tiny: list[str]) -> None:
    first = run("fit", *tiny, "--data.transforms+=GaussianNoise")
    second = run("fit", "--config", str(first / "config.yaml"))
    assert second.parent == first.parent
    assert second != first
    assert results(first) == results(second)
    assert (first / "config.yaml").read_text() == (second / "config.yaml").read_text()


def test_seeds_differ(run: Run, tiny: list[str]) -> None:
    assert results(run("fit", *tiny)) != results(run("fit", *tiny, "--seed_everything", "7"))


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_predict_writes_a_row_for_every_record_of_the_test_folds(
    run: Run, tiny: list[str], corpus_file: Path, file_format: str
) -> None:
    fitted = run("fit", *tiny, "--data.task", "form")
    checkpoint = str(fitted / "checkpoints" / "best.ckpt")
    config = ["--config", str(fitted / "config.yaml"), "--ckpt_path", checkpoint]
    folder = run("predict", *config, "--predictions.format", file_format)
    path = folder / "predictions" / f"predict.{file_format}"
    table = pd.read_csv(path) if file_format == "csv" else pd.read_parquet(path)
    records = open_store(corpus_file).tables.records
    assert sorted(table["ecg_id"]) == sorted(records["ecg_id"][records["strat_fold"] == 10])
    assert list(table)[1:] == list(class_names("form"))
    tested = pd.read_csv(fitted / "predictions" / "test.csv").set_index("ecg_id")
    shared = table.set_index("ecg_id").loc[tested.index]
    for name in class_names("form"):
        assert shared[name].to_numpy() == pytest.approx(tested[name].to_numpy(), abs=1e-6)


def test_evaluation_repeats_the_scores_of_fit_and_overwrites_nothing(run: Run, tiny: list[str]) -> None:
    fitted = run("fit", *tiny)
    before = {path: path.read_bytes() for path in fitted.rglob("*") if path.is_file()}
    config = ["--config", str(fitted / "config.yaml"), "--ckpt_path", str(fitted / "checkpoints" / "best.ckpt")]
    tested, validated = run("test", *config), run("validate", *config[:2], "--ckpt_path", "best")
    assert tested.parent == validated.parent == fitted
    assert results(tested) | results(validated) == results(fitted)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_what_was_typed_wins_over_what_a_checkpoint_remembers(run: Run, tiny: list[str]) -> None:
    fitted = run("fit", *tiny, "--model.init_args.window", "2.5")
    config = ["--config", str(fitted / "config.yaml"), "--ckpt_path", str(fitted / "checkpoints" / "best.ckpt")]
    folder = run("test", *config, "--model.init_args.aggregation", "mean")
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["init_args"]["aggregation"] == "mean"
    assert results(folder)["test/loss"] != results(fitted)["test/loss"]


def test_a_checkpoint_of_another_network_is_refused(run: Run, tiny: list[str]) -> None:
    fitted = run("fit", *tiny)
    other = [*tiny, "--model.init_args.net.init_args.widths", "[4,6]"]
    with pytest.raises(SystemExit, match=r"not one of the configured model(.|\n)*size mismatch"):
        run("test", *other, "--ckpt_path", str(fitted / "checkpoints" / "best.ckpt"))
    with pytest.raises(SystemExit, match=r"learned 71 classes .*, but the data has 12"):
        run("test", *tiny, "--data.task", "rhythm", "--ckpt_path", str(fitted / "checkpoints" / "best.ckpt"))


def test_a_damaged_checkpoint_is_refused(run: Run, tiny: list[str]) -> None:
    whole = (run("fit", *tiny) / "checkpoints" / "best.ckpt").read_bytes()
    damaged = Path.cwd() / "damaged.ckpt"
    for content in (b"no checkpoint", b"", whole[: len(whole) // 2]):
        damaged.write_bytes(content)
        with pytest.raises(SystemExit, match=r"The checkpoint .* is damaged"):
            run("test", *tiny, "--ckpt_path", str(damaged))


def test_a_checkpoint_that_runs_code_is_refused(run: Run, tiny: list[str]) -> None:
    torch.save({"state_dict": {}, "callbacks": Path("/")}, Path.cwd() / "code.ckpt")
    with pytest.raises(SystemExit, match="holds more than tensors"):
        run("test", *tiny, "--ckpt_path", "code.ckpt")


def test_a_checkpoint_of_another_sampling_rate_is_refused(run: Run, tiny: list[str], corpus: Path) -> None:
    fitted = run("fit", *tiny)
    checkpoint = torch.load(fitted / "checkpoints" / "best.ckpt", weights_only=True)
    torch.save({**checkpoint, "sampling_rate": 500}, Path.cwd() / "other.ckpt")
    with pytest.raises(SystemExit, match="learned from records at 500 Hz, but the data has 100 Hz"):
        run("test", *tiny, "--ckpt_path", "other.ckpt")


def test_checkpoints_load_without_the_data_and_carry_their_preprocessing(run: Run, tiny: list[str]) -> None:
    fitted = run("fit", *tiny)
    checkpoint = fitted / "checkpoints" / "best.ckpt"
    task = ClassificationTask.load_from_checkpoint(checkpoint, weights_only=True)
    assert task.sampling_rate == 100
    assert task.std != 1
    assert task.class_names == class_names("all")
    assert task.eval()(torch.randn(2, 12, 1000)).shape == (2, 71)


def test_training_resumes_where_it_stopped(run: Run, tiny: list[str]) -> None:
    folder = Path.cwd() / "runs" / "demo" / "mine"
    options = [*tiny, "--trainer.default_root_dir", str(folder), "--ckpt_path", "last"]
    options[options.index("--trainer.max_epochs") + 1] = "4"
    run("fit", *options, "--trainer.limit_train_batches", "3")
    main(["fit", *options, "--trainer.max_epochs", "6", "--trainer.limit_train_batches", "3"])
    first, second = (pd.read_csv(folder / name / "metrics.csv") for name in ("metrics", "metrics-2"))
    assert (folder.parent / "latest").resolve() == folder
    saved = yaml.safe_load((folder / "config.yaml").read_text())
    assert saved["trainer"]["default_root_dir"] is saved["ckpt_path"] is None
    assert first.dropna(subset="train/loss")["epoch"].max() == 3
    assert set(second.dropna(subset="train/loss")["epoch"]) == {4, 5}


def test_a_model_without_validation_or_metrics_trains_by_its_class_path(run: Run, corpus_file: Path) -> None:
    quick = ["--trainer.max_epochs", "2", "--trainer.enable_progress_bar", "false"]
    folder = run("fit", "--model", "tests.own_module.TutorialModel", "--data.path", str(corpus_file), *quick)
    assert folder.parent.name == "TutorialModel"
    best, last = (torch.load(folder / "checkpoints" / f"{name}.ckpt", weights_only=True) for name in ("best", "last"))
    assert best["epoch"] == last["epoch"] == 1


def test_a_model_with_other_metrics_trains_and_is_told_how_to_choose_one(run: Run, corpus_file: Path) -> None:
    options = ["--model", "tests.own_module.ValidatedModel", "--data.path", str(corpus_file)]
    quick = ["--trainer.max_epochs", "2", "--trainer.enable_progress_bar", "false"]
    with pytest.warns(UserWarning, match=r"does not log 'val/auroc' \(logged: .*val_loss"):
        run("fit", *options, *quick)
    chosen = run("fit", *options, *quick, "--checkpoint.monitor", "val_loss", "--checkpoint.mode", "min")
    assert "val_loss" in results(chosen)


def test_a_metric_that_the_user_chose_must_be_logged(run: Run, tiny: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"does not log 'val/aurco', only .*val/auroc"):
        run("fit", *tiny, "--checkpoint.monitor", "val/aurco")


def test_a_folder_that_holds_a_run_is_not_overwritten(run: Run, tiny: list[str]) -> None:
    options = [*tiny, "--trainer.default_root_dir", "runs/demo/mine"]
    folder = run("fit", *options)
    before = (folder / "results.json").read_text()
    with pytest.raises(SystemExit, match="holds a run already"):
        run("fit", *options, "--seed_everything", "7")
    tested = run("test", "--config", str(folder / "config.yaml"), "--ckpt_path", "best", *options[-2:])
    assert tested != folder
    assert (folder / "results.json").read_text() == before


def test_averaged_weights_are_the_ones_that_are_judged(run: Run, tiny: list[str]) -> None:
    fitted = run("fit", *tiny, "--config", str(ROOT / "configs" / "presets" / "ema.yaml"))
    config = ["--config", str(fitted / "config.yaml"), "--ckpt_path", "best"]
    assert results(run("test", *config)) | results(run("validate", *config)) == results(fitted)


@pytest.mark.parametrize(
    "options",
    [
        ["--trainer.logger", "false"],
        ["--trainer.enable_checkpointing", "false"],
        ["--trainer.max_steps", "2"],
        ["--trainer.check_val_every_n_epoch", "2"],
        ["--trainer.limit_val_batches", "0"],
        ["--trainer.accumulate_grad_batches", "2"],
        ["--trainer.precision", "bf16-true"],
        ["--trainer.overfit_batches", "1"],
        ["--trainer.log_every_n_steps", "0"],
    ],
)
def test_common_trainer_options_end_in_results(run: Run, tiny: list[str], options: list[str]) -> None:
    assert 0 <= results(run("fit", *tiny, *options))["test/auroc"] <= 1


def test_a_dry_run_leaves_nothing(run: Run, tiny: list[str]) -> None:
    main(["fit", *tiny, "--trainer.fast_dev_run", "true"])
    assert not list(Path.cwd().iterdir())


def test_any_module_may_be_the_net(run: Run, tiny: list[str]) -> None:
    net = {"class_path": "tests.own_module.MeanNet", "init_args": {"scale": 2.0}}
    without_widths = [arg for arg in tiny if arg not in ("--model.init_args.net.init_args.widths", "[4,8]")]
    folder = run("fit", *without_widths, "--model.init_args.net", json.dumps(net))
    assert results(folder)["test/auroc"] > 0


def test_two_processes_count_every_record_once(run: Run, tiny: list[str]) -> None:
    fitted = run("fit", *tiny)
    checkpoint = str(fitted / "checkpoints" / "best.ckpt")
    config = ["--config", str(fitted / "config.yaml"), "--config", str(ROOT / "configs" / "presets" / "ddp.yaml")]
    folder = Path.cwd() / "shared"
    options = ["--ckpt_path", checkpoint, "--trainer.default_root_dir", str(folder)]
    subprocess.run(
        [sys.executable, "-m", "projection", "test", *config, *options],
        check=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
    )
    for name, value in results(folder).items():
        assert value == pytest.approx(results(fitted)[name], abs=1e-6)
    one, two = (pd.read_csv(path / "predictions" / "test.csv") for path in (fitted, folder))
    assert one["ecg_id"].tolist() == two["ecg_id"].tolist()
    pd.testing.assert_frame_equal(one, two, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--config", "missing.yaml"], "File does not exist"),
        (["--config", "DEMO", "--data.pth", "x"], "Option 'pth' is not accepted"),
        (["--config", "DEMO", "--trainr.max_epochs", "1"], "unrecognized arguments: --trainr.max_epochs"),
        (["--config", "DEMO", "--data.task", "everything"], "Expected one of 'all', 'diagnostic'"),
        (["--config", "DEMO", "--model.init_args.net", "projection.models.NoNet"], "no attribute 'NoNet'"),
        (["--config", "DEMO", "--data.path", "none.h5"], "projection convert --source"),
        (["--config", "DEMO", "--ckpt_path", "none.ckpt"], "There is no checkpoint none.ckpt"),
        (["--config", "DEMO", "--data.path", "FILE", "--model.init_args.stride", "0"], "stride must be above 0 s"),
        (["--config", "DEMO", "--data.path", "FILE", "--model.init_args.window", "0"], "window must be above 0 s"),
        (["--config", "DEMO", "--data.path", "FILE", "--data.transforms", MIXUP], "Mixup needs an alpha above 0"),
        (["--config", "DEMO", "--data.test_folds", "[9]"], "in more than one of data.train_folds"),
        ([], "the following arguments are required: fit.model"),
    ],
)
def test_mistakes_give_a_few_readable_lines(
    run: Run, arguments: list[str], told: str, corpus_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {"DEMO": str(ROOT / "configs" / "demo.yaml"), "FILE": str(corpus_file)}
    with pytest.raises(SystemExit) as stopped:
        main(["fit", *(known.get(argument, argument) for argument in arguments), "--trainer.logger", "false"])
    message = capsys.readouterr().err + (stopped.value.code if isinstance(stopped.value.code, str) else "")
    assert told in message
    assert "Traceback" not in message
    assert len(message.splitlines()) < 14
    assert not list(Path.cwd().iterdir())


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    for command in ("fit", "validate", "test", "predict", "download", "synthesize", "convert", "verify", "info"):
        assert command in told


@pytest.mark.parametrize("option", ["--help", "--model.help=ClassificationTask"])
def test_help_is_of_readable_length(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", option])
    told = capsys.readouterr().out
    assert len(told) < 40_000
    assert "torch.nn.LazyLinear" not in told


def test_print_config_shows_every_setting(run: Run, tiny: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["fit", *tiny, "--print_config"])
    config = yaml.safe_load(capsys.readouterr().out)
    assert config["data"]["init_args"]["train_folds"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert config["checkpoint"]["monitor"] == "val/auroc"


@pytest.mark.parametrize("command", ["download", "synthesize", "convert", "verify", "info"])
def test_data_commands_answer_without_importing_torch(command: str) -> None:
    code = (
        "import sys; from projection.__main__ import main\n"
        f"try: main(['{command}', '--help'])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('torch', 'lightning', 'pandas', 'wfdb') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.splitlines()[-1] == "[]"
    assert "usage" in shown
