"""What `validate`, `test` and `predict` do with a checkpoint, and which checkpoints they refuse."""

import shutil
from pathlib import Path

import pytest
import torch
import yaml

from projection.corpus.statements import class_names
from projection.tasks import ClassificationTask
from tests.conftest import Run
from tests.run_files import results
from tests.scripted import scripted


@pytest.fixture
def finished(fitted: Path, tmp_path: Path) -> Path:
    """A copy of a finished run, to be judged again."""
    folder: Path = shutil.copytree(fitted, tmp_path / "runs" / "demo" / "1")
    return folder


def of(finished: Path, checkpoint: str = "best") -> list[str]:
    return ["--config", str(finished / "config.yaml"), "--ckpt_path", checkpoint]


@pytest.mark.thorough
def test_judging_repeats_the_scores_of_fit_and_overwrites_nothing(run: Run, finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    tested = run("test", *of(finished, str(finished / "checkpoints" / "best.ckpt")))
    validated, predicted = run("validate", *of(finished)), run("predict", *of(finished))
    assert results(tested) | results(validated) == results(finished)
    assert [folder.parent for folder in (tested, validated, predicted)] == 3 * [finished]
    assert [folder.name.split("-")[0] for folder in (tested, validated, predicted)] == ["test", "validate", "predict"]
    for folder, split in ((tested, "test"), (validated, "val")):
        table = f"predictions/{split}.csv"
        assert (folder / table).read_text() == (finished / table).read_text()
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.thorough
def test_judging_into_a_folder_that_is_taken_goes_beside_it(run: Run, finished: Path) -> None:
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    place = ["--trainer.default_root_dir", str(finished)]
    assert [run("validate", *of(finished), *place).name for _ in range(2)] == ["1-2", "1-3"]
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


@pytest.mark.thorough
def test_best_and_last_are_two_states(run: Run, corpus_file: Path) -> None:
    fit = run("fit", *scripted(corpus_file, "--model.init_args.scores", "[0.6, 0.9, 0.7]"))
    assert [results(run("test", *of(fit, name), "--trust", "true"))["test/epochs"] for name in ("best", "last")] == [
        2,
        3,
    ]


def test_a_model_without_a_checkpoint_is_judged_as_it_begins_and_the_user_is_told(run: Run, corpus_file: Path) -> None:
    with pytest.warns(UserWarning, match="No --ckpt_path: `test` will judge the model with its initial weights"):
        folder = run("test", *scripted(corpus_file))
    assert results(folder) == {"test/batches": 0, "test/epochs": 0, "test/weight": 0}
    assert folder.parent == Path.cwd() / "runs" / "Scripted"
    assert folder.name.startswith("test-")
    assert not (folder.parent / "latest").exists()


def test_where_the_predictions_are_is_told(run: Run, finished: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = run("predict", *of(finished))
    told = capsys.readouterr().out
    assert told.startswith("Predictions: ")
    assert Path(told.removeprefix("Predictions: ").strip()) == folder / "predictions" / "predict.csv"


def test_what_was_typed_wins_over_what_a_checkpoint_remembers(run: Run, finished: Path) -> None:
    # by its path: Lightning would look into a file that it can find
    given = of(finished, str(finished / "checkpoints" / "best.ckpt"))
    folder = run("test", *given, "--model.init_args.aggregation", "mean")
    assert yaml.safe_load((folder / "config.yaml").read_text())["model"]["init_args"]["aggregation"] == "mean"
    assert results(folder)["test/loss"] != results(finished)["test/loss"]


@pytest.mark.thorough
def test_a_checkpoint_of_another_network_or_task_is_refused(run: Run, fitted: Path) -> None:
    with pytest.raises(SystemExit, match=r"not one of the configured model(.|\n)*size mismatch"):
        run("test", *of(fitted), "--model.init_args.net.init_args.widths", "[4,6]")
    with pytest.raises(SystemExit, match=r"learned 5 classes .*, but the data has 12"):
        run("test", *of(fitted), "--data.labels", "rhythm")


@pytest.mark.thorough
def test_a_damaged_checkpoint_is_refused(run: Run, fitted: Path) -> None:
    whole = (fitted / "checkpoints" / "best.ckpt").read_bytes()
    damaged = Path.cwd() / "damaged.ckpt"
    for content in (b"", whole[: len(whole) // 2]):
        damaged.write_bytes(content)
        with pytest.raises(SystemExit, match=r"The checkpoint .* is damaged"):
            run("test", *of(fitted, str(damaged)))


@pytest.mark.thorough
@pytest.mark.parametrize("command", ["test", "fit"])
def test_a_checkpoint_that_runs_code_is_refused(run: Run, fitted: Path, command: str) -> None:
    whole = torch.load(fitted / "checkpoints" / "best.ckpt", weights_only=True)
    torch.save({**whole, "more": Path("/")}, Path.cwd() / "code.ckpt")
    with pytest.raises(SystemExit, match="holds more than tensors"):
        run(command, *of(fitted, "code.ckpt"))
    if command == "test":
        trusted = run("test", *of(fitted, "code.ckpt"), "--weights_only", "false")
        assert results(trusted).items() <= results(fitted).items()


@pytest.mark.thorough
def test_a_checkpoint_of_another_sampling_rate_or_preprocessing_is_refused(run: Run, fitted: Path) -> None:
    checkpoint = torch.load(fitted / "checkpoints" / "best.ckpt", weights_only=True)
    torch.save({**checkpoint, "contract": {**checkpoint["contract"], "sampling_rate": 500}}, Path.cwd() / "other.ckpt")
    with pytest.raises(SystemExit, match="learned from records at 500 Hz, but the data has 100 Hz"):
        run("test", *of(fitted, "other.ckpt"))
    normalise = ["--model.init_args.preprocess", "[{class_path: projection.transforms.Normalise}]"]
    told = r"learned with preprocess: none, but here they are Normalise\(over='record', mean=None, std=None\)"
    with pytest.raises(SystemExit, match=told):
        run("test", *of(fitted, str(fitted / "checkpoints" / "best.ckpt")), *normalise)
    # where fixed transforms were before, nothing is let through in silence
    with pytest.raises(SystemExit, match=r"Normalise belongs to every record .* model\.init_args\.preprocess"):
        run("predict", *of(fitted, str(fitted / "checkpoints" / "best.ckpt")), "--data.transforms+=Normalise")


@pytest.mark.thorough
def test_a_checkpoint_may_be_judged_by_another_loss(run: Run, finished: Path) -> None:
    judged = results(run("test", *of(finished), "--model.loss", "FocalLoss"))
    assert judged["test/auroc"] == results(finished)["test/auroc"]
    assert judged["test/loss"] != results(finished)["test/loss"]


def test_checkpoints_load_without_the_data_and_carry_their_preprocessing(fitted: Path) -> None:
    task = ClassificationTask.load_from_checkpoint(fitted / "checkpoints" / "best.ckpt", weights_only=True)
    assert task.sampling_rate == 100
    assert task.std != 1
    assert task.class_names == class_names("superdiagnostic")
    assert task.eval()(torch.randn(2, 12, 1000)).shape == (2, 5)
