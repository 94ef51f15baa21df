"""The command `report`: what is on the page, what is refused, and what is said where something is missing."""

import json
import re
import shutil
from html import unescape
from itertools import pairwise
from pathlib import Path

import h5py
import pandas as pd
import pytest
import torch
import yaml

from projection.__main__ import main
from projection.runs.differences import names_of
from projection.runs.predictions import read_predictions
from tests.evaluation.made_up import made_up, write
from tests.report.conftest import Report, Tables, articles, drawings
from tests.report.drawings import Chart
from tests.report.test_numbers import SUBGROUPS, SUMMARIES

SECTIONS = ("results", "learning", "curves", "calibration", "confusion", "subgroups", "records", "configuration")


def test_a_page_is_whole_by_itself(page: str) -> None:
    assert len(page) < 3e6
    assert not re.search(r"https?:|src=|@import|url\(|<script|<link(?! rel=\"icon\" href=\"data:,\")", page)
    assert set(re.findall(r'href="([^"]*)"', page)) == {"data:,", "#ecg-paper", *(f"#{name}" for name in SECTIONS)}
    for name in SECTIONS:
        assert f'<section id="{name}">' in page
    levels = [int(level) for level in re.findall(r"<h(\d)", page)]
    assert all(after <= before + 1 for before, after in pairwise(levels))
    drawn = re.findall(r"<svg[^>]*>", page)
    assert len(drawn) > 20
    assert all("aria-label=" in each or "aria-hidden=" in each for each in drawn)
    assert "Attributed is the logit of" in page
    assert 'class="missing"' not in page


HOSTILE = """<script>alert("1")</script><img src=x onerror='alert(2)'>"""


@pytest.mark.thorough
def test_text_of_others_is_escaped(trained: Path, corpus_file: Path, report: Report, tmp_path: Path) -> None:
    data = tmp_path / "hostile.h5"
    shutil.copyfile(corpus_file, data)
    with h5py.File(data, "r+") as file:
        for column in ("report", "device"):
            file[f"records/{column}"][...] = HOSTILE
    config = yaml.safe_load((trained / "config.yaml").read_text())
    config["data"]["class_path"] = "theirs.DataModule"  # with classes of its own
    config["data"]["init_args"]["path"] = str(data)
    (trained / "config.yaml").write_text(f"# {HOSTILE}\n{yaml.safe_dump(config)}")
    provenance = json.loads((trained / "provenance.json").read_text())
    (trained / "provenance.json").write_text(json.dumps({**provenance, "git": HOSTILE}))
    for split in ("val", "test"):
        table = trained / "predictions" / f"{split}.csv"
        frame = pd.read_csv(table).rename(columns={"CD": HOSTILE, "label_CD": f"label_{HOSTILE}"})
        frame.to_csv(table, index=False)
    page = report(trained, "--attribution", "false")
    assert page.count("&lt;script&gt;alert(&#34;1&#34;)") > 10
    assert not re.search(r"<script|<img|<b>run", page)
    # nothing breaks out of an attribute either
    assert f"ROC curve of {HOSTILE}" in drawings(page)
    assert any(group.startswith(f"device: {HOSTILE}") for group, *_ in Tables(page).found[SUBGROUPS])
    assert {each.facts["report"] for each in articles(page)} == {HOSTILE}


def shift(run: Path, split: str) -> None:
    """Turn predictions upside down."""
    table = pd.read_csv(run / "predictions" / f"{split}.csv")
    names = [name.removeprefix("label_") for name in table if name.startswith("label_")]
    table[names] = 1 - table[names]
    table.to_csv(run / "predictions" / f"{split}.csv", index=False)


def test_runs_lie_side_by_side(trained: Path, report: Report, tmp_path: Path) -> None:
    other = shutil.copytree(trained, tmp_path / "other")
    text = (other / "config.yaml").read_text().replace("batch_size: 32", "batch_size: 64")
    (other / "config.yaml").write_text(text)
    page = report(trained, other, "--cases", "0")
    tables = Tables(page).found
    assert tables["Settings that differ"][1:] == [["data.init_args.batch_size", "32", "64"]]
    facts = tables["Where the results come from (provenance.json)"]
    assert facts[0][1:] == names_of([trained, other])
    assert ["folder", str(trained.resolve()), str(other.resolve())] in facts
    first, second = re.findall(r"<summary>config.yaml of (.*?)</summary>\s*<pre[^>]*>(.*?)</pre>", page, re.DOTALL)
    assert [unescape(first[0]), second[0]] == names_of([trained, other])
    assert "batch_size: 32" in first[1]
    assert "batch_size: 64" in second[1]
    assert "Difference +0.0000 [+0.0000, +0.0000], p = 1.000" in page
    # their mean would be of different trainings
    assert tables["AUROC of each class"][0] == ["class", "records with it", "batch_size 32", "batch_size 64"]
    assert "No mean over runs: they differ in more than the seed (batch_size)." in page
    assert "AUROC of 2 runs" not in page
    assert "none were asked for" in page


@pytest.mark.thorough
def test_of_several_runs_each_has_its_numbers_and_the_first_one_its_records(
    trained: Path, report: Report, tmp_path: Path
) -> None:
    other = shutil.copytree(trained, tmp_path / "other")
    for split in ("val", "test"):
        shift(other, split)
    checkpoint = torch.load(other / "checkpoints" / "best.ckpt", weights_only=True)
    checkpoint["state_dict"]["net.head.1.bias"] += 2
    torch.save(checkpoint, other / "checkpoints" / "best.ckpt")
    alone = {run: report(run, "--classes", "[NORM]") for run in (trained, other)}
    page = report(other, trained, "--classes", "[NORM]")
    tables = Tables(page)
    for caption in ("Each class, test folds", "Bins of the reliability diagrams", SUBGROUPS):
        assert tables.every[caption] == [Tables(alone[run]).found[caption] for run in (other, trained)]
    columns = [Tables(alone[run]).found[SUMMARIES] for run in (other, trained)]
    assert tables.found[SUMMARIES] == [
        ["metric", *names_of([other, trained])],
        *([one[0], one[1], two[1]] for one, two in zip(columns[0][1:], columns[1][1:], strict=True)),
    ]
    both = drawings(page)
    for name in ("CD", "NORM"):
        chart = Chart(both[f"ROC curve of {name}"])
        for style, run in enumerate((other, trained)):
            single = Chart(drawings(alone[run])[f"ROC curve of {name}"])
            assert chart.curves(style)[0].tolist() == single.curves()[0].tolist()
            assert chart.bands(style)[0].tolist() == single.bands()[0].tolist()
    for title in ("Statements that are predicted", "Statements that are true together"):
        assert both[title] == drawings(alone[other])[title]
    for title in ("Reliability as predicted", "AUROC in subgroups"):
        wanted = re.compile(f'<svg[^>]* aria-label="{title}".*?</svg>')
        assert wanted.findall(page) == [wanted.findall(alone[run])[0] for run in (other, trained)]
    # its records, attributed by its own checkpoint
    assert [(each.heading, each.chips, each.words) for each in articles(page)] == [
        (each.heading, each.chips, each.words) for each in articles(alone[other])
    ]
    predictions = read_predictions(trained, "test")
    column, ids = predictions.class_names.index("NORM"), predictions.ids.tolist()
    for article in articles(page):
        if found := re.search(r"logit of NORM: ([-+.\d]+)", article.words):
            stored = predictions.scores[ids.index(int(article.heading.split()[-1])), column].logit()
            assert float(found[1]) == pytest.approx(float(stored) + 2, abs=0.01)


@pytest.mark.thorough
def test_runs_of_several_seeds_are_averaged(trained: Path, report: Report, tmp_path: Path) -> None:
    other = shutil.copytree(trained, tmp_path / "other")
    text = (other / "config.yaml").read_text()
    config = yaml.safe_load(text)
    config["seed_everything"] += 1
    config["trainer"]["accelerator"] = "gpu"
    (other / "config.yaml").write_text(yaml.safe_dump(config))
    page = report(trained, other, "--cases", "0")
    names = [f"seed {config['seed_everything'] - 1}", f"seed {config['seed_everything']}"]
    assert names_of([trained, other]) == names
    assert f"<h1>Runs {', '.join(names)}</h1>" in page
    assert Tables(page).found["AUROC of each class"][0] == ["class", "records with it", *names, "mean", "s.d."]
    assert "AUROC of 2 runs: " in page
    assert "No mean" not in page
    # everywhere by these names
    for name in names:
        assert page.count(name) > 15
    text = re.sub("<(td|pre).*?</(td|pre)>", "", page, flags=re.DOTALL)
    assert str(tmp_path.name) not in text
    assert "other<" not in text


def configured(folder: Path, *settings: dict[str, object]) -> list[Path]:
    runs = [folder / f"2026{place}" for place in range(len(settings))]
    for run, content in zip(runs, settings, strict=True):
        run.mkdir()
        (run / "config.yaml").write_text(yaml.safe_dump(content))
    return runs


def net(name: str, seed: int = 0, **arguments: object) -> dict[str, object]:
    model = {"net": {"class_path": f"projection.nets.{name}", "init_args": arguments}}
    return {"seed_everything": seed, "model": {"init_args": model}, "data": {"init_args": {"path": name}}}


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ([net("S4", width=512), net("XResNet1d", depth=101)], ["net S4", "net XResNet1d"]),
        ([net("S4"), net("S4", 1)], ["seed 0", "seed 1"]),
        ([net("S4"), net("S4", 1), net("CNN", 1)], ["net S4 seed 0", "net S4 seed 1", "net CNN seed 1"]),
        ([net("XResNet1d", depth=50), net("XResNet1d", depth=101)], ["depth 50", "depth 101"]),
        (
            [net("XResNet1d", depth=50), net("XResNet1d", depth=101), net("S4", width=8)],
            ["net XResNet1d depth 50", "net XResNet1d depth 101", "net S4"],
        ),
        ([{"lr": 0.1, "batch": 32}, {"lr": 0.2, "batch": 64}], ["batch 32 lr 0.1", "batch 64 lr 0.2"]),
        ([{"lr": 0.1}, {"lr": 0.1}, {"lr": 0.2}], ["lr 0.1 2026/20260", "lr 0.1 2026/20261", "lr 0.2"]),
        # too long to be a name
        ([{"transforms": "a" * 50}, {"transforms": "b" * 50}], ["2026/20260", "2026/20261"]),
    ],
)
def test_runs_are_named_by_the_settings_in_which_they_differ(
    settings: list[dict[str, object]], names: list[str], tmp_path: Path
) -> None:
    (tmp_path / "2026").mkdir()
    assert names_of(configured(tmp_path / "2026", *settings)) == names


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
def test_runs_without_configurations_are_named_by_their_folders(folders: list[str], names: list[str]) -> None:
    assert names_of([Path(folder) for folder in folders]) == names


@pytest.mark.thorough
def test_what_is_missing_is_named(trained: Path, report: Report, tmp_path: Path) -> None:
    whole = shutil.copytree(trained, tmp_path / "whole")
    (trained / "checkpoints" / "best.ckpt").write_bytes(b"no checkpoint")
    assert "best.ckpt is damaged, or no checkpoint at all" in report(trained)
    (trained / "checkpoints" / "best.ckpt").unlink()
    page = report(trained)
    assert re.search(r"What the model looked at is not shown: There is no checkpoint .*best.ckpt", page)
    assert "Electrocardiogram of record" in page
    shutil.rmtree(trained / "metrics")
    config = (trained / "config.yaml").read_text()
    (trained / "config.yaml").write_text(re.sub(r"path: .*\.h5", "path: gone.h5", config))
    provenance = (trained / "provenance.json").read_text()
    (trained / "provenance.json").write_text(re.sub(r'"[^"]*\.h5"', '"gone.h5"', provenance))
    page = report(whole, trained, "--classes", "[NORM]")
    assert "Electrocardiogram of record" in page
    page = report(trained, whole, "--classes", "[NORM]")
    assert "No records are drawn: There is no file gone.h5" in page
    page = report(trained)
    assert "No records are drawn: There is no file gone.h5" in page
    assert "There are no subgroups" in page
    assert "Nothing was logged" in page
    (trained / "config.yaml").unlink()
    (trained / "provenance.json").unlink()
    assert "There is no config.yaml in the run folder" in report(trained)


@pytest.mark.thorough
def test_a_model_of_a_user_s_own_is_shown_without_attribution(trained: Path, report: Report) -> None:
    checkpoint = trained / "checkpoints" / "best.ckpt"
    content = torch.load(checkpoint, weights_only=True)
    described = {**content["hyper_parameters"], "net": {"class_path": "nowhere.Net"}}
    torch.save({**content, "hyper_parameters": described}, checkpoint)
    assert re.search(r"not shown: The checkpoint .* names nowhere\.Net, which could run any code", report(trained))
    trusted = report(trained, "--trust", "true")
    assert "cannot be built here (No module named &#39;nowhere&#39;)" in trusted
    del content["contract"]
    torch.save(content, checkpoint)
    assert re.search(r"not shown: The checkpoint .*best\.ckpt does not describe its model", report(trained))


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
