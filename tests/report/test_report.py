"""The command `report`: what is on the page, what is refused, and what is said where something is missing."""

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path

import h5py
import pytest
import yaml

from projection.__main__ import main
from projection.report.about import names_of
from projection.report.tables import CLASSES, SUMMARY
from tests.evaluation.made_up import made_up, write
from tests.report.conftest import Report, Tables

SECTIONS = ("results", "learning", "curves", "calibration", "confusion", "subgroups", "records", "configuration")


def test_the_numbers_are_those_of_evaluate(trained: Path, report: Report, capsys: pytest.CaptureFixture[str]) -> None:
    page = report(trained)
    main(["evaluate", str(trained), "--resamples", "20"])
    found = json.loads((trained / "evaluation.json").read_text())
    tables = Tables(page).found
    summary = dict(
        row[:2]
        for row in tables["Means over classes, test folds; thresholds and temperature from the validation folds"]
    )
    expected = found["summary"]
    interval = f"{expected['auroc']:.4f} [{expected['auroc_low']:.4f}, {expected['auroc_high']:.4f}]"
    assert summary["AUROC [95% interval]"] == interval
    assert interval in capsys.readouterr().out
    assert set(SUMMARY) | {"auroc", "auroc_low", "auroc_high"} == set(expected)
    for key, title in SUMMARY.items():
        assert summary[title] == f"{expected[key]:.4f}"
    rows = {row[0]: row for row in tables["Each class, test folds"]}
    for name, row in found["classes"].items():
        texts = ["-" if row[key] is None else f"{row[key]:.{0 if key == 'positives' else 3}f}" for key in CLASSES]
        assert rows[name] == [name, *texts]
    groups = {row[0]: row for row in tables["AUROC in subgroups of the test records"]}
    for group in found["subgroups"]:
        assert groups[f"{group['attribute']}: {group['group']}"][1] == f"{group['records']:,}"
        if group["auroc"] is not None:
            assert groups[f"{group['attribute']}: {group['group']}"][3] == f"{group['auroc']:.3f}"


def test_a_page_is_whole_by_itself(trained: Path, report: Report) -> None:
    page = report(trained)
    assert len(page) < 3e6
    assert not re.search(r"https?:|src=|@import|url\(|<script|<link(?! rel=\"icon\" href=\"data:,\")", page)
    assert set(re.findall(r'href="([^"]*)"', page)) == {"data:,", "#ecg-paper", *(f"#{name}" for name in SECTIONS)}
    for name in SECTIONS:
        assert f'<section id="{name}">' in page
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    drawings = re.findall(r"<svg[^>]*>", page)
    assert len(drawings) > 20
    assert all("aria-label=" in each or "aria-hidden=" in each for each in drawings)
    assert "Attributed is the logit of" in page
    assert 'class="missing"' not in page


def test_text_of_others_is_escaped(trained: Path, corpus_file: Path, report: Report, tmp_path: Path) -> None:
    hostile = '<script>alert("1")</script><img src=x onerror=alert(2)>'
    data = tmp_path / "hostile.h5"
    shutil.copyfile(corpus_file, data)
    with h5py.File(data, "r+") as file:
        for column in ("report", "device"):
            file[f"records/{column}"][...] = hostile
    config = yaml.safe_load((trained / "config.yaml").read_text())
    config["data"]["init_args"]["path"] = str(data)
    (trained / "config.yaml").write_text(f"# {hostile}\n{yaml.safe_dump(config)}")
    provenance = json.loads((trained / "provenance.json").read_text())
    (trained / "provenance.json").write_text(json.dumps({**provenance, "git": hostile}))
    page = report(trained, "--attribution", "false")
    assert "&lt;script&gt;alert(&#34;1&#34;)" in page
    assert not re.search(r"<script|<img|<b>run", page)


def test_runs_lie_side_by_side(trained: Path, report: Report, tmp_path: Path) -> None:
    other = shutil.copytree(trained, tmp_path / "other")
    text = (other / "config.yaml").read_text().replace("batch_size: 32", "batch_size: 64")
    (other / "config.yaml").write_text(text)
    page = report(trained, other, "--cases", "0")
    tables = Tables(page).found
    assert ["data.init_args.batch_size", "32", "64"] in tables["Settings that differ"]
    assert "Difference +0.0000 [+0.0000, +0.0000], p = 1.000" in page
    assert tables["AUROC of each class"][0] == ["class", "records with it", *names_of([trained, other]), "mean", "s.d."]
    assert "none were asked for" in page


@pytest.mark.parametrize(
    ("folders", "names"),
    [
        (["/r/task/net/0"], ["task/net/0"]),
        (["/r/task/net/0", "/r/task/net/1"], ["net/0", "net/1"]),
        (["/r/task/net/0", "/r/task/other/1"], ["net/0", "other/1"]),
        (["/r/x", "/r/r/x"], ["r/x", "r/r/x"]),
        (["/x", "/y"], ["x", "y"]),
    ],
)
def test_runs_are_named_by_what_tells_them_apart(folders: list[str], names: list[str]) -> None:
    assert names_of([Path(folder) for folder in folders]) == names


def test_what_is_missing_is_named(trained: Path, report: Report, tmp_path: Path) -> None:
    (trained / "checkpoints" / "best.ckpt").write_bytes(b"no checkpoint")
    assert "best.ckpt is damaged, or no checkpoint at all" in report(trained)
    (trained / "checkpoints" / "best.ckpt").unlink()
    page = report(trained)
    assert re.search(r"What the model looked at is not shown: there is no .*best.ckpt", page)
    assert "Electrocardiogram of record" in page
    shutil.rmtree(trained / "metrics")
    config = (trained / "config.yaml").read_text()
    (trained / "config.yaml").write_text(re.sub(r"path: .*\.h5", "path: gone.h5", config))
    provenance = (trained / "provenance.json").read_text()
    (trained / "provenance.json").write_text(re.sub(r'"[^"]*\.h5"', '"gone.h5"', provenance))
    page = report(trained)
    assert "No records are drawn: There is no file gone.h5" in page
    assert "There are no subgroups" in page
    assert "Nothing was logged" in page
    (trained / "config.yaml").unlink()
    (trained / "provenance.json").unlink()
    assert "There is no config.yaml in the run folder" in report(trained)


def test_a_model_of_a_user_s_own_is_shown_without_attribution(trained: Path, report: Report) -> None:
    config = yaml.safe_load((trained / "config.yaml").read_text())
    config["model"] = {"class_path": "tests.own_module.TutorialModel"}
    (trained / "config.yaml").write_text(yaml.safe_dump(config))
    assert "not shown: the model is TutorialModel, and only of ClassificationTask" in report(trained)
    config["model"] = {"class_path": "nowhere.Model"}
    (trained / "config.yaml").write_text(yaml.safe_dump(config))
    assert "its configuration does not build a model here" in report(trained)


def test_a_run_without_predictions_shows_what_it_has(trained: Path, report: Report) -> None:
    shutil.rmtree(trained / "predictions")
    page = report(trained)
    assert "There are no predictions in" in page
    assert "Learning curve: loss" in page
    assert 'id="curves"' not in page


def test_runs_that_cannot_be_shown_are_refused(trained: Path, tmp_path: Path) -> None:
    output = ["--output", str(tmp_path / "page.html")]
    with pytest.raises(SystemExit, match="it is no run folder"):
        main(["report", str(tmp_path), *output])
    write(tmp_path / "other", "val", made_up(1.0))
    write(tmp_path / "other", "test", made_up(1.0))
    with pytest.raises(SystemExit, match="different classes"):
        main(["report", str(trained), str(tmp_path / "other"), *output])
    with pytest.raises(SystemExit, match="given twice"):
        main(["report", str(trained), str(trained), *output])
    with pytest.raises(SystemExit, match=r"No class of .* is named AFIB"):
        main(["report", str(trained), "--classes", "[AFIB]", "--resamples", "5", *output])
    (trained / "config.yaml").write_text("a: [")
    with pytest.raises(SystemExit, match=r"config.yaml or provenance.json of .* is damaged"):
        main(["report", str(trained), *output])
    (trained / "config.yaml").write_text("nothing")
    with pytest.raises(SystemExit, match="is not what `fit` wrote"):
        main(["report", str(trained), *output])
    assert not (tmp_path / "page.html").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--output", "."], "is a folder: name the page"),
        (["--output", "nowhere/page.html"], "There is no folder"),
        (["--cases", "-1"], "cases is 0 or more"),
        (["--resamples", "0"], "resamples is 1 or more"),
    ],
)
def test_settings_out_of_range_are_refused(tmp_path: Path, words: list[str], said: str) -> None:
    with pytest.raises(SystemExit, match=said):
        main(["report", str(tmp_path), *words])


def test_a_page_is_written_whole_or_not_at_all(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "page.html"
    page.write_text("before")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(SystemExit, match="could not be written: No space left"):
        main(["report", str(trained), "--output", str(page), "--resamples", "5", "--cases", "0"])
    assert page.read_text() == "before"
    assert not list(tmp_path.glob("*.partial"))
    assert not list(tmp_path.glob(".*.partial"))
