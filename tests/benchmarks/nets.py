"""Every net of configs/nets: its size beside the published one, and the time of a step beside xresnet1d101's.

python -m tests.benchmarks.nets --length 250 --batch 32
"""

from collections.abc import Callable
from pathlib import Path

import torch
import yaml
from jsonargparse import auto_cli
from torch import nn

from projection import nets
from tests.benchmarks.table import side_by_side

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs" / "nets").glob("*.yaml"))
REFERENCE = "xresnet1d101"

# for 12 leads and 71 statements: the first five by the definitions of helme/ecg_ptbxl_benchmarking, counted layer for
# layer; Net1D as told by Li et al., NEJM AI 2(7), 2025, rounded as there
PUBLISHED = {
    "fcn_wang": "318,279",
    "inception1d": "516,167",
    "lstm": "912,199",
    "lstm_bidir": "2,339,143",
    "resnet1d_wang": "481,863",
    "net1d": "30.7 million",
}


def build(config: Path) -> nn.Module:
    """Build a net as the task would for 12 leads and 71 statements."""
    net = yaml.safe_load(config.read_text())["model"]["init_args"]["net"]
    kind: Callable[..., nn.Module] = getattr(nets, net["class_path"].rsplit(".", 1)[1])
    return kind(12, 71, **net.get("init_args", {}))


def sizes() -> str:
    """Table the parameters of every net beside the published ones."""
    lines = ["| net | parameters | published |", "|---|---:|---:|"]
    for config in CONFIGS:
        count = sum(parameter.numel() for parameter in build(config).parameters())
        lines.append(f"| {config.stem} | {count:,} | {PUBLISHED.get(config.stem, '')} |")
    return "\n".join(lines)


def step(net: nn.Module, x: torch.Tensor) -> Callable[[], None]:
    """Make a training step."""
    optimizer = torch.optim.AdamW(net.parameters())

    def work() -> None:
        optimizer.zero_grad()
        net(x).square().mean().backward()
        optimizer.step()
        if x.is_cuda:
            torch.cuda.synchronize()

    work()
    return work


def benchmark(nets: list[str] | None = None, length: int = 250, batch: int = 32, rounds: int = 5) -> None:
    """Print sizes, then milliseconds a training step of each net and of xresnet1d101, taken in turn.

    Args:
        nets: Names of files in configs/nets; all by default.
        length: Samples.
        batch: Records in a batch.
        rounds: Steps of each; the fastest counts.
    """
    print(f"{sizes()}\n")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    x = torch.randn(batch, 12, length, device=device)
    configs = {config.stem: config for config in CONFIGS}
    reference = step(build(configs[REFERENCE]).to(device), x)
    print(f"| {batch} x 12 x {length}, {device} | ms a step | {REFERENCE} | times |\n|---|---:|---:|---:|")
    for name in nets or list(configs):
        ours, theirs = side_by_side(step(build(configs[name]).to(device), x), reference, rounds=rounds)
        print(f"| {name} | {1e3 * ours:,.1f} | {1e3 * theirs:,.1f} | {ours / theirs:.2f} |", flush=True)


if __name__ == "__main__":
    auto_cli(benchmark, as_positional=False)
