"""Tables of predictions: each row is of its own record, whoever computed it."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Trainer
from sklearn.metrics import average_precision_score, roc_auc_score
from torch.utils.data import DataLoader

from projection.__main__ import main
from projection.corpus.statements import class_names
from projection.corpus.store import open_store
from projection.data.datamodule import PTBXLDataModule
from projection.errors import ProjectionError
from projection.messages import readable_errors
from projection.tasks import ClassificationTask
from projection.training import PredictionWriter
from tests.building import build
from tests.conftest import ROOT, Run
from tests.own_module import MeanModel, TwoLeads
from tests.processes import command, on_ranks
from tests.run_files import results, weights
from tests.scripted import scripted

CLASSES = list(class_names("superdiagnostic"))
LABELS = [f"label_{name}" for name in CLASSES]


def judged(fitted: Path, checkpoint: str = "best") -> list[str]:
    return ["--config", str(fitted / "config.yaml"), "--ckpt_path", str(fitted / "checkpoints" / f"{checkpoint}.ckpt")]


def expected(fitted: Path, corpus_file: Path, ids: Iterable[int]) -> np.ndarray:
    """Compute probabilities record by record, from the samples in the file."""
    task = ClassificationTask.load_from_checkpoint(fitted / "checkpoints" / "best.ckpt", weights_only=True).eval()
    store = open_store(corpus_file)
    rows = {int(ecg_id): row for row, ecg_id in enumerate(store.tables.records["ecg_id"])}
    samples = np.stack([store.signals()[rows[int(ecg_id)]] for ecg_id in ids]).astype(np.float32)
    with torch.no_grad():
        return torch.sigmoid(task(torch.from_numpy(samples / np.float32(store.gain)))).numpy()


def labels_by_id(corpus_file: Path, fold: int) -> dict[int, list[int]]:
    """List the labelled records of a fold."""
    data = PTBXLDataModule(corpus_file, labels="superdiagnostic")
    data.setup("test")
    labels = data.data_set.labels("superdiagnostic")
    known = np.flatnonzero((data.data_set.folds == fold) & labels.any(axis=1))
    return {int(data.data_set.ids[row]): labels[row].tolist() for row in known}


@pytest.mark.parametrize(("split", "fold"), [("val", 9), ("test", 10)])
def test_each_row_holds_the_best_model_s_probabilities_and_the_labels_of_its_own_record(
    fitted: Path, corpus_file: Path, split: str, fold: int
) -> None:
    table = pd.read_csv(fitted / "predictions" / f"{split}.csv")
    assert list(table) == ["ecg_id", *CLASSES, *LABELS]
    labels = labels_by_id(corpus_file, fold)
    assert table["ecg_id"].tolist() == sorted(labels)
    assert table[LABELS].to_numpy().tolist() == [labels[ecg_id] for ecg_id in table["ecg_id"]]
    np.testing.assert_allclose(table[CLASSES], expected(fitted, corpus_file, table["ecg_id"]), atol=1e-6)


def test_stored_predictions_give_the_reported_scores(fitted: Path) -> None:
    for split in ("val", "test"):
        table = pd.read_csv(fitted / "predictions" / f"{split}.csv")
        truth, scores = table[LABELS].to_numpy(), table[CLASSES].to_numpy()
        both = [column for column in range(len(CLASSES)) if 0 < truth[:, column].mean() < 1]
        for metric, score in (("auroc", roc_auc_score), ("average_precision", average_precision_score)):
            macro = np.mean([score(truth[:, column], scores[:, column]) for column in both])
            assert results(fitted)[f"{split}/{metric}"] == pytest.approx(macro, abs=1e-6)


@pytest.mark.thorough
def test_probabilities_of_logits_that_differ_differ(corpus_file: Path, run: Run, tiny: list[str]) -> None:
    # in single precision all of these are 1
    sure = ["--model.init_args.net", '{"class_path": "tests.own_module.SureNet"}', "--trainer.max_epochs", "1"]
    folder = run(
        "fit", *[word for word in tiny if word not in ("--model.init_args.net.init_args.widths", "[4,8]")], *sure
    )
    scores = pd.read_csv(folder / "predictions" / "test.csv")["NORM"]
    assert (scores.astype(np.float32) == 1).all()
    assert scores.nunique() == len(scores)


@pytest.mark.thorough
@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_predict_writes_a_row_for_every_record_of_the_test_folds(
    run: Run, fitted: Path, corpus_file: Path, tmp_path: Path, file_format: str
) -> None:
    place = ["--trainer.default_root_dir", str(tmp_path / "predicted")]
    folder = run("predict", *judged(fitted), "--predictions.format", file_format, "--data.batch_size", "7", *place)
    (path,) = (folder / "predictions").iterdir()
    assert path.name == f"predict.{file_format}"
    table = pd.read_csv(path) if file_format == "csv" else pd.read_parquet(path)
    assert list(table) == ["ecg_id", *CLASSES]
    records = open_store(corpus_file).tables.records
    assert table["ecg_id"].tolist() == sorted(records["ecg_id"][records["strat_fold"] == 10])
    np.testing.assert_allclose(table[CLASSES], expected(fitted, corpus_file, table["ecg_id"]), atol=1e-6)


@pytest.mark.thorough
def test_a_model_that_gives_no_probabilities_leaves_no_table(run: Run, corpus_file: Path) -> None:
    folder = run("fit", *scripted(corpus_file, "--trainer.limit_train_batches", "1"))
    assert not (folder / "predictions").exists()


OWN = ["--model", "tests.own_module.MeanModel", "--data", "tests.own_module.TwoLeads", "--trainer.accelerator", "cpu"]


def test_any_model_that_gives_probabilities_is_judged_on_any_data(run: Run) -> None:
    folder = run(
        "fit", *OWN, "--trainer.max_epochs", "1", "--checkpoint.monitor", "val/loss", "--checkpoint.mode", "min"
    )
    model = MeanModel()
    model.load_state_dict(weights(folder / "checkpoints" / "best.ckpt"))
    for split, first in (("val", 1), ("test", 2)):
        table = pd.read_csv(folder / "predictions" / f"{split}.csv")
        x, y = TwoLeads().loader(first).dataset.tensors
        assert list(table) == ["row", "class_0", "class_1", "label_class_0", "label_class_1"]
        assert table["row"].tolist() == list(range(80))
        np.testing.assert_array_equal(table[["label_class_0", "label_class_1"]], y)
        np.testing.assert_allclose(table[["class_0", "class_1"]], model(x).sigmoid().detach(), atol=1e-6)
    # places say nothing across splits: row 0 is another record in each
    main(["evaluate", str(folder), "--resamples", "20"])
    found = json.loads((folder / "evaluation.json").read_text())
    assert found["summary"]["auroc"] == pytest.approx(roc_auc_score(y, model(x).detach()), abs=1e-6)
    main(["report", str(folder), "--resamples", "20", "--output", "page.html"])
    assert "class_1" in Path("page.html").read_text()


class Named(TwoLeads):
    """Names its records, or gives something else beside signals and labels."""

    third: Any = None

    def loader(self, first: int) -> Any:
        x, y = super().loader(first).dataset.tensors
        batches = [(x[start : start + 8], y[start : start + 8], self.third(start)) for start in range(0, 80, 8)]
        return DataLoader(batches, batch_size=None)


@pytest.mark.parametrize(
    ("third", "column"),
    [
        (lambda start: torch.arange(start, start + 8) + 500, "ecg_id"),
        (lambda start: [f"file {number}" for number in range(8)], "row"),
        (lambda start: torch.rand(8), "row"),
        (lambda start: torch.zeros(8, 2).long(), "row"),
        (lambda start: {"age": torch.zeros(8)}, "row"),
    ],
)
def test_whole_numbers_beside_a_batch_name_its_records_and_nothing_else_does(
    tmp_path: Path, third: Any, column: str
) -> None:
    data, writer = Named(), PredictionWriter()
    data.third = third
    quiet = {"logger": False, "enable_progress_bar": False, "accelerator": "cpu", "callbacks": [writer]}
    Trainer(default_root_dir=tmp_path, **quiet).test(MeanModel(), datamodule=data, verbose=False)
    table = pd.read_csv(tmp_path / "predictions" / "test.csv")
    assert table[column].tolist() == list(range(500, 580) if column == "ecg_id" else range(80))


def test_ids_that_repeat_leave_no_table(tmp_path: Path) -> None:
    data, writer = Named(), PredictionWriter()
    data.third = lambda start: torch.arange(8)
    quiet = {"logger": False, "enable_progress_bar": False, "accelerator": "cpu", "callbacks": [writer]}
    with pytest.warns(UserWarning, match="No predictions are written: the ids of batches name some records more than"):
        Trainer(default_root_dir=tmp_path, **quiet).test(MeanModel(), datamodule=data, verbose=False)
    assert writer.path is None


def test_a_table_that_no_command_would_take_is_told_of_at_the_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Logits(MeanModel):
        def test_step(self, batch: Any, batch_idx: int) -> Any:
            return 2 + super().test_step(batch, batch_idx)

    cli = build("test", *OWN)
    (writer,) = (call for call in cli.trainer.callbacks if isinstance(call, PredictionWriter))
    quiet = {"logger": False, "enable_progress_bar": False, "accelerator": "cpu", "callbacks": [writer]}
    with pytest.warns(UserWarning, match="The steps return numbers beyond 0 and 1, which `evaluate` refuses"):
        Trainer(default_root_dir=tmp_path, **quiet).test(Logits(), datamodule=TwoLeads(), verbose=False)
    cli.after_predict()
    assert "test.csv (numbers beyond 0 and 1, which `evaluate` refuses: steps are to" in capsys.readouterr().out


def test_labels_that_are_no_classes_leave_no_table(tmp_path: Path) -> None:
    class Graded(TwoLeads):
        def loader(self, first: int) -> Any:
            x, y = super().loader(first).dataset.tensors
            return DataLoader([(x, y / 2)], batch_size=None)

    writer = PredictionWriter()
    quiet = {"logger": False, "enable_progress_bar": False, "accelerator": "cpu", "callbacks": [writer]}
    Trainer(default_root_dir=tmp_path, **quiet).test(MeanModel(), datamodule=Graded(), verbose=False)
    assert writer.path is None
    assert not (tmp_path / "predictions").exists()


def test_data_of_the_user_s_own_have_their_own_defaults(run: Run) -> None:
    assert build("fit", *OWN).datamodule.given == ("nowhere", 32, 3)


def test_what_an_experiment_says_of_other_data_is_handed_on_or_left_out_and_told(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    built = build("fit", "--config", str(ROOT / "configs" / "demo.yaml"), *OWN)
    assert built.datamodule.given == ("data/demo_100hz.h5", 64, 3)
    told = (
        "tests.own_module.TwoLeads has taken: data.batch_size=64, data.path=data/demo_100hz.h5; left out: data.labels."
    )
    assert told in caplog.text
    caplog.clear()
    build("fit", "--config", str(ROOT / "configs" / "demo.yaml"))
    Path("own.yaml").write_text("data: {class_path: tests.own_module.TwoLeads, init_args: {batch_size: 8}}\n")
    build("fit", "--config", "own.yaml", *OWN[:2])
    assert "other data" not in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["test", "predict"])
def test_two_processes_give_the_table_and_the_scores_of_one(fitted: Path, tmp_path: Path, stage: str) -> None:
    folder = tmp_path / "shared"
    options = ["--trainer.default_root_dir", str(folder), "--data.batch_size", "4"]
    ddp = ["--config", str(ROOT / "configs" / "presets" / "ddp.yaml"), "--trainer.accelerator", "cpu"]
    for ended in on_ranks(tmp_path, 2, command, stage, *judged(fitted), *ddp, *options):
        assert ended.status == 0, ended.said
    one = pd.read_csv(fitted / "predictions" / "test.csv")
    two = pd.read_csv(folder / "predictions" / f"{stage}.csv")
    assert len(two) % 2, "ranks with as many records each would prove less"
    if stage == "predict":  # covers records without labels too
        two = two.set_index("ecg_id").loc[one["ecg_id"]].reset_index()
        one = one[["ecg_id", *CLASSES]]
    else:
        for name, value in results(folder).items():
            assert value == pytest.approx(results(fitted)[name], abs=1e-6)
    pd.testing.assert_frame_equal(one, two, atol=1e-6)


def test_of_records_that_several_processes_share_by_a_foreign_loader_nothing_is_written() -> None:
    # its sampler deals some of them out twice
    trainer = SimpleNamespace(world_size=2, test_dataloaders=DataLoader([1]), fast_dev_run=False)
    with pytest.warns(UserWarning, match="several processes share the records of a foreign loader"):
        PredictionWriter().on_test_epoch_start(trainer, MeanModel())  # type: ignore[arg-type]


def test_ids_that_are_no_whole_numbers_are_not_dropped_without_a_word() -> None:
    writer, trainer = (
        PredictionWriter(),
        SimpleNamespace(world_size=1, test_dataloaders=DataLoader([1]), fast_dev_run=False, datamodule=None),
    )
    writer.on_test_epoch_start(trainer, MeanModel())  # type: ignore[arg-type]
    outputs = torch.zeros(2, 3)
    with pytest.warns(UserWarning, match="numbered by row: a batch's ids are to be a tensor of whole numbers"):
        writer.on_test_batch_end(trainer, MeanModel(), outputs, (outputs, outputs, ["W1", "W2"]), 0)  # type: ignore[arg-type]


def test_a_model_that_cannot_predict_a_batch_is_told_to_define_how() -> None:
    cli = build("predict", *OWN, "--model", "tests.own_module.TutorialModel")
    with pytest.warns(UserWarning, match=r"TutorialModel has no predict_step, so its forward is given whole batches"):
        cli.before_predict()
    cli = build("predict", "--model", "tests.own_module.TutorialModel", "--trainer.accelerator", "cpu")
    with pytest.raises(ProjectionError, match=r"TutorialModel has no predict_step, .* \(x, y, ids\)"):
        cli.before_predict()


def test_windows_are_told_when_a_training_begins(run: Run, tiny: list[str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    run("fit", *tiny, "--trainer.max_epochs", "1", "--model.window", "2", "--model.stride", "0.5")
    told = "training sees 2 s of a record, and a record is judged by the max over windows every 0.5 s"
    assert told in caplog.text


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("The DataLoader implementation has an error where ...", "DataLoader(data, batch_size=64)"),
        ("No supported gpu backend found!", "DEVICE=cpu for a launcher"),
    ],
)
def test_what_lightning_says_is_completed_by_what_to_do(said: str, told: str) -> None:
    with pytest.raises(ProjectionError, match=re.escape(said)) as refused, readable_errors():
        raise MisconfigurationException(said)
    assert told in str(refused.value)
