"""The command that makes a synthetic corpus: its arguments, and what it leaves behind."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from projection import synthetic
from projection.errors import ProjectionError
from projection.synthetic import synthesize

RECORDS = 60  # in two runs of fifty, for two processes


def digest(root: Path) -> dict[str, str]:
    """Hash every file of a corpus."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.thorough
def test_seed_determines_the_corpus_whatever_the_workers(tmp_path: Path, both_rates: Path) -> None:
    synthesize(tmp_path / "two", records=RECORDS, seed=3, workers=2)
    synthesize(tmp_path / "other", records=RECORDS, seed=4, workers=1)
    expected = {name: value for name, value in digest(both_rates).items() if not name.startswith("records500")}
    assert digest(tmp_path / "two") == expected
    other = digest(tmp_path / "other")
    assert all(other[name] != value for name, value in expected.items() if name.endswith(".dat"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"records": 9}, "at least 10"),
        ({"records": 100_000}, "at most 99999"),
        ({"seed": -1}, "--seed"),
        ({"sampling_rates": [100, 250]}, r"\[250\]"),
        ({"sampling_rates": []}, "empty"),
        ({"workers": 0}, "--workers"),
    ],
)
def test_bad_arguments_are_explained(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ProjectionError, match=message):
        synthesize(tmp_path / "corpus", **arguments)
    assert not list(tmp_path.iterdir())


def test_nothing_foreign_is_overwritten(tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.mkdir()
    (foreign / "thesis.tex").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(ProjectionError, match=r"thesis\.tex"):
            synthesize(foreign, records=10, workers=1, overwrite=overwrite)
    with pytest.raises(ProjectionError, match="is a file"):
        synthesize(foreign / "thesis.tex", records=10)
    target = tmp_path / "corpus"
    target.mkdir()
    synthesize(target, records=10, workers=1)
    with pytest.raises(ProjectionError, match="--overwrite true"):
        synthesize(target, records=10, workers=1)
    synthesize(target, records=11, workers=1, overwrite=True)
    assert len((target / "ptbxl_database.csv").read_text().splitlines()) == 12
    assert sorted(path.name for path in tmp_path.iterdir()) == ["corpus", "foreign"]


def test_interrupted_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(root: Path, number: int, rate: int, counts: Any) -> None:
        if number == 7:
            raise KeyboardInterrupt

    monkeypatch.setattr(synthetic, "write_record", interrupt)
    with pytest.raises(KeyboardInterrupt):
        synthesize(tmp_path / "corpus", records=20, workers=1)
    assert not list(tmp_path.iterdir())


def test_import_is_light() -> None:
    heavy = "{'torch', 'pandas', 'wfdb', 'scipy', 'rich', 'h5py'}"
    code = f"import sys, projection.synthetic; assert not {heavy} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])


def test_says_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    synthesize(tmp_path / "corpus", records=10, workers=1)
    *_, made, how = capsys.readouterr().out.strip().splitlines()
    assert f"{tmp_path / 'corpus'}: 10 records" in made
    assert how.strip().startswith("python -m projection convert --source")
