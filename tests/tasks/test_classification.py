"""The task in a real Trainer, against the same computed by hand: windows, loss, steps, aggregation and metrics."""

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer
from scipy import stats

from projection.corpus.statements import LEADS, class_names
from projection.data.datamodule import PTBXLDataModule
from projection.tasks import ClassificationTask
from tests.tasks.by_hand import Array, ReadOut, Records, Witness, cross_entropy, features, judged, sigmoid

CLASSES = class_names("superdiagnostic")
EPOCHS, BATCH, ACCUMULATED, PEAK = 2, 7, 4, 0.5
SHIPPED = range(0, 751, 125)  # where windows of 2.5 s begin, every half a window


@pytest.fixture(scope="module")
def records(corpus: Path) -> Records:
    return Records(corpus, CLASSES)


def data_of(corpus_file: Path, **options: Any) -> PTBXLDataModule:
    return PTBXLDataModule(corpus_file, labels="superdiagnostic", batch_size=BATCH, **options)


def trainer_with(*callbacks: Witness, **options: Any) -> Trainer:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    return Trainer(max_epochs=EPOCHS, enable_model_summary=False, callbacks=[*callbacks], **quiet | options)


def falling(optimizer: torch.optim.Optimizer, steps: int) -> torch.optim.lr_scheduler.LambdaLR:
    return torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)


def weights_of(task: ClassificationTask) -> tuple[Array, Array]:
    linear = task.net.linear
    return linear.weight.detach().double().numpy().copy(), linear.bias.detach().double().numpy().copy()


@pytest.fixture(scope="module")
def trained(corpus_file: Path) -> tuple[ClassificationTask, Witness, list[tuple[Array, Array]]]:
    """A task as shipped but for net, optimizer and schedule; and its weights before training and after each epoch."""

    class Keeping(Witness):
        def on_validation_end(self, trainer: Trainer, pl_module: ClassificationTask) -> None:  # type: ignore[override]
            super().on_validation_end(trainer, pl_module)
            weights.append(weights_of(pl_module))  # the first time before training, after Lightning's sanity check

    weights: list[tuple[Array, Array]] = []
    witness = Keeping()
    torch.manual_seed(1)
    task = ClassificationTask(
        CLASSES, LEADS, net=ReadOut, optimizer=partial(torch.optim.SGD, lr=PEAK), schedule=falling
    )
    trainer = trainer_with(witness, accumulate_grad_batches=ACCUMULATED, log_every_n_steps=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PL_GLOBAL_SEED", "0")  # a run of another test may have left its own
        trainer.fit(task, datamodule=data_of(corpus_file))
    return task, witness, weights


def probabilities(
    x: Array, weights: tuple[Array, Array], starts: Iterable[int] = SHIPPED, length: int = 250, how: str = "max"
) -> Array:
    """Judge standardised records by windows that begin at the given samples."""
    p = np.stack([sigmoid(features(x[..., start : start + length]) @ weights[0].T + weights[1]) for start in starts])
    return p.max(axis=0) if how == "max" else p.mean(axis=0)


def standardised(records: Records) -> Array:
    training = records.x[records.of(*range(1, 9))]
    return (records.x - training.mean()) / training.std()


def test_training_is_what_is_computed_by_hand(trained: Any, records: Records) -> None:
    task, witness, (weights, *later) = trained
    x, weight, bias = standardised(records), *weights
    seen = [window * float(task.std) + float(task.mean) for window in task.net.seen]
    batches = int(records.of(*range(1, 9)).sum()) // BATCH
    steps = EPOCHS * -(-batches // ACCUMULATED)
    assert len(seen) == EPOCHS * batches
    assert batches % ACCUMULATED, "the last step of an epoch accumulates fewer batches"
    step, losses, rates = 0, [], []
    gradient = [np.zeros_like(weight), np.zeros_like(bias)]
    for number, windows in enumerate(seen):
        places = records.located(windows)
        y = records.y[[record for record, _ in places]]
        f = features(np.stack([x[record, :, start : start + 250] for record, start in places]))
        p = sigmoid(f @ weight.T + bias)
        losses.append(cross_entropy(p, y))
        rates.append(PEAK * (1 - step / steps))
        error = (p - y) / y.size / ACCUMULATED
        gradient = [gradient[0] + error.T @ f, gradient[1] + error.sum(axis=0)]
        if number % batches % ACCUMULATED == ACCUMULATED - 1 or number % batches == batches - 1:
            weight, bias = weight - rates[-1] * gradient[0], bias - rates[-1] * gradient[1]
            gradient, step = [np.zeros_like(weight), np.zeros_like(bias)], step + 1
        if number % batches == batches - 1:
            after = later.pop(0)
            np.testing.assert_allclose(after[0], weight, atol=1e-5)
            np.testing.assert_allclose(after[1], bias, atol=1e-5)
    assert step == steps
    assert not later
    np.testing.assert_allclose(witness.losses, losses, rtol=1e-5)
    np.testing.assert_allclose(witness.rates, rates, rtol=1e-9)


def test_training_sees_a_window_of_2_5_s_anywhere_in_every_record_once_an_epoch(trained: Any, records: Records) -> None:
    task, *_ = trained
    seen = np.concatenate(task.net.seen) * float(task.std) + float(task.mean)
    assert seen.shape[1:] == (12, 250)
    places = records.located(seen)
    for window, (record, start) in zip(seen, places, strict=True):
        np.testing.assert_allclose(window, records.x[record, :, start : start + 250], atol=1e-5)
    training, half = set(np.flatnonzero(records.of(*range(1, 9)))), len(places) // EPOCHS
    first, second = dict(places[:half]), dict(places[half:])
    assert len(first) == len(second) == half, "each record once"
    assert first.keys() | second.keys() <= training
    starts = np.array([start for _, start in places])
    assert stats.kstest(starts / 750, "uniform").pvalue > 0.01
    assert abs(np.corrcoef(starts[:-1], starts[1:])[0, 1]) < 0.2, "neighbours in a batch are cut at unrelated places"
    assert sum(first[record] == second[record] for record in first.keys() & second.keys()) < 10, "others each epoch"


def test_validation_is_what_is_computed_by_hand_after_each_epoch(trained: Any, records: Records) -> None:
    _, witness, (_, *later) = trained
    chosen = records.of(9)
    batches = -(-chosen.sum() // BATCH)
    assert chosen.sum() % batches, "batches differ in size, so that a mean of their means is no mean"
    assert len(witness.validated) == EPOCHS
    last = torch.cat(witness.judged[-batches:])
    np.testing.assert_allclose(last, probabilities(standardised(records)[chosen], later[-1]), atol=1e-5)
    for found, weights in zip(witness.validated, later, strict=True):
        p = probabilities(standardised(records)[chosen], weights)
        for name, value in judged(p, records.y[chosen]).items():
            assert found[f"val/{name}"] == pytest.approx(value, abs=1e-5), name


@pytest.mark.parametrize(
    ("options", "windows"),
    [
        ({}, {}),
        ({"aggregation": "mean"}, {"how": "mean"}),
        ({"stride": 2.0}, {"starts": [0, 200, 400, 600, 750]}),  # the last window ends with the record
        ({"window": 0.57, "stride": 0.29}, {"starts": [*range(0, 943, 29), 943], "length": 57}),  # 0.57 * 100 < 57
        ({"window": None}, {"starts": [0], "length": 1000}),
        ({"window": 12.0}, {"starts": [0], "length": 1000}),
    ],
    ids=["as shipped", "mean", "stride", "rounded", "whole", "longer"],
)
def test_tests_and_predictions_are_what_is_computed_by_hand(
    trained: Any, records: Records, corpus_file: Path, options: dict[str, Any], windows: dict[str, Any]
) -> None:
    task = ClassificationTask(CLASSES, LEADS, net=ReadOut, **options)
    task.load_state_dict(trained[0].state_dict())
    witness = Witness()
    trainer, data = trainer_with(witness), data_of(corpus_file)
    (found,) = trainer.test(task, datamodule=data, verbose=False)
    p = probabilities(standardised(records), weights_of(task), **windows)
    chosen = records.of(10)
    for name, value in judged(p[chosen], records.y[chosen]).items():
        assert found[f"test/{name}"] == pytest.approx(value, abs=1e-5), name
    np.testing.assert_allclose(torch.cat(witness.judged), p[chosen], atol=1e-5)
    # of every record of the fold, those without a label as well
    predicted = torch.cat(trainer.predict(task, datamodule=data))
    np.testing.assert_allclose(predicted, p[records.of(10, labelled=False)], atol=1e-5)
