"""What the shipped Trainer configuration adds to a step, and how busy a GPU is kept."""

import time
from collections.abc import Callable, Iterable
from contextlib import chdir
from dataclasses import replace
from itertools import islice, repeat
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits

from projection.__main__ import main
from projection.data.batches import BatchLoader, RecordBatchSampler
from projection.data.datamodule import PTBXLDataModule
from projection.data.signal_sets import DeviceSignals
from projection.nets import CNN1d, XResNet1d
from projection.tasks import OneCycle
from projection.tasks.preprocessing import mean_and_std
from projection.transforms import RandomCrop
from tests.benchmarks.table import Row

ROOT = Path(__file__).resolve().parents[2]
EPOCHS = 4
STEPS = 400
BATCH = 8


class EpochTimer(Callback):
    """Notes how long each training epoch takes, validation left out."""

    milliseconds: ClassVar[list[float]] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.start = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        if batch_idx == trainer.num_training_batches - 1:
            self.milliseconds.append(1e3 * (time.perf_counter() - self.start) / trainer.num_training_batches)


def training_rows(path: Path, rounds: int) -> list[Row]:
    """Compare `projection fit` with a bare PyTorch loop on the same network, batches and schedule.

    The network is as small as can be, and computes on one thread: the difference is what counts.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    shipped, bare = side_by_side_loops(path, rounds)
    torch.set_num_threads(threads)
    note = f"{shipped:.2f} ms and {bare:.2f} ms a step"
    return [Row("ms that the Trainer adds to a step of a bare PyTorch loop", shipped - bare, 0.5, "lower", note)]


def side_by_side_loops(path: Path, rounds: int) -> tuple[float, float]:
    times = [(shipped_fit(path), bare_loop(path)) for _ in range(rounds)]
    return min(shipped for shipped, _ in times), min(bare for _, bare in times)


def shipped_fit(path: Path) -> float:
    """Train a tiny network by the shipped configuration; give the best epoch's milliseconds per step."""
    EpochTimer.milliseconds.clear()
    arguments = {
        "config": ROOT / "configs" / "exp.yaml",
        "data.path": path.resolve(),
        "data.batch_size": BATCH,
        "model.init_args.net": "projection.nets.CNN1d",
        "model.init_args.net.init_args.widths": [8],
        "trainer.callbacks+": "tests.benchmarks.training.EpochTimer",
        "trainer.max_epochs": EPOCHS,
        "trainer.limit_train_batches": STEPS,
        "trainer.limit_val_batches": 1,
        "trainer.limit_test_batches": 1,
        "trainer.accelerator": "cpu",
    }
    with TemporaryDirectory() as folder, chdir(folder):
        main(["fit", *(f"--{name}={value}" for name, value in arguments.items())])
    return min(EpochTimer.milliseconds)


def bare_loop(path: Path) -> float:
    data = PTBXLDataModule(path, batch_size=BATCH)
    data.setup("fit")
    loader, crop = data.train_dataloader(), RandomCrop(2.5)
    net = CNN1d(12, len(data.class_names), [8])
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01, weight_decay=0.01)
    schedule = OneCycle(optimizer, EPOCHS * len(loader))
    mean, std = mean_and_std(data.training_signals())
    best = float("inf")
    for epoch in range(EPOCHS):
        loader.batch_sampler.set_epoch(epoch)
        start = time.perf_counter()
        for x, y, _ in islice(loader, STEPS):
            x, y = crop(x, y, data.sampling_rate)
            optimizer.zero_grad()
            binary_cross_entropy_with_logits(net((x - mean) / std), y).backward()
            optimizer.step()
            schedule.step()
        best = min(best, 1e3 * (time.perf_counter() - start) / min(STEPS, len(loader)))
    return best


def gpu_rows(path: Path) -> list[Row]:
    """Train xresnet1d101 on a GPU: eager and with CUDA graphs, on real batches and on one that never changes."""
    if not torch.cuda.is_available():
        print("No GPU here: training on real data against one resident batch is not measured.")
        return []
    device = torch.device("cuda")
    rows = []
    for name, compiled in (("eager", False), ("CUDA graphs", True)):
        net: nn.Module = XResNet1d(12, 71).to(device)
        if compiled:
            net.compile(mode="reduce-overhead")
        real, resident = steps_per_second(path, net, device, batches=100)
        note = f"{128 * real:,.0f} and {128 * resident:,.0f} records/s"
        rows.append(Row(f"training on real data against one resident batch, {name}", real / resident, 0.97, note=note))
    return rows


def steps_per_second(path: Path, net: nn.Module, device: torch.device, batches: int) -> tuple[float, float]:
    """Train on batches of the file, and on one of them again and again; give the steps per second of both."""
    data = PTBXLDataModule(path)
    data.setup("fit")
    resident = replace(data.train, signals=DeviceSignals(data.signals, data.train.rows, device))
    loader = BatchLoader(resident, RecordBatchSampler(len(resident), min(128, len(resident)), shuffle=True), device)
    crop = RandomCrop(2.5)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=device.type == "cuda")

    def step(x: Tensor, y: Tensor) -> None:
        x, y = crop(x, y, data.sampling_rate)
        with torch.autocast(device.type, torch.bfloat16):
            logits = net(x)
        loss = binary_cross_entropy_with_logits(logits.float(), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def rate(source: Iterable[tuple[Tensor, Tensor, Tensor]]) -> float:
        synchronise(device)
        start, steps = time.perf_counter(), 0
        for x, y, _ in islice(source, batches):
            step(x, y)
            steps += 1
        synchronise(device)
        return steps / (time.perf_counter() - start)

    one = next(iter(loader))
    rate(repeat(one))  # compilation and warming up
    rounds: list[Callable[[], float]] = [lambda: rate(loader), lambda: rate(repeat(one))] * 3
    rates = [measure() for measure in rounds]
    return max(rates[::2]), max(rates[1::2])


def synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
