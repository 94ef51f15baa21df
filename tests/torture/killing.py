"""Trainings in processes of their own, killed at random moments until they come to their end."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import torch

from tests.processes import command, start_ranks
from tests.run_files import results

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_LONGEST = 600  # seconds
_MOMENT = 20  # seconds after which a launcher does so
_PATIENCE = 90  # seconds from a signal to the end of all processes


@dataclass
class Case:
    """A training that is tortured.

    Args:
        words: What `fit` is given.
        ranks: In how many processes it trains.
        residencies: Where the data may lie, another in each attempt.
    """

    words: Sequence[str]
    ranks: int = 1
    residencies: Sequence[str] = ("memory",)
    kills: Counter[str] = field(default_factory=Counter)

    def start(self, folder: Path, residency: str) -> list[ForkServerProcess]:
        """Begin, or go on, in a run folder."""
        place = ["--trainer.default_root_dir", str(folder / "run"), "--ckpt_path", "last"]
        # a state at almost every step, so that most kills cost something else
        often = ["--last_checkpoint.every_n_minutes", "0.005", "--data.residency", residency]
        folder.mkdir(exist_ok=True)
        return start_ranks(folder, self.ranks, command, "fit", *self.words, *often, *place)

    def undisturbed(self, folder: Path) -> float:
        """Train without a kill; give the seconds that it takes."""
        begun = time.monotonic()
        processes = self.start(folder, self.residencies[0])
        assert _wait(processes, _LONGEST), "it does not end"
        assert {process.exitcode for process in processes} == {0}, said(folder)
        return time.monotonic() - begun

    def tortured(self, folder: Path, seconds: float, chance: random.Random) -> int:
        """Train, with kills at moments within `seconds` of each start, to the end; give the number of kills."""
        kills = 0
        while True:
            processes = self.start(folder, chance.choice(list(self.residencies)))
            if _wait(processes, chance.uniform(0.1, 1.0) * seconds):
                assert {process.exitcode for process in processes} == {0}, said(folder)
                return kills
            number = chance.choice(SIGNALS)
            victim = chance.choice(processes)
            if victim.is_alive() and victim.pid:
                os.kill(victim.pid, number)
                kills += 1
                self.kills[signal.Signals(number).name] += 1
            # launchers end what is left when one has ended
            if number == signal.SIGKILL or (not _wait(processes, _MOMENT) and not all(map(_is_alive, processes))):
                for process in processes:
                    process.kill()
            assert _wait(processes, _PATIENCE), f"it does not end at {number!r}: {said(folder)}"


def said(folder: Path) -> str:
    """Read what the processes of the last attempt said."""
    return "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(folder.glob("rank-*.txt")))


def differences(one: Path, other: Path) -> list[str]:
    """Compare two runs bit for bit: weights, optimizer, schedule, metrics, predictions, the best state."""
    found = []
    for name in ("last", "best"):
        states = [torch.load(run / "checkpoints" / f"{name}.ckpt", weights_only=True) for run in (one, other)]
        parts = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step", "current_model_state")
        found += [f"{name}.ckpt {part}" for part in parts if not _equal(*(state.get(part) for state in states))]
        points = [state["contract"].get("operating_point") for state in states]
        found += [f"{name}.ckpt operating point"] * (not _equal(*points))
    for name in ("val", "test"):
        tables = [(run / "predictions" / f"{name}.csv").read_bytes() for run in (one, other)]
        found += [f"predictions of {name}"] * (tables[0] != tables[1])
    return found + ["results"] * (results(one) != results(other))


def torture(case: Case, folder: Path, kills: int, chance: random.Random) -> tuple[int, int, list[str]]:
    """Kill a training again and again.

    Args:
        case: The training.
        folder: Where to keep its runs.
        kills: At least how often to kill it; trainings are begun until that is reached.
        chance: What chooses moments and signals.

    Returns:
        The number of kills, of trainings, and in what any of them differs from one that was left alone.
    """
    _wait(start_ranks(folder, 1, int), _LONGEST)  # which imports everything once
    seconds = case.undisturbed(folder / "undisturbed")
    done, trainings, found = 0, 0, []
    while done < kills:
        trainings += 1
        place = folder / f"tortured-{trainings}"
        done += case.tortured(place, seconds, chance)
        differing = differences(folder / "undisturbed" / "run", place / "run")
        found += [f"{each} (training {trainings})" for each in differing]
        if not found:
            shutil.rmtree(place)
    return done, trainings, found


def _is_alive(process: ForkServerProcess) -> bool:
    return process.is_alive()


def _wait(processes: Sequence[ForkServerProcess], seconds: float) -> bool:
    end = time.monotonic() + seconds
    for process in processes:
        process.join(max(0.0, end - time.monotonic()))
    return not any(process.is_alive() for process in processes)


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        # by bytes: 0 and -0 are equal numbers
        alike = isinstance(other, torch.Tensor) and (one.dtype, one.shape) == (other.dtype, other.shape)
        return alike and one.numpy().tobytes() == other.numpy().tobytes()
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(_equal(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
