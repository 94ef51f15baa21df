import gc
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from projection.__main__ import main
from projection.corpus.convert import convert
from projection.synthetic import synthesize
from tests.raw import Raw, read_raw

ROOT = Path(__file__).parents[1]

# first calls import lazily, and the machine may be busy: time says nothing here
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


# PyTorch and Lightning are a million objects that stay: looking through them for garbage took a fifth of the time
gc.disable()


# files of tests that share what takes minutes to make
TOGETHER = {"tests/launchers/test_images.py": "images", "tests/launchers/sagemaker/test_image.py": "images"}


class ByFile(LoadScopeScheduling):
    """Gives the tests of a file to one process, where its fixtures are made once."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return TOGETHER.get(file, file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    return ByFile(config, log)


def pytest_collection_finish() -> None:
    gc.collect()
    gc.freeze()
    gc.enable()


# what launchers, clusters, shells and a make that runs the tests set
SURROUNDINGS = (
    *("PROJECTION_", "SLURM_", "TORCHELASTIC_", "TRAINING_JOB_NAME", "SM_", "WANDB_", "PL_"),
    *("MAKE", "MFLAGS", "ARGS", "EXP"),
)


@pytest.fixture(autouse=True, scope="session")
def _same_everywhere() -> Iterator[None]:
    """Make tests alike on a desk, within a job of a cluster and in a narrow terminal."""
    torch.set_num_threads(1)  # the tests run in as many processes as there are cores
    signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell ignores for what it runs in the background
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ:
            if name.startswith(SURROUNDINGS):
                patch.delenv(name)
        patch.setenv("COLUMNS", "100")
        patch.setenv("WANDB_MODE", "offline")
        patch.setenv("WANDB_SILENT", "true")
        yield


@pytest.fixture(autouse=True)
def _same_in_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)  # trainings leave their seed behind


@pytest.fixture(scope="session")
def ptbxl() -> Path:
    """The real PTB-XL, or a part of it, in its official layout."""
    candidates = [os.environ.get("PTBXL_ROOT"), ROOT / "data" / "ptbxl", ROOT.parent / "shared" / "ptbxl"]
    for candidate in candidates:
        if candidate and (Path(candidate) / "ptbxl_database.csv").is_file():
            return Path(candidate)
    pytest.skip("no real PTB-XL: set PTBXL_ROOT to its folder")


@pytest.fixture(scope="session")
def ptbxl_file(ptbxl: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ptbxl") / "ptbxl_100hz.h5"
    convert(ptbxl, path)
    return path


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small synthetic corpus."""
    path = tmp_path_factory.mktemp("corpus") / "synthetic"
    synthesize(path, records=160, workers=1)
    return path


@pytest.fixture(scope="session")
def corpus_file(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("file") / "corpus_100hz.h5"
    convert(corpus, path, workers=1)
    return path


@pytest.fixture(scope="session")
def raw(corpus: Path) -> Raw:
    """The synthetic corpus as its files say."""
    return read_raw(corpus)


@pytest.fixture(scope="session")
def both_rates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus at 100 and 500 Hz."""
    folder = tmp_path_factory.mktemp("rates") / "corpus"
    synthesize(folder, records=60, seed=3, sampling_rates=[100, 500], workers=1)
    return folder


Run = Callable[..., Path]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a trainer command in an empty directory; give its run folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["projection"])

    def run_command(command: str, *args: str) -> Path:
        before = set(tmp_path.rglob("config.yaml"))
        main([command, *args])
        (written,) = set(tmp_path.rglob("config.yaml")) - before
        return written.parent

    return run_command


@pytest.fixture(scope="session")
def fitted(tiny: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of the tiny demo on the superdiagnostic classes, for tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("fitted") / "runs" / "demo" / "1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["projection"])
        main(["fit", *tiny, "--data.labels", "superdiagnostic", "--trainer.default_root_dir", str(folder)])
    return folder


@pytest.fixture(scope="session")
def tiny(corpus_file: Path) -> list[str]:
    """Arguments that make the demo experiment tiny."""
    config = ["--config", str(ROOT / "configs" / "demo.yaml"), "--data.path", str(corpus_file)]
    quick = ["--trainer.max_epochs", "2", "--data.batch_size", "32", "--trainer.enable_progress_bar", "false"]
    small = ["--model.init_args.net.init_args.widths", "[4,8]", "--trainer.enable_model_summary", "false"]
    return [*config, *quick, *small, "--trainer.accelerator", "cpu", "--trainer.log_every_n_steps", "1"]
