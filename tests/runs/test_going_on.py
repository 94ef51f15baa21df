"""A run goes on as it was begun; what is another is told, or refused by name."""

import json
import shutil
from pathlib import Path

import h5py
import pytest

from projection.__main__ import main
from tests.conftest import Run
from tests.run_files import weights
from tests.scripted import scripted


@pytest.fixture
def begun(fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of two epochs, and one that goes on with it would train a third."""
    monkeypatch.chdir(tmp_path)
    return shutil.copytree(fitted, tmp_path / "runs" / "demo" / "1")


def again(run: Path, *words: str, epochs: str = "3") -> None:
    main(["fit", "--config", str(run / "config.yaml"), "--ckpt_path", "last", "--trainer.max_epochs", epochs, *words])


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--model.init_args.optimizer.init_args.lr", "0.1"], r"model\..*\.lr from 0\.005 to 0\.1"),
        (["--data.batch_size", "16"], r"data\.init_args\.batch_size from 32 to 16"),
        (["--data.train_fraction", "0.5"], r"data\.init_args\.train_fraction from 1\.0 to 0\.5"),
        (["--seed_everything", "7"], "seed_everything from 42 to 7"),
        (["--model.init_args.window", "2.5"], r"model\.init_args\.window from 5\.0 to 2\.5"),
        (["--data.train_folds", "[1,2]"], r"data\.init_args\.train_folds from \[1, 2, 3, 4, 5, 6, 7, 8\] to \[1, 2\]"),
    ],
)
def test_what_contradicts_the_state_is_refused_by_name(begun: Path, words: list[str], named: str) -> None:
    before = (begun / "config.yaml").read_text(), (begun / "provenance.json").read_text()
    with pytest.raises(SystemExit, match=rf"cannot go on with another setting than its state was made with: {named}\."):
        again(begun, *words)
    assert ((begun / "config.yaml").read_text(), (begun / "provenance.json").read_text()) == before


@pytest.mark.thorough
def test_other_data_are_refused_and_the_same_elsewhere_are_not(begun: Path, corpus_file: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copy(corpus_file, tmp_path / "copy.h5"))
    with h5py.File(copy, "r+") as file:
        file.attrs["signals_sha256"] = "another"
    with pytest.raises(SystemExit, match=rf"the data \(signals_sha256; {corpus_file} before, {copy} now\)"):
        again(begun, "--data.path", str(copy))
    shutil.copy(corpus_file, copy)
    again(begun, "--data.path", str(copy), "--model.init_args.schedule", "null", "--allow_changes", "true")
    assert json.loads((begun / "provenance.json").read_text())["data"]["path"] == [str(copy)]


def test_another_learning_rate_is_refused(begun: Path) -> None:
    with pytest.raises(SystemExit, match=r"was made with: model\..*\.lr from 0\.005 to 0\.1\."):
        again(begun, "--model.init_args.optimizer.init_args.lr", "0.1")


@pytest.mark.thorough
def test_what_does_no_harm_is_told_and_every_attempt_is_kept(
    run: Run, corpus_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine = scripted(corpus_file, "--trainer.default_root_dir", "mine", "--ckpt_path", "last")
    folder = run("fit", *mine, "--trainer.max_epochs", "1")
    for epochs, clip in (("2", "1.0"), ("3", "2.0")):
        main(["fit", *mine, "--trainer.max_epochs", epochs, "--trainer.gradient_clip_val", clip])
    told = "goes on with other settings: trainer.max_epochs from 2 to 3; trainer.gradient_clip_val from 1.0 to 2.0."
    assert told in caplog.text
    origin = json.loads((folder / "provenance.json").read_text())
    assert origin["changed"] == ["trainer.max_epochs from 2 to 3", "trainer.gradient_clip_val from 1.0 to 2.0"]
    assert [attempt.get("changed", [None])[0] for attempt in origin["attempts"]] == [
        None,
        "trainer.max_epochs from 1 to 2",
    ]
    assert origin["processes"] == 1
    assert len({attempt["started"] for attempt in [origin, *origin["attempts"]]}) > 1
    assert weights(folder / "checkpoints" / "last.ckpt")["batches"] == 12
