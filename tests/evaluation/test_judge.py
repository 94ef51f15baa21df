"""A whole judgement, number by number, of predictions whose validation and test differ as much as they can."""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.special import expit

from projection.errors import ProjectionError
from projection.evaluation.evaluate_runs import joined
from projection.evaluation.judge import Judgement, compare, comparison, judge
from projection.evaluation.protocol import Protocol
from projection.evaluation.wording import percent
from projection.metrics.thresholds import Criterion
from projection.runs.predictions import Predictions
from projection.runs.run import Run
from tests.evaluation import recomputed

PROTOCOL = Protocol(resamples=60, seed=5, confidence=0.8, sensitivity=0.7)
CLASSES = ("A", "B", "C", "D", "E")


def drawn(rates: list[float], skill: float, sharpness: float, shift: float, first: int, seed: int = 0) -> Predictions:
    """Predictions in twentieths, so that many equal their class's threshold, some 0 or 1; ids in no order."""
    generator = np.random.default_rng(first)
    labels = generator.random((300, len(rates))) < rates
    noise = np.random.default_rng(first + seed).normal(size=labels.shape)
    scores = expit(sharpness * (skill * (labels - 0.5) + noise) + shift)
    ids = generator.permutation(300) + first
    return Predictions(
        torch.from_numpy(ids),
        torch.from_numpy((20 * scores).round() / 20),
        torch.from_numpy(labels.astype(np.uint8)),
        CLASSES,
    )


# D has no positives in the test, E none in the validation
VALIDATION = drawn([0.5, 0.3, 0.6, 0.2, 0.0], skill=1.0, sharpness=3.0, shift=1.0, first=10_000)
TEST = drawn([0.1, 0.2, 0.3, 0.0, 0.4], skill=1.5, sharpness=1.0, shift=-1.0, first=20_000)
OTHER = drawn([0.1, 0.2, 0.3, 0.0, 0.4], skill=1.4, sharpness=2.0, shift=0.0, first=20_000, seed=1)
PATIENTS = np.arange(300) // 3


def test_predictions_are_worth_comparing() -> None:
    """What these tests tell apart."""
    right = recomputed.summary_and_classes(VALIDATION, TEST, PROTOCOL)
    wrong = recomputed.summary_and_classes(TEST, TEST, PROTOCOL)
    for key in ("f1", "f2", "g2", "temperature", "ece_with_temperature", "sensitivity"):
        assert abs(right[0][key] - wrong[0][key]) > 0.01, key
    thresholds = torch.tensor([row["threshold"] for row in right[1].values()], dtype=torch.float64)
    assert (TEST.scores == thresholds).any(dim=0).sum() > 2


@cache
def intervals_of_test() -> tuple[tuple[float, float], dict[str, dict[str, float]]]:
    """These know of no threshold."""
    ends = recomputed.ends(recomputed.resampled_auroc(TEST, PROTOCOL), 0.8)
    return ends, recomputed.class_intervals(TEST, PROTOCOL)


@pytest.mark.parametrize("criterion", ["youden", "f1", "g2", "sensitivity"])
def test_every_number_is_that_of_its_definition(criterion: Criterion) -> None:
    protocol = replace(PROTOCOL, criterion=criterion)
    found = judge(VALIDATION, TEST, protocol)
    summary, classes = recomputed.summary_and_classes(VALIDATION, TEST, protocol)
    (low, high), intervals = intervals_of_test()
    expected = {**summary, "auroc_low": low, "auroc_high": high}
    # two searches for the temperature end a little apart
    assert found.summary == pytest.approx(expected, rel=1e-5)
    assert found.classes.keys() == classes.keys()
    for name, row in found.classes.items():
        assert row == pytest.approx({**classes[name], **intervals[name]}, abs=1e-12, nan_ok=True), name
    assert found.notes == []


@pytest.mark.thorough
def test_resamples_are_of_patients_where_patients_are_known() -> None:
    found = judge(VALIDATION, TEST, PROTOCOL, torch.from_numpy(PATIENTS))
    expected = recomputed.resampled_auroc(TEST, PROTOCOL, PATIENTS)
    np.testing.assert_allclose(found.bootstrap.numpy(), expected, atol=1e-12)
    ends = found.summary["auroc_low"], found.summary["auroc_high"]
    assert ends == pytest.approx(recomputed.ends(expected, 0.8), abs=1e-12)
    for name, expected_of_class in recomputed.class_intervals(TEST, PROTOCOL, PATIENTS).items():
        row = {key: found.classes[name][key] for key in expected_of_class}
        assert row == pytest.approx(expected_of_class, abs=1e-12, nan_ok=True), name


def both() -> tuple[Judgement, Judgement]:
    return judge(VALIDATION, TEST, PROTOCOL), judge(VALIDATION, OTHER, PROTOCOL)


@pytest.mark.thorough
def test_a_comparison_judges_both_on_the_same_resamples() -> None:
    judged = both()
    found = compare(TEST, OTHER, judged)
    one, other = (recomputed.resampled_auroc(each, PROTOCOL) for each in (TEST, OTHER))
    difference = judged[0].summary["auroc"] - judged[1].summary["auroc"]
    p = 2 * min(np.mean(one <= other), np.mean(one >= other))
    assert 0.05 < p < 1
    low, high = recomputed.ends(one - other, 0.8)
    assert found == pytest.approx({"difference": difference, "low": low, "high": high, "p": p}, abs=1e-12)
    back = compare(OTHER, TEST, judged[::-1])
    assert back == pytest.approx({"difference": -difference, "low": -high, "high": -low, "p": p}, abs=1e-12)


def test_a_model_does_not_differ_from_itself_and_a_better_one_does_as_surely_as_resamples_tell() -> None:
    one, _ = both()
    assert compare(TEST, TEST, (one, one)) == {"difference": 0, "low": 0, "high": 0, "p": 1}
    better = replace(TEST, scores=TEST.scores / 2 + TEST.labels / 2)
    found = compare(TEST, better, (one, judge(VALIDATION, better, PROTOCOL)))
    assert found["high"] < 0
    # none of 60
    assert found["p"] == 2 / 60


def test_what_is_said_of_several_runs_is_of_their_tests() -> None:
    runs = [Run(Path(), {}, {}, VALIDATION, each) for each in (TEST, OTHER, TEST)]
    judged = [*both(), both()[0]]
    values = [recomputed.macro_auroc(each.scores.numpy(), each.labels.numpy()) for each in (TEST, OTHER)]
    found = compare(TEST, OTHER, (judged[0], judged[1]))
    assert comparison(runs[:1], judged[:1]) == []
    assert comparison(runs[:2], judged[:2]) == [
        f"AUROC of 2 runs: {np.mean(values):.4f} (s.d. {np.std(values, ddof=1):.4f})",
        f"Difference {values[0] - values[1]:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}], p = {found['p']:.3f} "
        "(first minus second run, paired bootstrap, 80% interval)",
    ]
    three = [*values, values[0]]
    assert comparison(runs, judged) == [f"AUROC of 3 runs: {np.mean(three):.4f} (s.d. {np.std(three, ddof=1):.4f})"]


def test_runs_are_averaged_only_where_nothing_but_the_seed_differs() -> None:
    def run(seed: int = 0, lr: float = 0.1, path: str = "a.h5", data: str = "0") -> Run:
        config = {"seed_everything": seed, "model": {"lr": lr}, "data": {"init_args": {"path": path}}}
        return Run(Path(), config, {"data": {"signals_sha256": data}}, VALIDATION, TEST)

    judged = [judge(VALIDATION, TEST, PROTOCOL)] * 2
    # where the data lay is no difference, and other data are one
    assert comparison([run(), run(seed=1, path="b.h5")], judged)[0].startswith("AUROC of 2 runs: ")
    for other, said in ((run(lr=0.2), "lr"), (run(data="1"), "data"), (run(1, 0.2, data="1"), "lr, data")):
        lines = comparison([run(), other], judged)
        assert lines[0] == f"No mean over runs: they differ in more than the seed ({said})."
        assert lines[1].startswith("Difference +0.0000")
    nets = [
        replace(run(), config={"net": {"class_path": name, "init_args": {"depth": depth}}})
        for name, depth in (("a.S4", 4), ("a.XResNet1d", 101))
    ]
    assert "the seed (net)." in comparison(nets, judged)[0]
    many = replace(run(), config=dict.fromkeys("abcdef", 1))
    assert "the seed (lr, a, b, c and 3 more settings)." in comparison([run(), many], judged)[0]


@pytest.mark.parametrize(
    ("share", "words"), [(0.95, "95%"), (0.8, "80%"), (0.975, "97.5%"), (0.999, "99.9%"), (0.29, "29%")]
)
def test_a_confidence_is_written_with_the_decimals_that_it_has(share: float, words: str) -> None:
    assert percent(share) == words


def test_tests_of_other_records_are_not_compared() -> None:
    runs = [Run(Path(), {}, {}, VALIDATION, each) for each in (TEST, replace(OTHER, ids=OTHER.ids + 1))]
    with pytest.raises(ProjectionError, match="different records"):
        comparison(runs, both())


def test_an_ensemble_is_the_mean_of_probabilities_in_validation_and_test() -> None:
    sharper = replace(VALIDATION, scores=VALIDATION.scores.square())
    one, other = (
        Run(Path(name), {}, {}, *pair) for name, pair in {"1": (VALIDATION, TEST), "2": (sharper, OTHER)}.items()
    )
    ensemble = joined([one, other])
    assert ensemble.folder == one.folder
    means = [
        replace(first, scores=(first.scores + second.scores) / 2)
        for first, second in ((VALIDATION, sharper), (TEST, OTHER))
    ]
    found = judge(ensemble.validation, ensemble.test, PROTOCOL)
    expected, _ = recomputed.summary_and_classes(*means, PROTOCOL)
    assert {key: found.summary[key] for key in expected} == pytest.approx(expected, rel=1e-5)


def test_classes_too_rare_for_resampling_cost_the_interval_only() -> None:
    labels = torch.eye(40, dtype=torch.uint8)
    names = tuple(f"C{i}" for i in range(40))
    rare = Predictions(torch.arange(40), torch.rand(40, 40).double(), labels, names)
    found = judge(rare, rare, PROTOCOL)
    assert found.summary["auroc"] == pytest.approx(recomputed.macro_auroc(rare.scores.numpy(), labels.numpy()))
    assert np.isnan(found.summary["auroc_low"])
    assert np.isnan(found.summary["auroc_high"])
    assert all(np.isnan(row["auroc_low"]) and row["auroc"] >= 0 for row in found.classes.values())
    assert found.auroc == f"{found.summary['auroc']:.4f} (no interval)"
    (note,) = found.notes
    assert note.startswith("No interval: ")
    assert "too rare for a bootstrap" in note
    assert np.isnan(compare(rare, rare, (found, found))["p"])
