"""What a run leaves behind so that it can be understood and repeated."""

import importlib.metadata
import platform
import shutil
import signal
import sys
from datetime import datetime
from pathlib import Path

import h5py
import pytest
import yaml

from projection.corpus.store import open_store
from tests.conftest import Run
from tests.scripted import callback, scripted


def written(folder: Path, name: str = "provenance.json") -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = yaml.safe_load((folder / name).read_text())
    return found


def test_provenance_tells_command_versions_code_and_data(
    run: Run, corpus_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/projection", "fit", "--and", "more"])
    before = datetime.now().astimezone().replace(microsecond=0)
    told = written(run("fit", *scripted(corpus_file, "--trainer.max_epochs", "1")))
    assert told["command"] == ["projection", "fit", "--and", "more"]
    assert before <= datetime.fromisoformat(str(told["started"])) <= datetime.now().astimezone()
    assert told["python"] == platform.python_version()
    for name in ("torch", "lightning", "jsonargparse", "torchmetrics", "numpy", "h5py", "wfdb"):
        assert told["versions"][name] == importlib.metadata.version(name)
    attributes = open_store(corpus_file).attributes
    facts = {name: [str(attributes[name])] for name in ("signals_sha256", "tables_sha256", "source", "schema_version")}
    assert told["data"].items() >= {"path": [str(corpus_file.resolve())], **facts}.items()


@pytest.mark.thorough
def test_provenance_names_each_of_several_files(run: Run, corpus_file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.h5"
    shutil.copy(corpus_file, other)
    with h5py.File(other, "r+") as file:
        file["records/ecg_id"][...] += 1_000_000
        file["records/patient_id"][...] += 1_000_000
        file.attrs["signals_sha256"] = "another"
    files = ["--data.path", f"[{corpus_file}, {other}]"]
    folder = run("fit", *scripted(corpus_file, *files, "--trainer.max_epochs", "1"))
    data, config = written(folder)["data"], written(folder, "config.yaml")
    assert config["data"]["init_args"]["path"] == [str(corpus_file), str(other)]
    assert data["path"] == [str(corpus_file.resolve()), str(other.resolve())]
    assert data["signals_sha256"] == [open_store(corpus_file).attributes["signals_sha256"], "another"]


@pytest.mark.thorough
def test_a_record_keeps_what_repeats_a_run_but_not_its_place(run: Run, corpus_file: Path) -> None:
    place = ["--trainer.default_root_dir", "mine"]
    options = ["--seed_everything", "7", "--trainer.max_epochs", "1"]
    config = written(run("fit", *scripted(corpus_file, *options, *place, "--ckpt_path", "last")), "config.yaml")
    assert config["trainer"]["default_root_dir"] is config["ckpt_path"] is config["checkpoint"]["dirpath"] is None
    assert {"seed_everything": 7, "weights_only": True}.items() <= config.items()
    assert config["data"]["init_args"]["path"] == str(corpus_file)  # type: ignore[index]
    begun = str(Path("mine/checkpoints/last.ckpt").resolve())
    again = ["--trainer.max_epochs", "2", "--trainer.default_root_dir", "other"]
    assert (
        written(run("fit", *scripted(corpus_file, *again), "--ckpt_path", begun), "config.yaml")["ckpt_path"] == begun
    )


@pytest.mark.thorough
def test_the_newest_training_is_the_latest_and_judging_it_is_not(run: Run, corpus_file: Path) -> None:
    folder = run("fit", *scripted(corpus_file, "--trainer.max_epochs", "1"))
    latest = folder.parent / "latest"
    assert latest.resolve() == folder
    options = ["--trainer.default_root_dir", str(folder.parent / "tested")]
    run("test", "--config", str(folder / "config.yaml"), "--ckpt_path", "best", "--trust", "true", *options)
    assert latest.resolve() == folder


@pytest.mark.thorough
def test_a_training_that_broke_off_in_its_first_batch_leaves_nothing(run: Run, tiny: list[str], tmp_path: Path) -> None:
    options = ["--trainer.max_epochs", "1", "--trainer.limit_train_batches", "2"]
    folder = run("fit", *tiny, *options)
    wrong = ["--model.init_args.net", '{"class_path": "torch.nn.Conv1d", "init_args": {"kernel_size": 1}}']
    new, there = tmp_path / "new" / "run", tmp_path / "there"
    there.mkdir()
    with pytest.raises(SystemExit, match=r"none\.ckpt"):
        run("fit", *tiny, *options, "--model.init_args.init_from", "none.ckpt")
    for place in ([], ["--trainer.default_root_dir", str(new)], ["--trainer.default_root_dir", str(there)]):
        with pytest.raises(SystemExit, match="Conv1d is to give logits"):
            run("fit", *tiny, *options, *place, *wrong)
    assert [found.name for found in folder.parent.glob("2*")] == [folder.name]
    assert (folder.parent / "latest").resolve() == folder.resolve()
    assert there.is_dir()
    assert not new.exists()


def test_a_training_that_broke_off_later_is_kept(run: Run, corpus_file: Path) -> None:
    with pytest.raises(SystemExit):
        run("fit", *scripted(corpus_file, *callback("Signal", number=signal.SIGTERM, batches=1)))
    (latest,) = Path("runs").rglob("latest")
    assert (latest / "config.yaml").exists()


@pytest.mark.thorough
def test_tensorboard_shows_the_configuration(run: Run, corpus_file: Path) -> None:
    folder = run("fit", *scripted(corpus_file, "--trainer.max_epochs", "1", "--seed_everything", "7"))
    hyperparameters = yaml.safe_load((folder / "tensorboard" / "hparams.yaml").read_text())
    assert hyperparameters == written(folder, "config.yaml")
