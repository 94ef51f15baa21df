"""The command `table`, on made-up predictions."""

import ast
import csv
import json
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from projection.__main__ import main
from projection.benchmark.cells import Row
from projection.benchmark.layout import as_markdown, beside_published, notes
from projection.benchmark.published import TEST_RECORDS, Published, read_published, verdict
from projection.benchmark.table import table
from projection.evaluation.protocol import Protocol, interval
from projection.metrics import bootstrap_auroc
from tests.evaluation import recomputed
from tests.evaluation.made_up import made_up, write


def cell(
    folder: Path,
    name: str,
    skill: float = 1.0,
    seed: int = 0,
    source: str = "PTB-XL",
    records: int = 400,
    epochs: int = 50,
) -> None:
    """Write the run `label set/net/seed`, whose validation is better than its test."""
    run = folder / name
    write(run, "val", made_up(skill + 1, records, seed, first=records))
    write(run, "test", made_up(skill, records, seed))
    (run / "config.yaml").write_text(f"trainer: {{max_epochs: {epochs}}}\n")
    (run / "provenance.json").write_text(json.dumps({"data": {"source": source, "signals_sha256": "0"}}))
    (run / "results.json").write_text("{}")


def make(folder: Path, *words: str) -> list[dict[str, str]]:
    main(["table", str(folder), "--resamples", "20", *words])
    with (folder / "table.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_seeds_are_joined_and_laid_beside_published_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed, epochs in ((0, 50), (2, 60), (10, 50)):
        cell(tmp_path, f"rhythm/xresnet1d101/{seed}", seed=seed, epochs=epochs)
    (tmp_path / "rhythm" / "xresnet1d101" / "latest").symlink_to("0")
    cell(tmp_path, "rhythm/xresnet1d18/0", skill=3)
    lines = make(tmp_path, "--seed", "7", "--confidence", "0.8")
    tests = [made_up(1.0, seed=seed) for seed in (0, 2, 10)]
    aurocs = [recomputed.macro_auroc(test.scores.numpy(), test.labels.numpy()) for test in tests]
    protocol = Protocol(resamples=20, seed=7)
    resampled = np.mean([recomputed.resampled_auroc(test, protocol) for test in tests], axis=0)
    low, high = recomputed.ends(resampled, 0.8)
    source = "Strodthoff et al. 2021, doi:10.1109/jbhi.2020.3022989"
    ours = {"auroc": np.mean(aurocs), "low": low, "high": high, "deviation": np.std(aurocs, ddof=1)}
    assert lines[1] == {
        **{"labels": "rhythm", "net": "xresnet1d101", "seeds": "0 2 10", "epochs": "50/60", "test_records": "400"},
        **{name: f"{value:.6f}" for name, value in ours.items()},
        "seed_aurocs": " ".join(f"{value:.6f}" for value in aurocs),
        **{"data": "PTB-XL", "published_model": "xresnet1d101", "published_auroc": "0.957", "source": source},
        **{"published_uncertainty": "0.019", "intervals": "below"},
    }
    # better, of one seed, and nobody published it
    better = lines[0]
    assert (better["net"], better["seeds"], better["deviation"]) == ("xresnet1d18", "0", "")
    assert {better[name] for name in better if name.startswith("published") or name == "intervals"} == {""}
    others = [each for each in read_published() if each.label_set == "rhythm" and each.net != "xresnet1d101"]
    assert sorted(line["published_model"] for line in lines[2:]) == sorted(each.model for each in others)
    values = [float(line["published_auroc"]) for line in lines[2:]]
    assert values == sorted(values, reverse=True)
    text = (tmp_path / "table.md").read_text()
    assert text in capsys.readouterr().out
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]
    assert rows[0] == ["net", "AUROC", "80% interval", "s.d.", "seeds", "epochs", "published", "intervals"]

    def short(value: float) -> str:
        return f"{value:.3f}"[1:]

    each = ", ".join(f"{seed}: {short(value)}" for seed, value in zip((0, 2, 10), aurocs, strict=True))
    shown = [short(ours["auroc"]), f"{short(low)} to {short(high)}", short(ours["deviation"]), each, "50/60"]
    assert rows[3] == ["xresnet1d101", *shown, ".957(19) [1]", "ours below"]
    assert [row[0] for row in rows[4:]] == [line["published_model"] for line in lines[2:]]
    assert "## rhythm: 3 classes, 400 test records" in text
    assert f"[1] {source}" in text
    assert "Published numbers stand on all of PTB-XL (2,098 test records), these on 400." in text
    assert "no result" not in text
    assert (tmp_path / "table.svg").read_text().startswith("<svg ")


def row(label_set: str, net: str, auroc: float) -> Row:
    """What is known of one seed, within a hundredth."""
    records, data = TEST_RECORDS.get(label_set, 1), ("PTB-XL", "0")
    return Row(label_set, net, {0: auroc}, auroc - 0.01, auroc + 0.01, records, 5, "50", data, "")


def test_label_sets_come_in_their_published_order_and_nets_from_the_best_to_the_worst() -> None:
    rows = [row("rhythm", "s4", 0.9), row("own", "s4", 0.9), row("all", "lstm", 0.8), row("all", "s4", 0.99)]
    found = beside_published([*rows, row("all", "xresnet1d101", 0.92)])
    assert list(found) == ["all", "rhythm", "own"]
    assert [ours.net for ours, _ in found["all"] if ours] == ["s4", "xresnet1d101", "lstm"]
    for label_set, lines in found.items():
        pairs = [(ours, published) for ours, published in lines if ours and published]
        assert all((published.net, published.label_set) == (ours.net, label_set) for ours, published in pairs)
    assert found["own"] == [(rows[1], None)]
    ends = [line.rsplit("|", 2)[1].strip() for line in as_markdown(found, 0.95).splitlines() if line[:1] == "|"]
    assert ends[2:5] == ["ours above", "overlap", "ours below"]


def test_the_net_with_the_fewest_records_is_warned_of() -> None:
    rows = [row("rhythm", "s4", 0.9), replace(row("rhythm", "lstm", 0.8), records=300)]
    assert notes("rhythm", beside_published(rows)["rhythm"]) == [
        "Published numbers stand on all of PTB-XL (2,098 test records), these on 300.",
        "These nets were not all trained and judged on the same data file.",
    ]


def test_of_a_label_set_without_resamples_there_is_no_interval_and_no_verdict(tmp_path: Path) -> None:
    cell(tmp_path, "form/s4/0")
    for split, first in (("val", 50), ("test", 0)):
        rare = made_up(1.0, records=40, first=first)
        labels, names = torch.eye(40, dtype=torch.uint8), tuple(f"C{i}" for i in range(40))
        scores = torch.rand(40, 40, dtype=torch.float64)
        write(tmp_path / "form/s4/0", split, replace(rare, scores=scores, labels=labels, class_names=names))
    line = make(tmp_path)[0]
    assert (line["net"], line["low"], line["high"], line["intervals"]) == ("s4", "", "", "unknown")
    assert "> s4 has no interval. Of " in (tmp_path / "table.md").read_text()


def test_usual_settings_are_those_of_evaluate(tmp_path: Path) -> None:
    cell(tmp_path, "own/mine/0")
    table(tmp_path)
    with (tmp_path / "table.csv").open(newline="") as file:
        line = next(csv.DictReader(file))
    test = made_up(1.0)
    low, high = interval(bootstrap_auroc(test.scores, test.labels, 1000, 0), 0.95)
    assert (line["low"], line["high"]) == (f"{low:.6f}", f"{high:.6f}")


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
    found = make(tmp_path, "--labels", "[own]", "--output", str(tmp_path))
    assert [(line["labels"], line["net"], line["seeds"]) for line in found] == [("own", "mine", "0")]
    assert "Not finished: own mine 1\n" in capsys.readouterr().out
    found = make(tmp_path, "--labels", "[all]", "--nets", "[s4]", "--seeds", "[1]")
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
    assert {each.label_set for each in published} == set(TEST_RECORDS)
    assert len({(each.model, each.label_set) for each in published}) == len(published) == 17 * 6
    assert all(0.7 < each.auroc < 1 and 0 <= each.uncertainty < 0.03 for each in published)
    assert {each.source.split(":")[-1] for each in published} == {"10.1109/jbhi.2020.3022989", "2509.25095"}
    nets = {path.stem for path in (Path(__file__).parents[2] / "configs" / "nets").glob("*.yaml")}
    assert {each.net for each in published if each.net} <= nets
    (one,) = (each for each in published if (each.model, each.label_set) == ("xresnet1d101", "all"))
    assert (one.auroc, one.uncertainty) == (0.925, 0.007)


def test_the_test_fold_is_as_large_as_ptbxl_s_own_table_says(ptbxl: Path) -> None:
    whole = ptbxl / "ptbxl_database_full.csv"
    if not whole.exists():
        pytest.skip("no whole table of PTB-XL")
    table, statements = pd.read_csv(whole), pd.read_csv(ptbxl / "scp_statements.csv", index_col=0)
    stated = table.scp_codes[table.strat_fold == 10].map(lambda text: set(ast.literal_eval(text)))
    diagnostic = statements[statements.diagnostic == 1]
    codes = {
        "all": statements.index,
        "diagnostic": diagnostic.index,
        "subdiagnostic": diagnostic.index,
        "superdiagnostic": diagnostic.index,
        "form": statements[statements.form == 1].index,
        "rhythm": statements[statements.rhythm == 1].index,
    }
    found = {task: sum(not each.isdisjoint(wanted) for each in stated) for task, wanted in codes.items()}
    assert found == TEST_RECORDS


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


def test_rounding_does_not_part_intervals_that_touch() -> None:
    for each in read_published():
        ends = [f"{each.auroc + sign * each.uncertainty:.3f}" for sign in (-1, 1)]
        assert verdict(0.5, float(ends[0]), each) == "overlap", each
        assert verdict(float(ends[1]), 1.0, each) == "overlap", each


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
