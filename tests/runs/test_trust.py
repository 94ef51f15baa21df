"""A run from a stranger runs no code: what it names is refused before it is looked at, or built if it is trusted."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from projection.__main__ import main
from projection.errors import ProjectionError
from projection.runs.trust import check_trust
from tests.conftest import ROOT

THOROUGH = pytest.mark.thorough
TOUCH = "touch pwned"


def named(class_path: str, **arguments: str) -> dict[str, Any]:
    return {"class_path": class_path, "init_args": arguments}


class Evil:
    """What runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("pwned"),)


@pytest.fixture
def stranger(fitted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run folder that came by mail, and a module that lies beside it."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(fitted, tmp_path / "run")
    (tmp_path / "strange_parts.py").write_text(
        "from pathlib import Path\n\nPath('pwned').touch()\n\n\ndef act(*_): ...\n"
    )
    (tmp_path / "run" / "more.txt").write_text(yaml.safe_dump(named("subprocess.getoutput", cmd=TOUCH)))
    return tmp_path / "run"


def changed(run: Path, place: str, value: Any) -> None:
    """Change a setting of a run's configuration, and of its best checkpoint."""
    file = run / "config.yaml"
    settings = yaml.safe_load(file.read_text())
    *way, last = place.split(".")
    part = settings
    for name in way:
        part = part[name]
    part[last] = value
    file.write_text(yaml.safe_dump(settings))
    best = run / "checkpoints" / "best.ckpt"
    content = torch.load(best, weights_only=True)
    if place.startswith("model.init_args.") and last in content["hyper_parameters"]:
        content["hyper_parameters"][last] = value
    torch.save(content, best)


NET, OPTIMIZER = "model.init_args.net", "model.init_args.optimizer"
LAMBDA = "lightning.pytorch.callbacks.LambdaCallback"
WAYS = {
    "an optimizer that is a function": (OPTIMIZER, named("timeit.timeit", stmt=f"import os; os.system('{TOUCH}')")),
    "a net that is a function": (NET, named("subprocess.getoutput", cmd=TOUCH)),
    "a net in a module beside": (NET, named("strange_parts.Net")),
    "a net by a word": (NET, "strange_parts.Net"),
    "a data module": ("data.class_path", "strange_parts.Data"),
    "a callback of functions": ("trainer.callbacks", [named(LAMBDA, on_test_start="strange_parts.act")]),
    "a function that a known module imported": (NET, named("lightning.pytorch.cli.os.system", command=TOUCH)),
    "a checkpoint that may run code": ("weights_only", False),
    "a file of more settings": (NET, "more.txt"),
    "a module of this process": (NET, named("__main__.Net")),
    "a transform": ("model.init_args.preprocess", [named("strange_parts.Filter")]),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("command", ["test", *(pytest.param(name, marks=THOROUGH) for name in ("validate", "predict"))])
def test_what_a_configuration_names_is_refused(stranger: Path, command: str, way: str) -> None:
    changed(stranger, *WAYS[way])
    with pytest.raises(SystemExit) as refused:
        main([command, "--config", str(stranger / "config.yaml"), "--ckpt_path", "best"])
    told = str(refused.value.code)
    assert f"{stranger}/config.yaml names " in told
    assert told.endswith("If you trust its origin, add --trust true.")
    assert not Path("pwned").exists()


def test_a_configuration_of_another_name_is_looked_through_as_well(stranger: Path) -> None:
    changed(stranger, *WAYS["a net that is a function"])
    (stranger / "config.yaml").rename(stranger / "mine.yaml")
    with pytest.raises(SystemExit, match=r"run/mine\.yaml names subprocess\.getoutput"):
        main(["test", "--config", str(stranger / "mine.yaml")])
    assert not Path("pwned").exists()


@pytest.mark.parametrize("way", ["a net that is a function", "a net in a module beside", "a transform"])
def test_what_a_checkpoint_names_is_refused_by_the_report(
    stranger: Path, way: str, capsys: pytest.CaptureFixture[str]
) -> None:
    changed(stranger, *WAYS[way])
    main(["report", str(stranger), "--resamples", "10"])
    assert "could run any code" in Path("report.html").read_text()
    assert not Path("pwned").exists()


def test_a_checkpoint_that_runs_code_is_refused(stranger: Path) -> None:
    best = stranger / "checkpoints" / "best.ckpt"
    torch.save({**torch.load(best, weights_only=True), "more": Evil()}, best)
    with pytest.raises(SystemExit, match="holds more than tensors and plain values, and could run code"):
        main(["test", "--config", str(stranger / "config.yaml"), "--ckpt_path", "best"])
    assert not Path("pwned").exists()


def test_what_is_trusted_is_built(stranger: Path) -> None:
    (stranger.parent / "strange_parts.py").write_text(
        "from projection.nets import CNN1d\n\n\nclass Net(CNN1d):\n    pass\n"
    )
    widths = {"class_path": "strange_parts.Net", "init_args": {"widths": [4, 8]}}
    changed(stranger, "model.init_args.net", widths)
    test = ["test", "--config", str(stranger / "config.yaml"), "--ckpt_path", "best"]
    with pytest.raises(SystemExit, match=r"names strange_parts\.Net, which could run any code"):
        main(test)
    main([*test, "--trust", "true"])
    (tested,) = stranger.glob("test-*/results.json")
    assert "test/auroc" in tested.read_text()


@pytest.mark.parametrize("config", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: path.stem)
def test_what_this_project_ships_is_trusted(config: Path) -> None:
    check_trust(yaml.safe_load(config.read_text()) or {}, "a run")


@pytest.mark.parametrize("text", ["ecgs.h5", "v1.2", "projection.h5", "best.ckpt", "runs/demo/1", "val/auroc"])
def test_names_of_files_are_no_code(text: str) -> None:
    check_trust({"data": {"init_args": {"path": text}}}, "a run")


@pytest.mark.parametrize("text", ["os.system", "torch.hub.load", "lightning.pytorch.cli.os.system", "json.h5"])
def test_what_could_be_imported_is(text: str) -> None:
    with pytest.raises(ProjectionError, match=f"a run names {text}, which could run any code"):
        check_trust({"data": {"init_args": {"path": text}}}, "a run")
