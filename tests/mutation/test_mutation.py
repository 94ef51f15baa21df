"""The mutation tester itself, in a minute: a few mutants of the metrics, by the tests of the metrics."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project in which mutants are tried by the tests of the metrics alone."""
    for name in ("projection", "tests", "configs", "launchers", "containers"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("Makefile", "README.md", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    settings = (ROOT / "pyproject.toml").read_text()
    chosen = re.sub(r"(?s)(pytest_add_cli_args_test_selection) = \[.*?\n\]", r'\1 = ["tests/metrics"]', settings)
    (tmp_path / "pyproject.toml").write_text(chosen)
    return tmp_path


def mutate(project: Path, *words: str) -> str:
    command = [sys.executable, "-m", "tests.mutation", "--area", "metrics", *words]
    environment = {**os.environ, "PYTHONPATH": str(project)}
    done = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


def test_a_sample_of_mutants_is_tried_once_and_reported_by_area(project: Path) -> None:
    said = mutate(project, "--sample", "8")
    metrics = re.search(r"\| metrics \| 8 \| (\d+) \| (\d+) \| [\d.]+% \|", said)
    assert metrics, said
    assert int(metrics[1]) + int(metrics[2]) >= 7
    # what was tried is remembered: nothing but mutmut's own first mutant runs again
    known = {path: path.read_text() for path in project.glob("mutants/projection/metrics/*.meta")}
    assert metrics[0] in mutate(project, "--sample", "8")
    assert all(path.read_text() == text for path, text in known.items() if path.name != "ranking.py.meta")
