"""The command `table`, on made-up predictions."""

import csv
import json
from math import nan
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from projection.__main__ import main
from projection.evaluation.published import TEST_RECORDS, Published, read_published, verdict
from projection.metrics import auroc, bootstrap_auroc
from tests.evaluation.made_up import made_up, write

CONFIG = "trainer: {max_epochs: 50}\n"


def cell(
    folder: Path, name: str, skill: float = 1.0, seed: int = 0, source: str = "PTB-XL", records: int = 400
) -> None:
    """Write the run `task/net/seed`."""
    run = folder / name
    for split in ("val", "test"):
        write(run, split, made_up(skill, records, seed))
    (run / "config.yaml").write_text(CONFIG)
    (run / "provenance.json").write_text(json.dumps({"data": {"source": source, "signals_sha256": "0"}}))
    (run / "results.json").write_text("{}")


def make(folder: Path, *words: str) -> list[dict[str, str]]:
    main(["table", str(folder), "--resamples", "100", *words])
    with (folder / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_seeds_are_joined_and_laid_beside_published_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (0, 1, 10):
        cell(tmp_path, f"rhythm/xresnet1d101/{seed}", seed=seed)
    (tmp_path / "rhythm" / "xresnet1d101" / "latest").symlink_to("0")
    cell(tmp_path, "rhythm/xresnet1d18/0", skill=3)
    first, second, *others = make(tmp_path)
    assert (first["net"], first["published_model"], first["deviation"], first["intervals"]) == (
        "xresnet1d18",
        "",
        "",
        "",
    )
    tests = [made_up(1.0, seed=seed) for seed in (0, 1, 10)]
    aurocs = torch.stack([auroc(test.scores, test.labels).mean() for test in tests])
    assert float(second["auroc"]) == pytest.approx(float(aurocs.mean()), abs=1e-6)
    assert float(second["deviation"]) == pytest.approx(float(aurocs.std()), abs=1e-6)
    assert second["seeds"] == "0 1 10"
    resampled = torch.stack([bootstrap_auroc(test.scores, test.labels, 100, 0) for test in tests]).mean(dim=0)
    assert float(second["low"]) == pytest.approx(float(resampled.quantile(0.025)), abs=1e-6)
    assert (second["published_auroc"], second["published_uncertainty"], second["intervals"]) == (
        "0.957",
        "0.019",
        "below",
    )
    assert {line["published_model"] for line in others} >= {"ECG-CPC", "inception1d", "S4, supervised from scratch"}
    text = (tmp_path / "table.md").read_text()
    assert text in capsys.readouterr().out
    assert "## rhythm: 3 classes, 400 test records" in text
    assert "Published numbers stand on all of PTB-XL (2,098 test records), these on 400." in text
    assert ".957(19) [1]" in text
    assert "no result" not in text
    assert (tmp_path / "table.png").read_bytes().startswith(b"\x89PNG")


def test_a_whole_test_fold_of_ptbxl_needs_no_warning_and_synthetic_data_do(tmp_path: Path) -> None:
    cell(tmp_path, "form/fcn_wang/0", records=TEST_RECORDS["form"])
    make(tmp_path)
    assert "> " not in (tmp_path / "table.md").read_text()
    cell(tmp_path, "form/s4/0", source="demo", records=TEST_RECORDS["form"])
    make(tmp_path)
    text = (tmp_path / "table.md").read_text()
    assert "The data are 'demo', not PTB-XL: these numbers are no result." in text
    assert "not all trained and judged on the same data file" in text


def test_what_is_asked_for_is_shown_and_what_has_not_finished_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("all/s4/0", "all/s4/1", "all/lstm/0", "own/mine/0", "own/mine/1"):
        cell(tmp_path, name)
    (tmp_path / "own" / "mine" / "1" / "results.json").unlink()
    found = make(tmp_path, "--tasks", "[own]", "--output", str(tmp_path))
    assert [(line["task"], line["net"], line["seeds"]) for line in found] == [("own", "mine", "0")]
    assert "Not finished: own mine 1\n" in capsys.readouterr().out
    found = make(tmp_path, "--tasks", "[all]", "--nets", "[s4]", "--seeds", "[1]")
    assert [(line["net"], line["seeds"]) for line in found if line["net"]] == [("s4", "1")]


def test_what_cannot_be_judged_does_not_keep_the_others_from_it(tmp_path: Path) -> None:
    cell(tmp_path, "form/s4/0")
    cell(tmp_path, "form/s4/1", skill=nan)
    cell(tmp_path, "form/s4/2", records=300)
    with pytest.raises(
        SystemExit, match=r"(?s)Not in the table:.*form s4 1: .*diverged.*form s4 2: .*different records"
    ):
        make(tmp_path)
    with (tmp_path / "table.csv").open() as file:
        assert next(csv.DictReader(file))["seeds"] == "0"
    with pytest.raises(SystemExit, match="There is no finished run"):
        make(tmp_path / "form")


def test_published_numbers_are_whole_and_cited() -> None:
    published = read_published()
    assert {each.task for each in published} == set(TEST_RECORDS)
    assert len({(each.model, each.task) for each in published}) == len(published) == 17 * 6
    assert all(0.7 < each.auroc < 1 and 0 <= each.uncertainty < 0.03 for each in published)
    assert {each.source.split(":")[-1] for each in published} == {"10.1109/jbhi.2020.3022989", "2509.25095"}
    nets = {path.stem for path in (Path(__file__).parents[2] / "configs" / "nets").glob("*.yaml")}
    assert {each.net for each in published if each.net} <= nets
    (one,) = (each for each in published if (each.model, each.task) == ("xresnet1d101", "all"))
    assert (one.auroc, one.uncertainty) == (0.925, 0.007)


@pytest.mark.parametrize(
    ("low", "high", "auroc", "uncertainty", "expected"),
    [
        (0.90, 0.918, 0.925, 0.007, "overlap"),
        (0.90, 0.917999, 0.925, 0.007, "below"),
        (0.932, 0.95, 0.925, 0.007, "overlap"),
        (0.932001, 0.95, 0.925, 0.007, "above"),
        (0.90, 0.95, 0.925, 0.0, "overlap"),
        (0.90, 0.925, 0.925, 0.0, "overlap"),
        (0.926, 0.95, 0.925, 0.0, "above"),
        (nan, nan, 0.925, 0.007, "unknown"),
    ],
)
def test_touching_intervals_overlap(low: float, high: float, auroc: float, uncertainty: float, expected: str) -> None:
    assert verdict(low, high, Published("", "", "", auroc, uncertainty, "")) == expected


@given(st.lists(st.integers(0, 1000), min_size=2, max_size=2), st.integers(0, 1000), st.integers(0, 99))
def test_intervals_overlap_if_they_share_a_point(ours: list[int], auroc: int, uncertainty: int) -> None:
    low, high = sorted(ours)
    shared = set(range(low, high + 1)) & set(range(auroc - uncertainty, auroc + uncertainty + 1))
    found = verdict(low / 1000, high / 1000, Published("", "", "", auroc / 1000, uncertainty / 1000, ""))
    assert (found == "overlap") == bool(shared)
    assert found == "overlap" or (found == "above") == (low > auroc)


def test_settings_out_of_range_are_refused(tmp_path: Path) -> None:
    for option in (["--resamples", "0"], ["--confidence", "1"]):
        with pytest.raises(SystemExit, match="resamples is 1 or more"):
            main(["table", str(tmp_path), *option])
