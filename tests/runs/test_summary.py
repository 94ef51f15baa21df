"""The table at the end of a run."""

import json
import math
import sys
from pathlib import Path

import pytest

from projection.runs.summary import report
from tests.launchers.conftest import executable

VALUES = {"test/loss": 0.25, "val/auroc": 0.98765, "test/auroc": math.nan, "own": math.inf, "other/thing": 2.0}


def test_results_are_json_in_the_order_of_names_whatever_was_logged(tmp_path: Path) -> None:
    report(tmp_path / "run", VALUES)
    text = (tmp_path / "run" / "results.json").read_text()
    found = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert list(found.items()) == [
        ("other/thing", 2.0),
        ("own", None),
        ("test/auroc", None),
        ("test/loss", 0.25),
        ("val/auroc", 0.98765),
    ]


def test_the_table_has_a_row_for_each_metric_and_a_column_for_each_split(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report(tmp_path, VALUES)
    lines = capsys.readouterr().out.splitlines()
    cells = [[cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in lines if "│" in line]
    assert cells == [
        ["auroc", "0.9877", "nan", ""],
        ["loss", "", "0.2500", ""],
        ["other/thing", "", "", "2.0000"],
        ["own", "", "", "inf"],
    ]
    (header,) = [line for line in lines if "metric" in line]
    assert [cell.strip() for cell in header.strip("┃").split("┃")] == ["metric", "validation", "test", "value"]


def test_the_folder_is_told_and_tensorboard_only_where_it_was_written_and_as_it_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    report(tmp_path, {})
    assert capsys.readouterr().out == f"Run folder:  {tmp_path}\n"
    (tmp_path / "tensorboard").mkdir()
    for name in ("on_the_path", ".venv"):
        executable(tmp_path / name / "tensorboard", "#!/bin/sh\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "python"))
    for path, command in (("on_the_path", "tensorboard"), ("nowhere", ".venv/tensorboard")):
        monkeypatch.setenv("PATH", str(tmp_path / path))
        report(tmp_path, {})
        assert capsys.readouterr().out == f"Run folder:  {tmp_path}\nTensorBoard: {command} --logdir {tmp_path}\n"
